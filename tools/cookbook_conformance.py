"""The cookbook's files of other programs, looked at by those programs; run by `make conformance-cookbook`.

Outside of `make test`, because it needs systemd-analyze, nginx, HAProxy and keepalived; it says which of them is not here,
and fails if none is.  Nothing is started or installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["blocks_of", "check_front", "check_pair", "check_site", "check_units", "main"]

PAGE = Path(__file__).parent.parent / "docs" / "cookbook.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNITS = ("mysite@.service", "wsgistack.service")  # in the order of the page
# What a unit names need not be on this machine: it is the unit that is looked at.
PROGRAM = re.compile(r"^(Exec\w+=)\S+", re.MULTILINE)
OF_HERE = re.compile(r"^(User|WorkingDirectory)=.*\n", re.MULTILINE)
SCRIPT = re.compile(r'^(\s*script) "\S+', re.MULTILINE)
# keepalived 2.2 with -t kills itself after it has looked at a script as another user.
SCRIPT_USER = re.compile(r"^(\s*script_user) .*", re.MULTILINE)
INTERFACE = re.compile(r"^(\s*interface) .*", re.MULTILINE)
TLS = re.compile(r"^(\s*bind) :443 ssl crt \S+ alpn \S+$", re.MULTILINE)  # a certificate need not be here
LOOPBACK, MULTICAST = 0x8, 0x1000  # linux/if.h
SITE = "pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\nserver {{\nlisten 127.0.0.1:8081;\n{block}}}\n}}\n"


def blocks_of(page: str, kind: str) -> list[str]:
    """Return the code blocks of a page that are marked as *kind*."""
    return [found[2] for found in BLOCK.finditer(page) if found[1] == kind]


def check_units(page: str, folder: Path, program: str) -> str:
    """Return what systemd-analyze complains of in the units of *page*."""
    paths = []
    for name, text in zip(UNITS, blocks_of(page, "ini"), strict=True):
        path = folder / name.replace("@", "@1")
        path.write_text(OF_HERE.sub("", PROGRAM.sub(r"\1/bin/true", text)))
        paths.append(str(path))
    return _ask([program, "verify", "--man=no", *paths])


def check_site(page: str, folder: Path, program: str) -> str:
    """Return what nginx complains of in the locations of *page*."""
    path = folder / "nginx.conf"
    path.write_text(SITE.format(folder=folder, block="\n".join(blocks_of(page, "nginx"))))
    return _ask([program, "-t", "-q", "-p", str(folder), "-c", str(path)])


def check_front(page: str, folder: Path, program: str) -> str:
    """Return what HAProxy complains of in the file of *page*."""
    (text,) = blocks_of(page, "haproxy")
    path = folder / "haproxy.cfg"
    path.write_text(TLS.sub(r"\1 127.0.0.1:8443", text))
    return _ask([program, "-c", "-q", "-f", str(path)])


def check_pair(page: str, folder: Path, program: str) -> str:
    """Return what keepalived complains of in the file of *page*."""
    (text,) = blocks_of(page, "text")
    for pattern, value in ((SCRIPT, '"/usr/bin/true'), (SCRIPT_USER, "root"), (INTERFACE, _find_interface())):
        text = pattern.sub(rf"\1 {value}", text)
    path = folder / "keepalived.conf"
    path.write_text(text)
    return _ask([program, "-t", "-f", str(path)])


def _find_interface() -> str:
    """Return one that multicast can leave by, keepalived wants nothing else; that of the page if there is none."""
    for flags in sorted(Path("/sys/class/net").glob("*/flags")):
        if int(flags.read_text(), 16) & (LOOPBACK | MULTICAST) == MULTICAST:
            return flags.parent.name
    return "eth0"


def _ask(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = (done.stdout + done.stderr).strip()
    return said if said or done.returncode == 0 else f"exit status {done.returncode}"


CHECKS: dict[str, Callable[[str, Path, str], str]] = {
    "systemd-analyze": check_units,
    "nginx": check_site,
    "haproxy": check_front,
    "keepalived": check_pair,
}


def _look(page: str) -> Iterator[tuple[str, str | None]]:
    """Yield each program with what it says, None if it is not here."""
    for name, check in CHECKS.items():
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if program is None:
            yield name, None
            continue
        with TemporaryDirectory() as folder:
            yield name, check(page, Path(folder), program)


def main() -> int:
    """Print what each program says of docs/cookbook.md; 1 if one complains, or none is here."""
    said = dict(_look(PAGE.read_text()))
    for name, words in said.items():
        print(f"{name}: {'not on this machine' if words is None else words or 'no complaint'}")
    return 0 if any(words == "" for words in said.values()) and not any(said.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
