"""What a refusal says to who reads it: a page for people, a problem for programs.  RFC 9457

Both may be one's own: a file with `$names` in it, or a function of the Refusal.

    <h1>$phrase</h1><p>$title. Try again in $wait_s seconds.</p>
    {"type": "$type", "title": "$title", "status": $status, "violated-policies": ["$policy"]}

Names are those of Refusal; `$$` is a dollar.  What stands in their place is escaped for where it stands,
so no client can write into a page.  A file is read and tried when the application is made.
"""

from __future__ import annotations

import html
import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from string import Template
from typing import NamedTuple

from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.files import read_regular
from wsgistack.registry import find_hint

__all__ = ["LARGEST_BYTES", "Bodies", "Refusal", "Text", "make_bodies"]

LARGEST_BYTES = 64 * 1024  # of a file, and of what a function returns: it is sent to whoever asks too often
log = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """Why a request is refused: *type* and *title* of RFC 9457, *policy* the name of the limit ("" where
    the client is on a list), *wait_s* what Retry-After says, None where waiting does not help.
    """

    status: int
    phrase: str
    type: str
    title: str
    policy: str
    wait_s: int | None


Body = Callable[[Refusal], bytes]
Text = str | os.PathLike[str] | Callable[[Refusal], str | bytes]

EXAMPLES = (
    Refusal(429, "Too Many Requests", "https://example.org/a", "Asked \"too\" <often>", "api", 60),
    Refusal(403, "Forbidden", "about:blank", "Forbidden", "", None),
)  # fmt: skip


class Bodies(NamedTuple):
    """How bodies are made: *page* for people, *problem* for programs."""

    page: Body
    problem: Body


def own_page(refusal: Refusal) -> bytes:
    """Return a page that says why, and when to come back."""
    again = "" if refusal.wait_s is None else f" Please try again in {refusal.wait_s} s."
    text = f"{refusal.title}.{again}" if refusal.policy else "This address is not served here."
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{refusal.phrase}</title>'
        f"<h1>{refusal.phrase}</h1><p>{html.escape(text)}</p></html>"
    ).encode()


def own_problem(refusal: Refusal) -> bytes:
    """Return the problem as JSON; who is on a list violates no policy."""
    problem = {"type": refusal.type, "title": refusal.title, "status": refusal.status}
    if refusal.policy:
        return json.dumps({**problem, "violated-policies": [refusal.policy]}).encode()
    return json.dumps(problem).encode()


def make_bodies(page: Text = "", problem: Text = "") -> Bodies:
    """Return what makes bodies: our own, or from a file or a function; SettingError for what cannot."""
    made = gather(
        (
            partial(_make, "page", page, own_page, _escape_html, _check_text),
            partial(_make, "problem", problem, own_problem, _escape_json, _check_json),
        )
    )
    return Bodies(*made)


def _make(
    setting: str,
    given: Text,
    own: Body,
    escape: Callable[[object], str],
    check: Callable[[bytes], str],
) -> Body:
    if isinstance(given, str) and not given:
        return own
    if callable(given):
        make: Body = _Called(setting, given, own, check)
    elif isinstance(given, str | os.PathLike):
        make = _read(setting, Path(given), escape)
    else:
        raise SettingError(f"{setting}: {given!r} is neither the path of a template nor a function")
    for example in EXAMPLES:
        complaint = check(make(example))
        if complaint:
            raise SettingError(f"{setting}: {given}: for {example.status} it gives {complaint}")
    if isinstance(make, _Called):
        make.is_tried = True
    return make


def _read(setting: str, path: Path, escape: Callable[[object], str]) -> Body:
    try:
        data = read_regular(path, most_bytes=LARGEST_BYTES + 1)
        template = Template(data.decode("utf-8"))
    except OSError as error:
        raise SettingError(f"{setting}: {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingError(f"{setting}: {path}: byte {error.start} is not UTF-8") from None
    if len(data) > LARGEST_BYTES:
        raise SettingError(f"{setting}: {path}: more than {LARGEST_BYTES} bytes")
    if not template.is_valid():
        raise SettingError(f"{setting}: {path}: a '$' that begins no name; a dollar is '$$'")
    for name in template.get_identifiers():
        if name not in Refusal._fields:
            hint = find_hint(name, Refusal._fields)
            raise SettingError(
                f"{setting}: {path}: '${name:.40}' is not one of {', '.join(Refusal._fields)}{hint}"
            )

    def make(refusal: Refusal) -> bytes:
        return template.substitute({k: escape(v) for k, v in refusal._asdict().items()}).encode()

    return make


class _Called:
    """A function of somebody's own; what goes wrong in it is logged, and our own body is sent."""

    def __init__(
        self,
        setting: str,
        function: Callable[[Refusal], str | bytes],
        own: Body,
        check: Callable[[bytes], str],
    ) -> None:
        self.is_tried = False  # until then trouble is the operator's to see
        self._setting = setting
        self._function = function
        self._own = own
        self._check = check

    def __call__(self, refusal: Refusal) -> bytes:
        """Return the body."""
        try:
            text = self._function(refusal)
            body = text.encode() if isinstance(text, str) else text
            complaint = self._check(body)
        except Exception as error:  # noqa: BLE001 - whatever it is, who is refused gets an answer
            complaint = f"{type(error).__name__}: {error}"
        if not complaint:
            return body
        if not self.is_tried:
            raise SettingError(f"{self._setting}: for {refusal.status} it gives {complaint}")
        log.error("refusal_body_failed setting=%s reason=%r", self._setting, complaint)
        return self._own(refusal)


def _check_text(body: bytes) -> str:
    """Return what is wrong with a body, "" if nothing is."""
    if not isinstance(body, bytes):
        return f"{body!r:.80}, not text"
    return "" if len(body) <= LARGEST_BYTES else f"more than {LARGEST_BYTES} bytes"


def _check_json(body: bytes) -> str:
    complaint = _check_text(body)
    if complaint:
        return complaint
    try:
        problem = json.loads(body)
    except ValueError as error:
        return f"no JSON: {error}"
    return "" if isinstance(problem, dict) else f"no object of JSON: {problem!r:.80}"


def _escape_html(value: object) -> str:
    return "" if value is None else html.escape(str(value))


def _escape_json(value: object) -> str:
    text = json.dumps(value)
    return text[1:-1] if isinstance(value, str) else text
