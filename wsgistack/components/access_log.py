"""`access_log`: a line for each response, written when its last byte was given to the server.

`json` has a key for each thing that is known, as the balancer's log has (docs/access-log.md);
`combined` begins as Apache's format does and goes on with `key=value`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from wsgistack.errors import SettingError
from wsgistack.settings import TEXT, Setting, Table, make_choice
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, Watched, WSGIApplication

__all__ = ["FORMATS", "HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "AccessLog", "make"]

LOGGER = "wsgistack.access"
LONGEST = 1500  # characters of anything that a client wrote
UNSAFE = re.compile(r"[^ !#-\[\]-~]")  # for a quoted string of the combined format
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Line = dict[str, str | int]


def _json(line: Line) -> str:
    return json.dumps(line, separators=(",", ":"))  # ASCII: nothing in it can end the line


def _combined(line: Line) -> str:
    at = datetime.fromisoformat(str(line["time"]))
    stamp = f"{at.day:02}/{MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000"
    asked = _quote(f"{line['method']} {line['target']} {line['version']}")
    rest = "".join(
        f" {key}={_quote(str(line[key]))}"
        for key in ("request_id", "cache", "bucket", "total_us")
        if key in line
    )
    return (
        f"{line['client']} - {line.get('user', '-')} [{stamp}] {asked} {line['status']} {line['bytes']}"
        f" {_quote(str(line['referer']))} {_quote(str(line['user_agent']))}{rest}"
    )


def _quote(text: str) -> str:
    return '"' + UNSAFE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text) + '"'


FORMATS: dict[str, Callable[[Line], str]] = {"combined": _combined, "json": _json}

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
            make_choice(lambda: FORMATS, "format: '{text}' is not one"),
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

    def __init__(
        self,
        app: WSGIApplication,
        *,
        path: str = "",
        format: str = "json",
        now: Callable[[], float] = time.time,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        if format not in FORMATS:
            raise SettingError(f"format: {format!r} is not one of {', '.join(FORMATS)}")
        self.app = app
        self._format = FORMATS[format]
        self._write: Callable[[str], object] = _File(path).write if path else logging.getLogger(LOGGER).info
        self._now = now
        self._monotonic_ns = monotonic_ns

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, and log it at its end."""
        began = self._monotonic_ns()
        at = self._now()
        seen: dict[str, str | int] = {"status": 500, "written": 0, "cache": ""}

        def start(
            status: str, headers: Headers, exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            seen["status"] = int(status[:3])
            seen["cache"] = next((value for name, value in headers if name.lower() == "cache-status"), "")
            write = (
                start_response(status, headers)
                if exc_info is None
                else start_response(status, headers, exc_info)
            )

            def count(data: bytes) -> object:
                seen["written"] = int(seen["written"]) + len(data)
                return write(data)

            return count

        def at_end(sent: int) -> None:
            line = _line(environ, at)
            line["status"] = seen["status"]
            line["bytes"] = sent + int(seen["written"])
            if seen["cache"]:
                line["cache"] = seen["cache"]
            line["total_us"] = (self._monotonic_ns() - began) // 1000
            self._write(self._format(line))

        try:
            body = self.app(environ, start)
        except BaseException:
            at_end(0)
            raise
        return Watched(body, at_end)


def _line(environ: Environ, at: float) -> Line:
    query = environ.get("QUERY_STRING", "")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    line: Line = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "client": environ.get("REMOTE_ADDR") or "unknown",
        "method": environ.get("REQUEST_METHOD", ""),
        "target": _cut(
            environ.get("RAW_URI") or environ.get("REQUEST_URI") or (f"{path}?{query}" if query else path)
        ),
        "version": environ.get("SERVER_PROTOCOL", ""),
        "status": 0,
        "bytes": 0,
        "referer": _cut(environ.get("HTTP_REFERER", "")),
        "user_agent": _cut(environ.get("HTTP_USER_AGENT", "")),
    }
    for key, variable in (
        ("user", "REMOTE_USER"),
        ("request_id", "wsgistack.request_id"),
        ("traceparent", "HTTP_TRACEPARENT"),
        ("bucket", "wsgistack.bucket"),
    ):
        if environ.get(variable):
            line[key] = _cut(str(environ[variable]))
    return line


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


class _File:
    """A file that is opened when the first line comes, and again after it was renamed; a fork may share it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._looks_at = 0.0
        self._failed = False

    def write(self, line: str) -> None:
        try:
            os.write(self._descriptor(), line.encode("latin-1", "replace") + b"\n")
            self._failed = False
        except OSError as error:
            if not self._failed:
                logging.getLogger(LOGGER).error("access log %s: %s", self._path, error)
            self._failed = True

    def _descriptor(self) -> int:
        now = time.monotonic()
        if self._fd >= 0 and now >= self._looks_at and not self._is_current():
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if now >= self._looks_at:
            self._looks_at = now + 1.0
        return self._fd

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False


make = AccessLog
