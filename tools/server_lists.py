"""The WSGI servers that `make conformance-servers` tries, and the ways to run them that differ under load."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace

from tests.servers.serving import APACHE, DEBIAN_UWSGI, GUNICORN, SERVERS, Server
from tools.apache import find_apache
from tools.uwsgi import find_uwsgi

__all__ = ["SHARING", "TRIED", "find_absent"]


def _more(name: str, *words: str) -> Server:
    """Return the server with *words* more."""
    server = SERVERS[name]
    return replace(server, command=[*server.command[:-1], *words, server.command[-1]])


# What `pip install pyuwsgi` runs at a reload is the Python that the virtual environment was made of,
# which has none of its packages, unless it is told.
VENV = f"--binary-path={sys.executable}"
TRIED = {
    "gunicorn sync": SERVERS["gunicorn sync"],
    "gunicorn gthread": SERVERS["gunicorn gthread"],
    "gunicorn gevent": SERVERS["gunicorn gevent"],
    "gunicorn preload": SERVERS["gunicorn preload"],
    "gunicorn preload, gthread": Server([*GUNICORN, "--worker-class=gthread", "--threads=4", "--preload"], 2),
    "uWSGI": _more("uWSGI", VENV),
    "uWSGI, enable-threads": _more("uWSGI", VENV, "--enable-threads"),
    "uWSGI, threads": _more("uWSGI", VENV, "--threads=4"),
    "uWSGI, lazy-apps": _more("uWSGI", VENV, "--lazy-apps"),
    "uWSGI, no binary-path": SERVERS["uWSGI"],
    "uWSGI, Debian's, without threads": Server(DEBIAN_UWSGI, 2),
    "granian": _more("granian", "--respawn-failed-workers"),
    "granian, no respawn": SERVERS["granian"],
    "mod_wsgi": SERVERS["mod_wsgi"],
    "mod_wsgi, embedded": Server(APACHE, 2, reload=signal.SIGUSR1),
    "waitress": SERVERS["waitress"],
    "gevent.pywsgi": SERVERS["gevent.pywsgi"],
    "werkzeug": SERVERS["werkzeug"],
}

# A memcached is killed under these: each way in which processes, threads and greenlets come together.
SHARING = (
    "gunicorn sync",
    "gunicorn preload, gthread",
    "gunicorn gevent",
    "uWSGI",
    "uWSGI, Debian's, without threads",
    "granian",
    "mod_wsgi",
    "waitress",
)

# Those that are no packages of Python, by the first word of their command.
FOUND: dict[str, Callable[[], object]] = {APACHE[0]: find_apache, DEBIAN_UWSGI[0]: find_uwsgi}


def find_absent(name: str) -> str:
    """Return why this server cannot be tried here, "" if it can."""
    find = FOUND.get(TRIED[name].command[0])
    if find is None:
        return ""  # of requirements/dev.txt
    try:
        find()
    except FileNotFoundError as trouble:
        return str(trouble)
    return ""
