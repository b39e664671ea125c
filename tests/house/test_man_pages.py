"""docs/man/ has every sub-command, every option, every command of the language and every setting."""

import pytest

from tools.generated import find_stale
from tools.man_pages import FOLDER, render_all, render_command, render_configuration, render_program
from tools.settings_page import find_tables
from wsgistack.balancer.language.commands import COMMANDS as LANGUAGE
from wsgistack.cli import COMMANDS, main


def test_the_pages_are_current() -> None:
    assert find_stale(render_all(), FOLDER) == [], "make docs"


def test_every_sub_command_has_a_page_and_stands_in_that_of_the_program() -> None:
    assert [name for name in COMMANDS if not (FOLDER / f"wsgistack-{name}.md").exists()] == []
    assert [name for name in COMMANDS if f"\nwsgistack-{name}(1)\n: " not in render_program()] == []


@pytest.mark.parametrize("name", [*COMMANDS, ""])
def test_everything_that_help_names_stands_on_the_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*filter(None, [name]), "--help"])
    shown = capsys.readouterr().out
    page = render_command(name) if name else render_program()
    options = {word.rstrip(",:]") for word in shown.replace("[", " ").split() if word.startswith("-")}
    assert "--help" in options
    assert [option for option in sorted(options) if f"`{option}" not in page] == []


def test_the_page_of_balancer_says_what_each_option_takes() -> None:
    page = render_command("balancer")
    assert "\n`-c FILE`, `--config FILE`\n: the same as FILE alone\n" in page
    assert "\n`-h`, `--help`\n: " in page


def test_the_page_of_balancer_tells_its_signals_and_that_of_admin_its_command() -> None:
    signals = ("SIGTERM, SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
    assert [one for one in signals if f"\n{one}\n: " not in render_command("balancer")] == []
    assert "\n`wsgistack admin [-h] [--token-file FILE] HOST:PORT COMMAND ...`\n" in render_command("admin")


def test_wsgistack_conf_has_every_command_and_every_setting_of_the_balancer() -> None:
    page = render_configuration()
    commands = [LANGUAGE.get(name) for name in LANGUAGE.names()]
    assert [one.word for one in commands if one.example and f"\n`{one.usage}`\n: " not in page] == []
    tables = [table for module, table in find_tables() if module.startswith("wsgistack.balancer.")]
    rows = [row for table in tables for row in table if row.available]
    assert len(rows) > 100
    assert [row.name for row in rows if f"\n`{row.name}` (" not in page] == []
