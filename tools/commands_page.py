"""Write docs/commands.md from the commands of the language; run by `make docs`."""

import argparse
import sys
from pathlib import Path

from wsgistack.balancer.language.command import Command
from wsgistack.balancer.language.commands import COMMANDS

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
HEAD = """# All commands

This page is written by `make docs` from the commands in the code; every example is run by the tests.
[admin.md](admin.md) explains the language and its replies; `help COMMAND` shows a line of this table.
A read-only session may give the commands that say "reads".

| command | does | | example |
|---|---|---|---|
"""
ABSENT = "\nPerlbal's commands that are known and answer an `ERROR` that says why: {}.\n"


def render(commands: list[Command]) -> str:
    """Return the page's text."""
    present = [command for command in commands if command.example]
    absent = [f"`{command.word}`" for command in commands if not command.example]
    return HEAD + "".join(map(_line, present)) + ABSENT.format(", ".join(absent))


def _line(command: Command) -> str:
    usage, help_text, example = (
        text.replace("|", "\\|") for text in (command.usage, command.help, command.example)
    )
    return f"| `{usage}` | {help_text} | {'reads' if command.reads else ''} | `{example}` |\n"


def main() -> int:
    """Write the page, or say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    text = render([COMMANDS.get(name) for name in COMMANDS.names()])
    if parser.parse_args().write:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"docs/{PAGE.name} is not current: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
