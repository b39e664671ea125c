"""docs/components/ says what the components say of themselves."""

import re
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from tools.component_pages import FOLDER, render, render_all
from tools.generated import find_stale
from wsgistack import wrap
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


def test_code_is_fenced_and_what_a_component_asks_for_is_told() -> None:
    page = render(COMPONENTS.get("rate_limit"))
    assert '\n\n```python\nfrom wsgistack import wrap\n\nlogin = {"name": "login",' in page
    assert '"rules": [login]})\n```\n\n[Rate limits]' in page
    assert "- `wrap(application, rate_limit=True)`: is refused: rate and rules: neither is given;" in page
    assert "- `wrap(application, metrics=True)`: with the defaults below.\n" in render(
        COMPONENTS.get("metrics")
    )


ASKED_FOR: dict[str, object] = {
    "rate_limit": "100/minute",
    "buckets": {"split": "beta 5%", "secret": "0123456789abcdef"},
}
OWN = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "max-age=60"),
    ("Content-Length", "2000"),
]


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", list(OWN))
    return [b"x" * 2000]


@pytest.mark.parametrize("name", COMPONENTS.names())
def test_every_page_has_an_example_a_price_and_all_that_the_component_adds_to_a_response(name: str) -> None:
    page = render(COMPONENTS.get(name))
    assert page.count("```python\nfrom wsgistack import wrap\n") == 1
    assert page.count("\n- It costs ") == page.count("\n- It does not ") == 1
    (said,) = re.findall(r"^- In the response: (.*)", page, re.MULTILINE)
    site = wrap(plain, {name: ASKED_FOR.get(name, True)})
    heads: list[list[tuple[str, str]]] = []
    for _ in range(2):  # the second may come out of a cache
        environ: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_ACCEPT_ENCODING": "gzip"}
        setup_testing_defaults(environ)
        body = site(environ, lambda status, headers, exc_info=None: heads.append(headers))  # type: ignore[arg-type]
        b"".join(body)
        getattr(body, "close", lambda: None)()
        assert [
            field for field, value in heads[-1] if (field, value) not in OWN and f"`{field}`" not in said
        ] == []
