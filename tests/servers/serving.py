"""Real WSGI servers around tests/servers/site.py: how each is started, asked and ended."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.processes import ROOT, choose_port, eventually
from tools.apache import find_apache
from tools.uwsgi import find_uwsgi
from wsgistack.store.shm.store import FOLDER

__all__ = ["APACHE", "DEBIAN_UWSGI", "GUNICORN", "SERVERS", "Answer", "Served", "Server", "find_servers"]

SITE = "tests.servers.site:application"
STOPS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Server:
    """How a server is started.  *command*: its words, with {site}, {host}, {port}, {folder}, {root}.

    *processes*: how many answer; *end*: the signal at which it leaves; *reload*: the one at which new
    workers take over; *store*: where its workers share.
    """

    command: list[str]
    processes: int = 1
    end: signal.Signals = signal.SIGTERM
    reload: signal.Signals = signal.SIGHUP
    store: str = ""
    is_deaf_at_first: bool = False  # a signal that meets a worker which still loads the site is lost


def find_servers() -> list[str]:
    """Return the servers to test: those that come from PyPI, or those that WSGISTACK_SERVERS names."""
    asked = os.environ.get("WSGISTACK_SERVERS")
    return asked.split(",") if asked else [name for name in SERVERS if name != "mod_wsgi"]


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


GUNICORN = [
    *(sys.executable, "-m", "gunicorn", "--bind={host}:{port}", "--workers=2", "--log-level=warning"),
    *("--no-control-socket", "--worker-tmp-dir={folder}", "{site}"),
]
APACHE = ["{apache}", "-f", "{folder}/httpd.conf", "-DFOREGROUND"]
DEBIAN_UWSGI = [
    *(
        "{uwsgi}",
        "--plugin-dir={plugins}",
        f"--plugin=python{sys.version_info.major}{sys.version_info.minor}",
    ),
    *("--home={home}", "--pythonpath={packages}", "--pythonpath={root}", "--http-socket={host}:{port}"),
    *("--master", "--processes=2", "--die-on-term", "--need-app", "--disable-logging", "--module={site}"),
]
RUN = [sys.executable, "-m", "tests.servers.run"]
SERVERS = {
    "gunicorn sync": Server([*GUNICORN, "--worker-class=sync"], 2),
    "gunicorn preload": Server([*GUNICORN, "--worker-class=sync", "--preload"], 2),
    "gunicorn gthread": Server([*GUNICORN, "--worker-class=gthread", "--threads=4"], 2),
    "gunicorn gevent": Server([*GUNICORN, "--worker-class=gevent"], 2),
    "waitress": Server(
        [
            *(sys.executable, "-m", "waitress", "--listen={host}:{port}", "--threads=4"),
            # Else it drops X-Forwarded-For before `trust` could judge it.
            *("--no-clear-untrusted-proxy-headers", "{site}"),
        ],
        end=signal.SIGINT,
    ),
    "uWSGI": Server(
        [
            *(
                _program("pyuwsgi"),
                "--http-socket={host}:{port}",
                "--master",
                "--processes=2",
                "--die-on-term",
            ),
            *("--need-app", "--disable-logging", "--pythonpath={root}", "--module={site}"),
        ],
        2,
    ),
    "granian": Server(
        [
            *(_program("granian"), "--interface=wsgi", "--host={host}", "--port={port}", "--workers=2"),
            *("--blocking-threads=4", "--log-level=warning", "{site}"),
        ],
        2,
        is_deaf_at_first=True,
    ),
    "gevent.pywsgi": Server([*RUN, "pywsgi", "{host}", "{port}", "{site}"], end=signal.SIGINT),
    "werkzeug": Server([*RUN, "werkzeug", "{host}", "{port}", "{site}"], end=signal.SIGINT),
    "mod_wsgi": Server([*APACHE, "-DDAEMON"], 2, reload=signal.SIGUSR1),
}


@dataclass(frozen=True)
class Answer:
    """A response: its status, fields (names in small letters; repeated ones joined) and body."""

    status: int
    fields: dict[str, str]
    body: bytes


class Served:
    """A server that runs *site*, until `end`; its log of accesses is *log*, what it says is in *says*.

    *path*: what answers 200 as soon as the site is there.
    """

    def __init__(self, server: Server, site: str = SITE, path: str = "/bare/flask/who") -> None:
        self.server = server
        self._path = path
        self._workers: set[bytes] = set()
        self._folder = TemporaryDirectory(prefix="wsgistack-served-")
        self.folder = folder = Path(self._folder.name)
        self.log = folder / "access.log"
        self.says = folder / "says.log"
        self.host, self.port = "127.0.0.1", choose_port()
        names = {"host": self.host, "port": str(self.port), "folder": str(folder), "root": str(ROOT)}
        names["site"] = site
        environ = {"SITE_LOG": str(self.log), "SITE_FOLDER": str(folder), "SITE_STORE": server.store}
        environ["PYTHONPATH"] = str(ROOT)
        if server.command[0] in (APACHE[0], DEBIAN_UWSGI[0]):
            environ["LD_LIBRARY_PATH"] = self._use_debian(names, site)
        with self.says.open("wb") as says:
            self.process = subprocess.Popen(
                # A shell starts what it puts into the background deaf to SIGINT, and so its children.
                ["env", "--default-signal=INT", *[word.format(**names) for word in server.command]],
                cwd=ROOT,
                env=os.environ | {name: value.format(**names) for name, value in environ.items()},
                stdin=subprocess.DEVNULL,
                stdout=says,
                stderr=says,
            )
        try:
            eventually(self._answers, what="the server does not answer")
            if server.is_deaf_at_first:
                eventually(self._all_answer, what="not every worker answers")
        except BaseException:
            print(self.says.read_text())
            self.process.kill()
            self.process.wait()
            raise

    def _use_debian(self, names: dict[str, str], site: str) -> str:
        """Add what the command of an unpacked server wants; return where its libraries lie."""
        if self.server.command[0] == APACHE[0]:
            apache, workers = find_apache(), self.server.processes
            names["apache"] = apache.program
            apache.configure(self.folder, site, host=self.host, port=self.port, processes=workers, root=ROOT)
            return apache.library_path
        found = find_uwsgi()
        names |= {"uwsgi": found.program, "plugins": str(found.plugins)}
        names |= {"home": str(found.home), "packages": str(found.packages)}
        return found.library_path

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.says.read_text()
        with suppress(OSError):
            return self.ask(self._path).status == 200
        return False

    def _all_answer(self) -> bool:
        """Tell whether each process has answered, all of which say who they are at that path."""
        self._workers.add(self.ask(self._path).body)
        return len(self._workers) >= self.server.processes

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **fields: str) -> Answer:
        """Ask on a connection of its own; *fields* have `_` for `-`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            sent = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): response.headers[name] for name in response.headers},
                response.read(),
            )
        finally:
            connection.close()

    def end(self) -> None:
        """Ask the server to leave: it does, in time, and complains of nothing."""
        try:
            self.process.send_signal(self.server.end)
            assert self.process.wait(STOPS_WITHIN_S) == 0, self.says.read_text()
        finally:
            said = self.remove()
        assert "Traceback" not in said and "Warning" not in said, said

    def remove(self) -> str:
        """Remove all that is left of it; return what it said."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for path in FOLDER.glob(f"wsgistack-{self.port}-*"):
            path.unlink()
        said = self.says.read_text()
        self._folder.cleanup()
        return said
