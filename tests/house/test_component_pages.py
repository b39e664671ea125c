"""docs/components/ says what the components say of themselves."""

from tools.component_pages import FOLDER, render, render_all
from tools.generated import find_stale
from wsgistack.components import COMPONENTS


def test_the_pages_are_current() -> None:
    assert find_stale(render_all(), FOLDER) == [], "make docs"


def test_every_component_has_a_page_with_each_of_its_settings() -> None:
    pages = render_all()
    assert sorted(path.stem for path in pages) == COMPONENTS.names()
    for name, component in COMPONENTS:
        text = pages[FOLDER / f"{name}.md"]
        assert [row.name for row in component.settings if f"| `{row.name}` |" not in text] == []


def test_a_page_has_the_docstring_the_ways_to_ask_for_it_and_its_neighbours() -> None:
    page = render(COMPONENTS.get("trust"))
    assert page.startswith("# The component trust\n\nThe client's address, scheme and host as our own")
    assert "```pycon\n>>> def app(environ, start_response):\n" in page
    assert "\nFrom anybody else every such field is dropped:" in page
    assert "- `wrap(application, trust=VALUE)`: *VALUE* is its `trusted`.\n" in page
    assert "- outside of `rate_limit`, else all clients of a proxy would share one limit;\n" in page
    assert page.endswith("connection.\n")
