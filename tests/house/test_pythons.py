"""What the Pythons from 3.11 to 3.14 do in different ways is written so that all do the same."""

import ast
from pathlib import Path

import pytest

from tests.house.source import ROOT, find_files, parse_python
from tools.man_pages import render_all

# Since 3.12 isinstance with a protocol sees only what is written down, no longer what __getattr__ makes.
# Ours are asked by functions such as store.base.is_store.
BY_ISINSTANCE = "runtime_checkable"


@pytest.mark.parametrize("path", find_files("*.py", rooms=["wsgistack"]), ids=lambda path: path.name)
def test_no_protocol_is_asked_by_isinstance(path: Path) -> None:
    names = {
        (node.id if isinstance(node, ast.Name) else node.name, node.lineno)
        for node in ast.walk(parse_python(path))
        if isinstance(node, ast.Name | ast.alias)
    }
    lines = [line for name, line in names if name.endswith(BY_ISINSTANCE)]
    assert lines == [], f"{path.relative_to(ROOT)}: since Python 3.12 it does not see what __getattr__ makes"


def test_pages_have_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as good as a terminal
    assert [str(path) for path, text in render_all().items() if "\x1b" in text] == []


def test_no_compiled_module_says_that_it_needs_no_gil() -> None:
    """docs/servers.md says what a free-threaded Python does then; none was ever tried without it."""
    paths = [ROOT / "setup.py", *find_files("*.pyx", "*.pxd", rooms=["wsgistack"])]
    assert [path.name for path in paths if "freethreading_compatible" in path.read_text()] == []
