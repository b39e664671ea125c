"""A line of the access log as JSON: what is known of a response that is over; and who appends it to a file.

`wsgistack.line_cy` is the compiled twin of this module; `lines` picks one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Protocol

from wsgistack.memos import Memo
from wsgistack.passage import Passage
from wsgistack.wsgi import Environ

__all__ = ["LONGEST", "OPTIONAL", "File", "Lines", "json_line", "odd_line", "target_of", "texts_of"]

LONGEST = 1500  # characters of anything that a client wrote, in a line of a log
LOOK_EVERY_NS = 1_000_000_000
REMEMBERED = 512  # User-Agents, which are long and few
EMPTY = '""'
MILLISECONDS = tuple([f".{number:03}+00:00" for number in range(1000)])
# environ variable: the key under which it is logged, where it is there
OPTIONAL = (
    ("REMOTE_USER", "user"),
    ("wsgistack.request_id", "request_id"),
    ("HTTP_TRACEPARENT", "traceparent"),
    ("wsgistack.bucket", "bucket"),
)
OPTIONAL_JSON = tuple([(variable, f',"{key}":') for variable, key in OPTIONAL])


def json_line(end: Passage) -> str:
    """Return a line of the access log for a response that is over.

    By hand: a fifth of what json.dumps of a mapping takes.  ASCII, so that nothing in a value can end it.
    """
    try:
        return _line_of(end, end.environ)
    except (TypeError, AttributeError):
        return odd_line(end)


def odd_line(end: Passage) -> str:
    """Return the line where an application left things in the environ that are no texts."""
    return _line_of(end, texts_of(end.environ))


def texts_of(environ: Environ) -> Environ:
    """Return what is there of an environ, as texts."""
    return {name: value if isinstance(value, str) else str(value) for name, value in environ.items() if value}


def _line_of(end: Passage, environ: Environ) -> str:
    get, text, at = environ.get, encode_basestring_ascii, end.started_at
    second = int(at // 1)
    referer = get("HTTP_REFERER")
    line = (
        f'{{"time":"{_second(second)}{MILLISECONDS[int((at - second) * 1000)]}",'
        f'"client":{text(get("REMOTE_ADDR") or "unknown")},"method":{text(get("REQUEST_METHOD", ""))},'
        f'"target":{text(target_of(environ))},"version":{text(get("SERVER_PROTOCOL", ""))},'
        f'"status":{end.status},"bytes":{end.sent},"referer":{text(referer[:LONGEST]) if referer else EMPTY},'
        f'"user_agent":{_agent(get("HTTP_USER_AGENT", "")[:LONGEST])}'
    )
    for variable, key in OPTIONAL_JSON:
        value = get(variable)
        if value:
            line += key + _text(value)
    if end.cache_status:
        line += f',"cache":{text(end.cache_status)}'
    return f'{line},"total_us":{end.took_us}}}'


def target_of(environ: Environ) -> str:
    """Return the target as it came, where the server tells it, else as PATH_INFO has it; cut."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if not raw:
        query = environ.get("QUERY_STRING", "")
        raw = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") + (query and f"?{query}")
    return raw if len(raw) <= LONGEST else raw[:LONGEST] + "..."


def _text(value: object) -> str:
    """Return a value as JSON has it, cut; what is letters and digits, as most names are, needs no escape."""
    if type(value) is str and value.isalnum() and value.isascii() and len(value) <= LONGEST:
        return f'"{value}"'
    return encode_basestring_ascii(str(value)[:LONGEST])


_agent = Memo(encode_basestring_ascii, REMEMBERED, longest=512)


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class File(Protocol):
    """What lines are appended to."""

    def look(self) -> int:
        """Return the descriptor, after a look whether the file is still there; OSError where it cannot be."""
        ...

    def failed(self, error: OSError) -> None:
        """Hear of the first line of many that could not be written."""
        ...


class Lines:
    """Appends a line for each response to *file*, for `access_log`.

    *line_of(passage)*: the line, in latin-1.  *now*: seconds since the epoch.  *fd*: the descriptor, -1 before
    the first line.  The file is looked at by the first line and once a second, of the passage's clock.
    """

    __slots__ = ("_file", "_has_failed", "_line_of", "_look_at_ns", "_now", "fd")

    def __init__(self, file: File, line_of: Callable[[Passage], str], now: Callable[[], float]) -> None:
        self._file = file
        self._line_of = line_of
        self._now = now
        self.fd = -1
        self._look_at_ns = 0
        self._has_failed = False

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Note when a request came."""
        passage.started_at = self._now()

    def at_end(self, passage: Passage, /) -> None:
        """Write a line, by one write, so that processes never write into each other's."""
        line = self._line_of(passage)
        now_ns = passage.began_ns + passage.took_us * 1000
        try:
            if now_ns >= self._look_at_ns:
                self.fd = self._file.look()
                self._look_at_ns = now_ns + LOOK_EVERY_NS
            os.write(self.fd, f"{line}\n".encode("latin-1", "replace"))
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                self._file.failed(error)
            self._has_failed = True
