"""What the package offers: its names exist, are documented, and cost nothing to import."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wsgistack
from tests.house.source import ROOT, find_files, parse_python

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PUBLIC: list[str] = list(getattr(wsgistack, "__all__", []))


def test_every_public_name_exists() -> None:
    assert [name for name in PUBLIC if getattr(wsgistack, name, None) is None] == []


def test_every_public_name_is_in_the_documentation() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    names = [name for name in PUBLIC if not name.startswith("__")]
    assert [name for name in names if not re.search(rf"\bwsgistack\.{name}\b|import {name}\b", pages)] == []


def test_the_documentation_imports_only_public_names() -> None:
    imported = {
        (page.name, name.strip())
        for page in PAGES
        for names in re.findall(r"^from wsgistack import (.+)$", page.read_text(), re.MULTILINE)
        for name in names.split(",")
    }
    assert [(page, name) for page, name in imported if name not in PUBLIC] == []


@pytest.mark.parametrize("path", find_files("*.py", rooms=["wsgistack"]), ids=lambda path: str(path.name))
def test_a_module_says_what_it_is_and_offers_only_what_it_has(path: Path) -> None:
    tree = parse_python(path)
    assert ast.get_docstring(tree) or not tree.body, f"{path} has no docstring"
    missing = offered_names(tree) - defined_names(tree)
    assert missing == set() or "__getattr__" in defined_names(tree), f"{path}: __all__ names {missing}"


def offered_names(tree: ast.Module) -> set[str]:
    """Return the names in the module's `__all__`, as far as it is a literal."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List | ast.Tuple):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "__all__":
                return {item.value for item in node.value.elts if isinstance(item, ast.Constant)}  # type: ignore[misc]  # strings, by convention
    return set()


def defined_names(tree: ast.Module) -> set[str]:
    """Return the names that the module's top level binds, also below `if` and `try`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names


def test_importing_the_package_imports_no_gevent_and_nothing_compiled() -> None:
    program = (
        "import sys, wsgistack\n"
        "print([name for name in sys.modules if name.startswith(('gevent', 'wsgistack.balancer'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
