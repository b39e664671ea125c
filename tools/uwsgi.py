"""Debian's uWSGI, unpacked below .cache/ (tools/debian.py): no root, nothing installed.

It is made for one version of Python, as Debian's mod_wsgi is (tools/apache.py).  Unlike the one of PyPI it has
no threads unless it is told.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from tools import debian

__all__ = ["Uwsgi", "find_uwsgi"]

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = [
    *("uwsgi-core", "uwsgi-plugin-python3"),
    *(f"libpython{VERSION}", f"libpython{VERSION}-minimal", f"libpython{VERSION}-stdlib"),
    *("libcap2", "libpcre3", "libssl3", "libuuid1", "libyajl2", "libyaml-0-2", "libxml2", "libicu72"),
    *("libzmq5", "libbsd0", "libmd0", "libnorm1", "libpgm-5.3-0", "libsodium23"),
    *("libgssapi-krb5-2", "libk5crypto3", "libkrb5-3", "libkrb5support0", "libcom-err2", "libkeyutils1"),
]


@dataclass(frozen=True, slots=True)
class Uwsgi:
    """A uWSGI that can be started: its program and plugin, where Python's own modules lie, and our packages."""

    program: str
    plugins: Path
    home: Path
    packages: Path
    library_path: str


def find_uwsgi(*, cache: Path = debian.CACHE) -> Uwsgi:
    """Return the uWSGI to start; FileNotFoundError says why there is none."""
    try:
        tree = debian.unpack(PACKAGES, cache=cache)
    except debian.Unavailable as trouble:
        raise FileNotFoundError(f"Debian's uWSGI for Python {VERSION} is missing: {trouble}") from trouble
    plugins = tree / "usr" / "lib" / "uwsgi" / "plugins"
    if not (plugins / f"python{VERSION.replace('.', '')}_plugin.so").exists():
        raise FileNotFoundError(f"Debian's uWSGI is made for another Python than {VERSION}")
    packages = next(Path(sys.prefix).glob(f"lib/python{VERSION}/site-packages"))
    program = str(tree / "usr/bin/uwsgi-core")
    return Uwsgi(program, plugins, tree / "usr", packages, debian.library_path(tree))
