"""Write docs/man/*.md, the sources of the man pages, from --help and the tables; run by `make docs`.

One for the program, one for each sub-command, and wsgistack.conf(5); sphinx makes man pages of them.
"""

import argparse
import sys
from pathlib import Path

from tools.generated import ROOT, keep
from tools.settings_page import find_tables
from wsgistack.balancer.language.command import Command
from wsgistack.balancer.language.commands import COMMANDS as LANGUAGE
from wsgistack.cli import COMMANDS, DESCRIPTION, make_parser
from wsgistack.settings import Setting, Table

__all__ = ["FOLDER", "render_all", "render_command", "render_configuration", "render_program"]

FOLDER = ROOT / "docs" / "man"
NOTE = "% Written by `make docs` from the command line's own help and the tables in the code.\n\n"
STATUS = """
## Exit status

0
: done

1
: refused, or not started

2
: wrong usage, or a wrong file

3
: not all of wsgistack is installed
"""
MORE = {
    "balancer": """
## Signals

SIGTERM, SIGINT
: stop accepting, finish what runs within `drain_timeout`, end; a second one ends at once

SIGHUP
: read the file again, and do what differs; a file with an error changes nothing

SIGUSR1
: open the access log anew

SIGUSR2
: start the program anew, and hand the listening sockets over to it

## Examples

`wsgistack balancer /etc/wsgistack.conf`

`wsgistack balancer --listen 127.0.0.1:8080 --admin 127.0.0.1:60000 127.0.0.1:8001 127.0.0.1:8002`
""",
    "check": """
## Examples

`wsgistack check /etc/wsgistack.conf`
""",
    "admin": """
## Examples

`wsgistack admin 127.0.0.1:60000 show pool mypool`

`wsgistack admin 127.0.0.1:60000 pool mypool add 10.0.0.9:8000`
""",
}
CONFIGURATION = """
## Description

A configuration is a list of commands, one a line.
Everything from `#` on is a comment, blank lines are nothing.
`CREATE` and `USE` say which pool or service the following `SET` lines mean.
The admin port takes the same commands while the balancer runs; `wsgistack check FILE` tells every error of a file.
Durations are `5`, `5s`, `200ms`, `2m` or `1h`; sizes `10b`, `120k` or `2m`; switches `on` or `off`.

## Example

```conf
CREATE POOL mypool
  POOL mypool ADD 127.0.0.1:8001
  POOL mypool ADD 127.0.0.1:8002

CREATE SERVICE mysite
  SET listen = 127.0.0.1:8080
  SET role = reverse_proxy
  SET pool = mypool
ENABLE mysite
```
"""


def render_all() -> dict[Path, str]:
    """Return {path: text} of all of them."""
    pages = {"wsgistack": render_program(), "wsgistack.conf": render_configuration()}
    for name in COMMANDS:
        pages[f"wsgistack-{name}"] = render_command(name)
    return {FOLDER / f"{name}.md": text for name, text in pages.items()}


def render_program() -> str:
    """Return wsgistack(1)."""
    rows = "".join(f"\nwsgistack-{name}(1)\n: {row[0]}\n" for name, row in COMMANDS.items())
    parser = make_parser()
    return (
        f"{NOTE}# wsgistack\n\n{DESCRIPTION}\n{_synopsis(parser)}\n## Commands\n{rows}"
        f"\n## Options\n{_arguments(parser)}{STATUS}{_see_also('wsgistack')}"
    )


def render_command(name: str) -> str:
    """Return wsgistack-NAME(1)."""
    help_text, fill, _ = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"wsgistack {name}", description=help_text)
    fill(parser)
    title = f"wsgistack-{name}"
    return (
        f"{NOTE}# {title}\n\n{help_text[:1].upper()}{help_text[1:]}.\n{_synopsis(parser)}"
        f"\n## Arguments\n{_arguments(parser)}{MORE[name]}{STATUS}{_see_also(title)}"
    )


def render_configuration() -> str:
    """Return wsgistack.conf(5)."""
    commands = [LANGUAGE.get(name) for name in LANGUAGE.names()]
    rows = "".join(map(_command, (command for command in commands if command.example)))
    tables = [table for module, table in find_tables() if module.startswith("wsgistack.balancer.")]
    return (
        f"{NOTE}# wsgistack.conf\n\nThe balancer's configuration, and the language of its admin port.\n"
        f"{CONFIGURATION}\n## Commands\n{rows}{''.join(map(_settings, tables))}{_see_also('wsgistack.conf')}"
    )


def _synopsis(parser: argparse.ArgumentParser) -> str:
    parser.color = False  # type: ignore[attr-defined]  # since Python 3.14 a terminal gets colours
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return f"\n## Synopsis\n\n`{usage}`\n"


def _arguments(parser: argparse.ArgumentParser) -> str:
    return "".join(
        f"\n{_form(action)}\n: {action.help}\n"
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    )


def _form(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _command(command: Command) -> str:
    return f"\n`{command.usage}`\n: {command.help}; such as `{command.example}`\n"


def _settings(table: Table) -> str:
    rows = "".join(_setting(row) for row in table if row.available)
    return f"\n## {table.owner.capitalize()} settings\n{rows}"


def _setting(row: Setting) -> str:
    default = row.kind.show(row.default)
    shown = f", by default `{default}`" if default and default != '""' else ""
    return f"\n`{row.name}` ({row.kind.name}{shown})\n: {row.help}\n"


def _see_also(but: str) -> str:
    names = ["wsgistack(1)", *(f"wsgistack-{name}(1)" for name in COMMANDS), "wsgistack.conf(5)"]
    return "\n## See also\n\n" + ", ".join(name for name in names if name.partition("(")[0] != but) + "\n"


if __name__ == "__main__":
    sys.exit(keep(render_all(), FOLDER, doc=__doc__))
