"""Installed where no C compiler works: the package imports, and the balancer says what is missing."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, tracked_files
from tools.package_check import faults_of_archive

# The first of them copies and installs the project; how long that takes is the machine's affair.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that holds what git tracks, and the C files that Cython has made already."""
    folder = tmp_path_factory.mktemp("checkout")
    for path in tracked_files():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    shutil.copytree(ROOT / "build" / "cython", folder / "build" / "cython")
    return folder


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder into which pip installed the package without a compiler."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    environment = os.environ | {"CC": "/bin/false"}
    environment.pop("WSGISTACK_COMPILED", None)
    command = [*pip, "--target", str(target), str(checkout)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(target.rglob("wsgistack/**/*.so")) == []
    yield target


def run_python(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the package from *installed* instead of the project's own."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=installed, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_package_imports(installed: Path) -> None:
    done = run_python(installed, "-c", "import wsgistack; print(wsgistack.__file__)")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize(
    "words", [["--listen", "127.0.0.1:0", "127.0.0.1:9"], [str(ROOT / "demo" / "demo.conf")]]
)
def test_the_balancer_explains_in_one_sentence(installed: Path, words: list[str]) -> None:
    done = run_python(installed, "-m", "wsgistack", "balancer", *words)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "compile" in done.stderr


def test_the_shared_store_explains_in_one_sentence_and_memory_works(installed: Path) -> None:
    done = run_python(
        installed,
        "-c",
        "from wsgistack import make_store; from wsgistack.errors import ConfigurationError\n"
        "make_store('memory://').set('key', b'value', 60)\n"
        "try: make_store('shm:///name')\n"
        "except ConfigurationError as error: print(error)\n",
    )
    assert done.returncode == 0, done.stderr
    assert "shm:// needs its compiled module" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_without_cython_the_build_says_what_to_install(checkout: Path) -> None:
    program = (
        "import sys, runpy; sys.modules['Cython.Build'] = None; runpy.run_path('setup.py', None, '__main__')"
    )
    command = [sys.executable, "-c", program, "build_ext"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'Cython" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_source_archive_holds_what_a_build_needs(checkout: Path, tmp_path: Path) -> None:
    program = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    sources = [path.relative_to(checkout) for path in (checkout / "wsgistack").rglob("*.p*x*")]
    assert {str(path) for path in sources if path.suffix in (".pyx", ".pxd")} <= names
    assert {"wsgistack/py.typed", "docs/man/wsgistack.md", "tests/conftest.py"} <= names
    assert faults_of_archive(names) == []
