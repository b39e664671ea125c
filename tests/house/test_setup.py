"""What setup.py says of the compiled modules holds."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def said() -> dict[str, set[str]]:
    """The names of setup.py, which builds nothing when it is not the program."""
    return runpy.run_path(str(ROOT / "setup.py"))


@pytest.mark.parametrize("names", ["FACES", "UNHURRIED"])
def test_every_module_that_setup_names_is_there(said: dict[str, set[str]], names: str) -> None:
    assert [path for path in sorted(said[names]) if not (ROOT / path).is_file()] == []


def test_nothing_that_is_installed_needs_what_tests_alone_import(said: dict[str, set[str]]) -> None:
    faces = "|".join(Path(path).stem for path in said["FACES"])
    imports = re.compile(rf"plane\.({faces}) import\b|plane import .*\b({faces})\b", re.MULTILINE)
    sources = [*ROOT.glob("wsgistack/**/*.py"), *ROOT.glob("wsgistack/**/*.pyx")]
    assert len(sources) > 100
    assert [str(path) for path in sources if imports.search(path.read_text())] == []
