"""Write docs/components/NAME.md from the table and the docstring of each component; run by `make docs`."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from textwrap import dedent

from tools.generated import ROOT, keep, sentences
from tools.settings_page import render_rows
from wsgistack.components import COMPONENTS, Component
from wsgistack.errors import ConfigurationError
from wsgistack.stack import ORDERS

__all__ = ["FOLDER", "render", "render_all"]

FOLDER = ROOT / "docs" / "components"
CODE = re.compile(r"^\n(?:    .*\n|\n(?=    ))+", re.MULTILINE)  # indented, behind an empty line
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
NOTE = "\nThis page is written by `make docs` from `wsgistack/components/{name}.py`.\n"


def render_all() -> dict[Path, str]:
    """Return {path: text} of the pages of all components."""
    return {FOLDER / f"{name}.md": render(component) for name, component in COMPONENTS}


def render(component: Component) -> str:
    """Return one component's page: what it is for, how it is asked for, its settings, its neighbours."""
    name = component.name
    module = importlib.import_module(f"wsgistack.components.{name}")
    parts = [f"# The component {name}\n\n{_sentence(component.help)}\n", NOTE.format(name=name)]
    parts.append(f"\n{_describe(inspect.getdoc(module) or '')}\n")
    parts.append(f"\n## In a stack\n\n{_ways(component)}")
    parts.append("\n## Settings\n" + render_rows([row for row in component.settings if row.available]))
    if component.objects:
        names = ", ".join(f"`{one}`" for one in component.objects)
        parts.append(f"\nThese take Python objects: {names}.\n")
    if reasons := list(_neighbours(name)):
        parts.append("\n## Its place\n\n" + "".join(reasons))
    return "".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _describe(doc: str) -> str:
    """Return the docstring without its first words, which are the name again; its code is fenced."""
    text = sentences(doc.partition(": ")[2])
    text = CODE.sub(_fence, text[:1].upper() + text[1:])
    return DOCTEST.sub(r"```pycon\n\g<0>\n```", text)


def _fence(found: re.Match[str]) -> str:
    return f"\n```python\n{dedent(found[0]).strip()}\n```\n"


def _ways(component: Component) -> str:
    name, main = component.name, component.main
    lines = [f"- `wrap(application, {name}=True)`: {_bare(component)}\n"]
    if main:
        lines.append(f"- `wrap(application, {name}=VALUE)`: *VALUE* is its `{main}`.\n")
    lines.append(f'- `wrap(application, {name}={{"SETTING": VALUE}})`: any of the settings below.\n')
    lines.append(f"- In TOML they stand below `[wsgistack.{name}]`.\n")
    return "".join(lines)


def _bare(component: Component) -> str:
    """Return what comes of asking for *component* and saying nothing else."""
    try:
        component.make(lambda environ, start_response: [])
    except ConfigurationError as error:
        why = "; ".join(getattr(error, "texts", ()) or str(error).splitlines())
        return f"is refused: {why}."
    return "with the defaults below."


def _neighbours(name: str) -> list[str]:
    lines = [f"- outside of `{inner}`, else {why};\n" for outer, inner, why in ORDERS if outer == name]
    lines += [f"- inside of `{outer}`, else {why};\n" for outer, inner, why in ORDERS if inner == name]
    return [*lines[:-1], *(line.replace(";\n", ".\n") for line in lines[-1:])]


if __name__ == "__main__":
    sys.exit(keep(render_all(), FOLDER, doc=__doc__))
