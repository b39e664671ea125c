"""The archive and the wheel, built and installed as a stranger would; run by `make package`.

Outside of `make test`, because everything is compiled anew and pip fetches what the package needs.
Says how long each step took; the first that fails ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["faults_of_archive", "faults_of_wheel", "main"]

ROOT = Path(__file__).parent.parent
WRONG = 2  # exit status of `check` for a file with errors
UNAVAILABLE = 3  # exit status of what needs a module that is not compiled
IN_ARCHIVE = (
    *("LICENSE", "README.md", "MANIFEST.in", "pyproject.toml", "setup.py", "Makefile", "PKG-INFO"),
    *("wsgistack/py.typed", "wsgistack/balancer/plane/plane.pyx", "wsgistack/balancer/plane/wire.pxd"),
    *("docs/man/wsgistack.md", "docs/index.md", "demo/__main__.py", "tests/conftest.py"),
)
IN_WHEEL = (
    "wsgistack/__init__.py",
    "wsgistack/py.typed",
    "wsgistack/balancer/plane/wire.pyi",
    "dist-info/licenses/LICENSE",
    "dist-info/entry_points.txt",
)
COMPILED = ("wsgistack/balancer/plane/plane.", "wsgistack/store/shm/", "wsgistack/ratelimit/taking_cy.")
SITE = """
from wsgiref.util import setup_testing_defaults
from wsgistack import wrap

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")])
    return [b"hello"]

site = wrap(app, request_id=True, rate_limit="2/day", page_cache=True, compression=True, metering=True)
said = []
for _ in range(3):
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    setup_testing_defaults(environ)
    b"".join(site(environ, lambda status, headers, exc_info=None: said.append(status[:3])))
assert said == ["200", "200", "429"], said
"""

SRV = """
CREATE POOL mypool
  POOL mypool ADD srv:_http._tcp.app.example
CREATE SERVICE mysite
  SET listen = 127.0.0.1:8080
  SET role = reverse_proxy
  SET pool = mypool
ENABLE mysite
"""


def faults_of_archive(names: Iterable[str]) -> list[str]:
    """Return what is wrong with the files of an sdist, its own folder left out."""
    names = set(names)
    missing = [f"the archive lacks {name}" for name in IN_ARCHIVE if name not in names]
    strange = [
        name
        for name in names
        if name.startswith("build/")
        or name.endswith((".so", ".pyc"))
        or (name.startswith("wsgistack/") and name.endswith(".c"))
    ]
    return missing + [f"the archive has {name}" for name in sorted(strange)]


def faults_of_wheel(names: Iterable[str]) -> list[str]:
    """Return what is wrong with the files of a wheel."""
    names = list(names)
    missing = [end for end in IN_WHEEL if not any(name.endswith(end) for name in names)]
    missing += [f"{start}*.so" for start in COMPILED if not any(_is_compiled(start, one) for one in names)]
    strange = [
        name for name in names if name.endswith((".pyx", ".pxd", ".c")) or not name.startswith("wsgistack")
    ]
    return [f"the wheel lacks {one}" for one in missing] + [f"the wheel has {one}" for one in strange]


def _is_compiled(start: str, name: str) -> bool:
    return name.startswith(start) and name.endswith(".so")


def run(what: str, command: list[str], expected: int = 0, **environment: str) -> str:
    """Run *command* outside of the project; return what it printed, and end all if it failed."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd="/", env=os.environ | environment, capture_output=True, text=True, check=False
    )
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)
    if done.returncode != expected:
        sys.exit(f"{what}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def end_with(faults: list[str]) -> None:
    """End all if there are *faults*."""
    if faults:
        sys.exit("\n".join(faults))


def make_environment(folder: Path) -> str:
    """Return the Python of a new, empty environment."""
    run("an empty environment", [sys.executable, "-m", "venv", str(folder)])
    return str(folder / "bin" / "python")


def try_wheel(folder: Path, wheel: Path) -> None:
    """Install *wheel* and use it, then with its extras."""
    python = make_environment(folder)
    program = str(folder / "bin" / "wsgistack")
    run("install the wheel", [python, "-m", "pip", "install", "-q", str(wheel)])
    said = run("wsgistack --version", [program, "--version"])
    if version("wsgistack") not in said:
        sys.exit(f"--version says {said!r}")
    run("a wrapped application", [python, "-W", "error", "-c", SITE])
    conf, srv = folder / "demo.conf", folder / "srv.conf"
    conf.write_text((ROOT / "demo" / "demo.conf").read_text())
    srv.write_text(SRV)
    run("check a configuration", [program, "check", str(conf)])
    said = run("SRV records are refused", [program, "check", str(srv)], expected=WRONG)
    if "pip install 'wsgistack[dns]'" not in said:
        sys.exit(f"check says {said!r}")
    said = run("install its extras", [python, "-m", "pip", "install", "-q", f"{wheel}[brotli,dns]"])
    if "does not provide the extra" in said:
        sys.exit(f"pip says {said!r}")
    run("pip check", [python, "-m", "pip", "check"])
    run("SRV records are taken", [program, "check", str(srv)])


def try_archive(folder: Path, archive: Path) -> None:
    """Install *archive* where nothing can be compiled, and use what is pure."""
    python = make_environment(folder)
    # setuptools finds the compiler by CC; no tool that it would take instead is looked for.
    command = [python, "-m", "pip", "install", "-q", str(archive)]
    run("install the archive without a compiler", command, CC="/bin/false")
    run("a wrapped application, uncompiled", [python, "-W", "error", "-c", SITE])
    words = [str(folder / "bin" / "wsgistack"), "balancer", "--listen", "127.0.0.1:0", "127.0.0.1:9"]
    said = run("the balancer says what is missing", words, expected=UNAVAILABLE)
    if len(said.strip().splitlines()) != 1 or "compile" not in said:
        sys.exit(f"the balancer says {said!r}")


def main() -> int:
    """Build both, look into them, install both."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "build", "-q", "--outdir", name]
        run("build the archive", [*build, "--sdist", str(ROOT)])
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            end_with(faults_of_archive(one.partition("/")[2] for one in opened.getnames()))
            opened.extractall(folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        run(
            "build the wheel from the archive",
            [*build, "--wheel", str(unpacked)],
            WSGISTACK_COMPILED="required",
        )
        (wheel,) = folder.glob("*.whl")
        end_with(faults_of_wheel(zipfile.ZipFile(wheel).namelist()))
        try_wheel(folder / "with", wheel)
        try_archive(folder / "without", archive)
    print("package: the archive and the wheel install and work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
