"""`access_log`: a line for each response, written when its last byte was given to the server.

    from wsgistack import wrap

    application = wrap(application, access_log="/var/log/mysite/access.log")

`json` has a key for each thing that is known, as the balancer's log has (docs/access-log.md);
`combined` begins as Apache's format does and goes on with `key=value`.  A file that was renamed is made
anew, so that logrotate needs no signal.

- In the response: nothing changes.
- It costs 5 to 15 µs a request, one write of a line included.
- It does not make the folder of its file, nor stop the site where a line cannot be written: that is said once,
  by the logger `wsgistack.access`.  Cookies, credentials and bodies are never in it.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache, partial
from threading import Lock

from wsgistack import forks
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.line import LONGEST, OPTIONAL, target_of, texts_of
from wsgistack.lines import Lines, json_line
from wsgistack.registry import find_hint
from wsgistack.settings import TEXT, Setting, Table, make_choice
from wsgistack.steps import Passage, Steps
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

__all__ = ["FORMATS", "HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "AccessLog", "make"]

LOGGER = "wsgistack.access"
UNSAFE = re.compile(r"[^ !#-\[\]-~]")  # for a quoted string of the combined format
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _combined(end: Passage) -> str:
    try:
        return _combined_of(end, end.environ)
    except (TypeError, AttributeError):  # an application left things there that are no texts
        return _combined_of(end, texts_of(end.environ))


def _combined_of(end: Passage, environ: Environ) -> str:
    get = environ.get
    asked = f"{get('REQUEST_METHOD', '')} {target_of(environ)} {get('SERVER_PROTOCOL', '')}"
    rest = "".join(
        f" {key}={_quote(str(environ[variable])[:LONGEST])}"
        for variable, key in OPTIONAL[1:]
        if get(variable)
    )
    if end.cache_status:
        rest += f" cache={_quote(end.cache_status)}"
    user = _quote(str(get("REMOTE_USER"))[:LONGEST]) if get("REMOTE_USER") else "-"
    return (
        f"{get('REMOTE_ADDR') or 'unknown'} - {user} [{_apache(int(end.started_at))}] {_quote(asked)} {end.status} {end.sent}"
        f" {_quote(get('HTTP_REFERER', '')[:LONGEST])} {_quote(get('HTTP_USER_AGENT', '')[:LONGEST])}"
        f"{rest} total_us={end.took_us}"
    )


@lru_cache(maxsize=4)
def _apache(at: int) -> str:
    day = datetime.fromtimestamp(at, UTC)
    return f"{day.day:02}/{MONTHS[day.month - 1]}/{day:%Y:%H:%M:%S} +0000"


def _quote(text: str) -> str:
    return '"' + UNSAFE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text) + '"'


FORMATS: dict[str, Callable[[Passage], str]] = {"combined": _combined, "json": json_line}

NAME = "access_log"
PLACE = 25
HELP = "a line for each response: who, what, status, bytes, time"
MAIN = "path"
SETTINGS = Table(
    "access_log",
    [
        Setting(
            "path", TEXT, "", f"a file that lines are appended to; without one the logger `{LOGGER}` has them"
        ),
        Setting(
            "format",
            make_choice(lambda: FORMATS, "Unknown format '{text}'"),
            "json",
            "`json` or `combined`",
        ),
    ],
)


class AccessLog:
    """A WSGI application that logs the responses of *app*.

    A line is appended by one write, so that processes never write into each other's lines; a file that
    was renamed is made anew.  A log that cannot be written is said once and costs no request.
    Safe for threads, greenlets and forks.
    """

    is_step = True

    def __init__(
        self,
        app: WSGIApplication,
        *,
        path: str = "",
        format: str = "json",
        now: Callable[[], float] = time.time,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        gather((partial(_check_path, path), partial(_check_format, format)))
        self.app = app
        line_of = FORMATS[format]
        self.lines = Lines(_File(path), line_of, now)
        self.enter = self.lines.enter
        self.at_end: Callable[[Passage], object] = self.lines.at_end
        if not path:
            log = logging.getLogger(LOGGER).info
            self.at_end = lambda passage: log(line_of(passage))
        self._steps = Steps((self,), clock=monotonic_ns)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, and log it at its end."""
        return self._steps.run(self.app, environ, start_response)


def _check_path(path: str) -> None:
    if path and (str(path).endswith(os.sep) or os.path.isdir(path)):
        raise SettingError(f"path: {str(path)!r:.300} is a folder, not a file that lines are appended to")


def _check_format(format: str) -> None:
    if format not in FORMATS:
        hint = find_hint(str(format), FORMATS)
        raise SettingError(f"format: {format!r:.80} is not one of {', '.join(FORMATS)}{hint}")


class _File:
    """A file that is opened when the first line comes, and again after it was renamed; a fork may share it.

    Its descriptor keeps its number: another thread may be about to write to it, and a number that was
    closed is soon that of a client's connection.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._opening = Lock()
        forks.register(self)

    def look(self) -> int:
        """See line.File."""
        with self._opening:
            if self._fd < 0 or not self._is_current():
                opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
                if self._fd < 0:
                    self._fd = opened
                else:
                    os.dup2(opened, self._fd, inheritable=False)
                    os.close(opened)
            return self._fd

    def failed(self, error: OSError) -> None:
        """See line.File."""
        logging.getLogger(LOGGER).error("access log %s: %s", self._path, error)

    def forked(self) -> None:
        self._opening = Lock()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False


make = AccessLog
