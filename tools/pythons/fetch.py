"""Pyodide from npm, and the packages of requirements/dev.txt for its Python, both below .cache/pythons."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["VERSIONS", "choose_pins", "fetch_packages", "fetch_pyodide"]

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "pythons"
VERSIONS = {"3.12": "0.27.7", "3.13": "0.29.0", "3.14": "314.0.0"}  # of Python, and the pyodide that is it
PIN = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; (.*?))? \\?$", re.MULTILINE)
# Not for tests in a WebAssembly: servers, linters, what is compiled and nothing else, what pytest shall do without.
UNWANTED = (
    *("ast-serialize", "brotli", "build", "cffi", "colorama", "coverage", "cython", "cython-lint", "execnet"),
    *(
        "gevent",
        "granian",
        "greenlet",
        "httptools",
        "librt",
        "mypy",
        "mypy-extensions",
        "pathspec",
        "py-cpuinfo2",
    ),
    *("pycodestyle", "pycparser", "pyproject-hooks", "pytest-benchmark", "pytest-cov", "pytest-timeout"),
    *("pytest-xdist", "pyuwsgi", "ruff", "tokenize-rt", "zope-event"),
)
# The last of hypothesis that is plain Python, and the time zones, which Debian has and a WebAssembly has not.
OTHERS = {"hypothesis": "6.155.7", "tzdata": None}
# Of a package with a compiled half, any wheel does: the plain half is used.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")


def choose_pins(text: str, version: str) -> list[str]:
    """Return what of the requirements *text* is installed for the tests under Python *version*."""
    chosen = dict.fromkeys(name if pin is None else f"{name}=={pin}" for name, pin in OTHERS.items())
    for name, pin, marker in PIN.findall(text):
        if name not in UNWANTED and name not in OTHERS and _holds(marker, version):
            chosen[f"{name}=={pin}"] = None
    return list(chosen)


def _holds(marker: str, version: str) -> bool:
    """Return whether a marker about Python's version holds; no other is in what is wanted."""
    found = re.fullmatch(r"python_full_version (<|>=) '3\.(\d+)'", marker)
    if found is None:
        return not marker
    minor = int(version.partition(".")[2])
    return minor < int(found[2]) if found[1] == "<" else minor >= int(found[2])


def fetch_pyodide(version: str) -> Path:
    """Return the folder of pyodide for Python *version*, fetched now if it is not there yet."""
    folder = CACHE / f"pyodide-{VERSIONS[version]}"
    made = folder / "node_modules" / "pyodide"
    if not (made / "pyodide.mjs").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save"]
        subprocess.run([*npm, f"pyodide@{VERSIONS[version]}"], cwd=folder, check=True)
    return made


def fetch_packages(version: str) -> Path:
    """Return the folder with the packages for Python *version*, made anew when what is wanted changed."""
    folder = CACHE / f"site-{version}"
    wanted = choose_pins((ROOT / "requirements" / "dev.txt").read_text(), version)
    mark = folder / "wanted"
    if not mark.is_file() or mark.read_text().splitlines() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        with TemporaryDirectory() as wheels:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            pip += ["--only-binary=:all:", f"--python-version={version}", f"--dest={wheels}"]
            pip += [f"--platform={platform}" for platform in (*PLATFORMS, "any")]
            subprocess.run([*pip, *wanted], check=True)
            for wheel in Path(wheels).iterdir():
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(folder)
        mark.write_text("\n".join(wanted) + "\n")
    return folder
