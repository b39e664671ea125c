"""Unpack Debian packages below .cache/: no root, no service started, nothing installed.

Used for what a fresh machine lacks and the tests need: the real memcached, Python's headers.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["Unavailable", "library_path", "unpack"]

CACHE = Path(__file__).parent.parent / ".cache" / "debian"


class Unavailable(Exception):
    """A package could not be fetched; the message says why."""


def unpack(packages: list[str], *, cache: Path = CACHE) -> Path:
    """Return the folder that holds the unpacked *packages*, fetched once; other processes wait meanwhile."""
    tree = cache / packages[0]
    if (tree / ".complete").exists():
        return tree
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (tree / ".complete").exists():
            _fetch(packages, tree, cache)
    return tree


def library_path(tree: Path) -> str:
    """Return the folders of *tree* that hold shared libraries, in LD_LIBRARY_PATH's form."""
    folders = {path.parent for path in tree.glob("**/lib/**/*.so*")}
    return ":".join(str(folder) for folder in sorted(folders))


def _fetch(packages: list[str], tree: Path, cache: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Unavailable("apt-get and dpkg-deb are not here: this is no Debian")
    print(f"-- Debian's {packages[0]}, unpacked below {cache}", file=sys.stderr, flush=True)
    downloads = cache / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for package in packages:
        dpkg_deb = ["dpkg-deb", "-x", str(_download(package, downloads, cache)), str(tree)]
        subprocess.run(dpkg_deb, check=True)
    (tree / ".complete").touch()


def _download(package: str, downloads: Path, cache: Path) -> Path:
    """Fetch *package* with the machine's own package lists, else with lists of our own."""
    if not _apt(["download", package], downloads, []):
        options = _private_lists(cache)
        if not _apt(["update"], downloads, options) or not _apt(["download", package], downloads, options):
            raise Unavailable(f"apt-get could not download {package}")
    return max(downloads.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)


def _private_lists(cache: Path) -> list[str]:
    """Return apt's options for package lists below *cache*: the system's may be absent or not ours."""
    for folder in ("state/lists/partial", "apt/archives/partial"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::lists": cache / "state" / "lists",
        "Dir::Cache": cache / "apt",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",  # root's apt would hand the download to _apt, who may not write here
    }
    return [f"-o{name}={value}" for name, value in options.items()]


def _apt(words: list[str], folder: Path, options: list[str]) -> bool:
    command = ["apt-get", "-q", "-oAPT::Sandbox::User=root", *options, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
