"""A line of the access log as JSON: what is known of a response that is over."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from wsgistack.passage import Passage
from wsgistack.wsgi import Environ

__all__ = ["LONGEST", "OPTIONAL", "json_line", "target_of"]

LONGEST = 1500  # characters of anything that a client wrote, in a line of a log
REMEMBERED = 512  # User-Agents, which are long and few: 5 MiB at most, where each character is escaped
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
    environ = end.environ
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


_agent = lru_cache(maxsize=REMEMBERED)(encode_basestring_ascii)


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
