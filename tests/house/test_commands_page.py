"""docs/commands.md says what the commands say of themselves."""

from tools.commands_page import PAGE, render
from wsgistack.balancer.language.commands import COMMANDS


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render([COMMANDS.get(name) for name in COMMANDS.names()]), "make docs"


def test_a_line_has_usage_meaning_and_example() -> None:
    page = render([COMMANDS.get("show"), COMMANDS.get("enable"), COMMANDS.get("prof")])
    row = "| `SHOW {SERVICE\\|POOL} [<name>]` | list services or pools, or describe one | reads | `show pool mypool` |\n"
    assert row in page
    assert "| `ENABLE <service>` | open its ports |  | `ENABLE mysite` |\n" in page
    assert page.endswith("answer an `ERROR` that says why: `prof`.\n")
