"""setup.py compiles what changed, what depends on it and all when it changed itself, and says what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.source import ROOT

# Stands in for gcc: writes what it is told to write, of nothing, unless it is a module that cannot be compiled.
COMPILER = """#!/bin/sh
case "$*" in *-c*broken.c*) echo "no such type" >&2; exit 1;; esac
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then : > "$2"; fi; shift; done
"""
FILES = {
    "wsgistack/__init__.py": "",
    "wsgistack/alone.pyx": "cdef int nothing\n",
    "wsgistack/base.pxd": "cdef int number\ncdef inline int twice(int one) noexcept:\n    return 2 * one\n",
    "wsgistack/base.pyx": "cdef int number = 1\n",
    "wsgistack/user.pyx": "from wsgistack.base cimport number, twice\nshown = twice(number)\n",
}
Build = Callable[[], subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three small modules, compiled."""
    folder = tmp_path_factory.mktemp("built")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (folder / "setup.cfg").write_text("[metadata]\nname = small\n[options]\npackages = wsgistack\n")
    shutil.copy(ROOT / "setup.py", folder)
    compiler = folder / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    done = compile_in(folder)
    assert done.returncode == 0, done.stderr
    return folder


def compile_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run setup.py there, as `make build` does."""
    environment = os.environ | {"CC": str(folder / "compiler"), "WSGISTACK_COMPILED": "required"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def build(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Compile again in a copy of the folder, the current one, whose files are all some minutes old."""
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    monkeypatch.chdir(copy)
    for path in copy.rglob("*"):
        was = path.stat().st_mtime - 600
        os.utime(path, (was, was))
    return lambda: compile_in(copy)


def times(pattern: str) -> dict[str, float]:
    """When each file was made, by the name of its module."""
    return {path.name.partition(".")[0]: path.stat().st_mtime for path in Path().glob(pattern)}


def test_what_changed_and_what_depends_on_it_is_compiled_again(build: Build) -> None:
    before = times("wsgistack/*.so")
    Path("wsgistack/base.pxd").touch()
    assert build().returncode == 0
    after = times("wsgistack/*.so")
    assert {name for name in after if after[name] > before[name] + 300} == {"base", "user"}


def test_a_change_of_setup_compiles_all_and_a_module_that_is_gone_comes_back(build: Build) -> None:
    before = times("build/cython/**/*.c")
    next(Path("wsgistack").glob("alone.*.so")).unlink()
    Path("setup.py").touch()
    assert build().returncode == 0
    assert times("wsgistack/*.so").keys() == {"alone", "base", "user"}
    after = times("build/cython/**/*.c")
    assert {name for name in after if after[name] > before[name] + 300} == {"alone", "base", "user"}


def test_what_cannot_be_compiled_is_named_and_the_build_ends(build: Build) -> None:
    Path("wsgistack/broken.pyx").write_text("cdef int nothing\n")
    done = build()
    assert done.returncode == 1
    assert "no such type" in done.stderr
    assert "wsgistack.broken: command " in done.stderr
    assert "not everything is compiled" in done.stderr
    assert "is not here" not in done.stderr


def test_a_compiler_that_is_missing_is_told_with_what_to_install(build: Build) -> None:
    compiler = Path("compiler").resolve()
    compiler.unlink()
    Path("setup.py").touch()
    done = build()
    assert done.returncode == 1
    told = f"the C compiler '{compiler}' is not here; on Debian: sudo apt-get install gcc libc6-dev"
    assert done.stderr.splitlines()[-1] == told


def test_what_cython_refuses_is_named_whether_a_module_or_its_declarations_are_wrong(build: Build) -> None:
    Path("wsgistack/wrong.pyx").write_text("cdef int = 1\n")
    done = build()
    assert done.returncode == 1
    assert "wrong.pyx:1:" in done.stderr
    assert "wsgistack.wrong: Cython does not translate wsgistack/wrong.pyx" in done.stderr
    Path("wsgistack/wrong.pyx").write_text("cdef int right\n")
    Path("wsgistack/wrong.pxd").write_text("cdef int = 1\n")
    done = build()
    assert done.returncode == 1
    assert "wrong.pxd:1:" in done.stderr


def test_declarations_that_are_read_once_for_all_make_the_same_c(build: Build) -> None:
    def lines() -> dict[str, list[str]]:
        metadata = re.compile(r"/\* BEGIN: Cython Metadata.*?END: Cython Metadata \*/\n*", re.DOTALL)
        made = {path.stem: path.read_text() for path in Path("build/cython/wsgistack").glob("*.c")}
        return {
            stem: sorted(filter(None, metadata.sub("", text).splitlines())) for stem, text in made.items()
        }

    together = lines()
    assert together.keys() == {"alone", "base", "user"}
    assert "twice" in "".join(together["user"]) and "twice" not in "".join(together["alone"])
    setup = Path("setup.py")
    text = setup.read_text()
    alone = re.sub(r"^KNOWN_CYTHONS = .+$", 'KNOWN_CYTHONS = ("none",)', text, flags=re.MULTILINE)
    assert alone != text
    setup.write_text(alone)
    assert build().returncode == 0
    assert lines() == together
