"""Debian's Apache with mod_wsgi, unpacked below .cache/ (tools/debian.py): no root, nothing installed.

mod_wsgi is made for one version of Python; the packages of a virtual environment of the same version
(3.11 for all of 3.11.x) work in it, with Debian's own standard library below them.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import debian

__all__ = ["Apache", "find_apache"]

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = [
    "libapache2-mod-wsgi-py3",
    "apache2-bin",
    "libapr1",
    "libaprutil1",
    "libexpat1",
    "libpcre2-8-0",
    "libuuid1",
    f"libpython{VERSION}",
    f"libpython{VERSION}-minimal",
    f"libpython{VERSION}-stdlib",
]
CONFIGURATION = """\
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
Listen {host}:{port}
ErrorLog /dev/stderr
LogLevel warn
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
<IfDefine DAEMON>
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess site processes={processes} threads=4 python-home={home} python-path={path}
WSGIProcessGroup site
</IfDefine>
<IfDefine !DAEMON>
WSGIPythonHome {home}
WSGIPythonPath {path}
StartServers {processes}
ServerLimit {processes}
ThreadsPerChild 4
MaxRequestWorkers {threads}
MinSpareThreads 1
MaxSpareThreads {threads}
</IfDefine>
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {folder}/site.wsgi
<Directory {folder}>
Require all granted
</Directory>
"""


@dataclass(frozen=True, slots=True)
class Apache:
    """An Apache that can be started: its program, the folder of its modules, the home of its Python."""

    program: str
    modules: Path
    home: Path
    library_path: str

    def configure(self, folder: Path, site: str, *, host: str, port: int, processes: int, root: Path) -> Path:
        """Write a configuration that serves `module:application` *site* below *root*; return its path.

        Where Apache is started with -DDAEMON, *processes* beside it answer; else its own children do.
        """
        module, _, name = site.partition(":")
        (folder / "site.wsgi").write_text(f"from {module} import {name} as application\n")
        site_packages = next(Path(sys.prefix).glob(f"lib/python{VERSION}/site-packages"))
        path = folder / "httpd.conf"
        path.write_text(
            CONFIGURATION.format(
                folder=folder,
                host=host,
                port=port,
                processes=processes,
                threads=4 * processes,
                modules=self.modules,
                home=self.home,
                path=f"{root}:{site_packages}",
                # Of root's Apache somebody else answers, who has to reach the folder.
                user="User daemon\nGroup daemon" if os.geteuid() == 0 else "",
            )
        )
        folder.chmod(0o777 if os.geteuid() == 0 else 0o700)
        return path


def find_apache(*, cache: Path = debian.CACHE) -> Apache:
    """Return the Apache to start; FileNotFoundError says why there is none."""
    try:
        tree = debian.unpack(PACKAGES, cache=cache)
    except debian.Unavailable as trouble:
        raise FileNotFoundError(
            f"Apache with mod_wsgi for Python {VERSION} is missing: {trouble}"
        ) from trouble
    modules = tree / "usr" / "lib" / "apache2" / "modules"
    if not (modules / f"mod_wsgi.so-{VERSION}").exists():
        made_for = ", ".join(path.name.partition("-")[2] for path in modules.glob("mod_wsgi.so-*"))
        raise FileNotFoundError(
            f"Debian's mod_wsgi is made for Python {made_for}, this environment for {VERSION}:"
            f" make PYTHON=python{made_for} in a fresh checkout"
        )
    return Apache(str(tree / "usr/sbin/apache2"), modules, tree / "usr", debian.library_path(tree))
