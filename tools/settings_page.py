"""Write docs/settings.md from the settings tables of the package; run by `make docs`."""

import argparse
import importlib
import sys
from pathlib import Path

from wsgistack.settings import Setting, Table

__all__ = ["PAGE", "find_tables", "render", "render_rows"]

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "settings.md"
HEAD = """# Settings

This page is written by `make docs` from the tables in the code.
[admin.md](admin.md) says how a setting is set.
Durations are `5`, `5s`, `200ms`, `2m` or `1h`, without a unit in seconds; sizes are `10b`, `120k` or `2m`, without a unit in bytes; switches are `on` or `off`.
"""
COLUMNS = "\n| name | kind | default | meaning |\n|---|---|---|---|\n"
LATER = "\nKnown and not available yet; anything but the default is refused by name:\n"


def find_tables() -> list[tuple[str, Table]]:
    """Return every settings table of the package with the module that holds it, by module."""
    tables = []
    for path in sorted((ROOT / "wsgistack").rglob("*.py")):
        if "Table(" in path.read_text():
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name)
            tables += [(name, value) for value in vars(module).values() if isinstance(value, Table)]
    return tables


def render(tables: list[tuple[str, Table]]) -> str:
    """Return the page's text."""
    parts = [HEAD]
    for module, table in tables:
        rows = sorted(table, key=lambda row: row.role == "*")
        now = [row for row in rows if row.available]
        later = [row for row in rows if not row.available]
        parts.append(f"\n## {table.owner.capitalize()} settings\n\nFrom `{module}`.\n")
        parts.append(render_rows(now))
        if later:
            parts.append(LATER + render_rows(later))
    return "".join(parts)


def render_rows(rows: list[Setting]) -> str:
    """Return the Markdown table of *rows*, after an empty line."""
    return COLUMNS + "".join(map(_line, rows))


def _line(row: Setting) -> str:
    default = row.kind.show(row.default)
    shown = f"`{default}`" if default else ""
    meaning = row.help.replace("|", "\\|")
    if row.sets:
        meaning = f"sets {', '.join(f'`{name}`' for name in row.sets)}; {meaning}"
        shown = ""
    return f"| `{row.name}` | {row.kind.name} | {shown} | {meaning}{_bounds(row)} |\n"


def _bounds(row: Setting) -> str:
    """Return ` (1 to 64)` and the like; the kinds themselves exclude what is below 0."""
    low = "" if row.least is None else f"from {row.kind.show(_number(row.least))} "
    high = "" if row.most is None else f"up to {row.kind.show(_number(row.most))}"
    return f" ({low}{high})".replace(" )", ")") if low or high else ""


def _number(bound: float) -> float:
    return int(bound) if bound == int(bound) else bound


def main() -> int:
    """Write the page, or say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    text = render(find_tables())
    if parser.parse_args().write:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE.relative_to(ROOT)} is not current: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
