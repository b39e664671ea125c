"""The pages of an admin port: commands and what can be read, as a WSGI application.

A browser may be lured into calling this port from a foreign page.  So: the Host must be an
address, localhost or a name that the operator gave (a rebound DNS name is none of these); what
changes something wants JSON, which a foreign page cannot send without asking first, and nobody
answers that question: no CORS field is ever set.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    RequestEntityTooLarge,
    TooManyRequests,
    Unauthorized,
    UnsupportedMediaType,
)
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from wsgistack.balancer.admin.access import Granted, Refused
from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.admin.view import View
from wsgistack.balancer.language.replies import Error, Lines, Reply, lines_of
from wsgistack.balancer.language.session import LONGEST_LINE, Session

__all__ = ["DOOR", "Pages"]

DOOR = "wsgistack.door"  # the key of the visitor's Door in environ
LONGEST_BODY_BYTES = 1024 * 1024
MOST_LINES = 1000
FIELDS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FREE = ("healthz", "ready")  # what a probe asks without a token


class _Request(Request):
    max_content_length = LONGEST_BODY_BYTES
    max_form_memory_size = 0


class Pages:
    """The application.  *perform* does one command for a session and raises nothing."""

    def __init__(self, view: View, perform: Callable[[str, Session], Reply]) -> None:
        self._view = view
        self._perform = perform
        self._map = Map(
            [
                Rule("/admin/run", endpoint="run", methods=["POST"]),
                Rule("/admin/state", endpoint="state", methods=["GET"]),
                Rule("/metrics", endpoint="metrics", methods=["GET"]),
                Rule("/healthz", endpoint="healthz", methods=["GET"]),
                Rule("/ready", endpoint="ready", methods=["GET"]),
            ]
        )
        self._answers: dict[str, Callable[[Request, Granted], Response]] = {
            "run": self._run,
            "state": lambda request, granted: _json(self._view.state()),
            "metrics": self._metrics,
            "healthz": lambda request, granted: _json({"ok": True}),
            "ready": self._ready,
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = _Request(environ)
        try:
            response = self._answer(request, environ[DOOR])
        except HTTPException as error:
            response = _say(error)
        response.headers.update(FIELDS)
        return response(environ, start_response)

    def _answer(self, request: Request, door: Door) -> Response:
        if not door.is_local_socket:
            _check_host(request.headers.get("Host"), str(door.settings()["admin_hosts"]))
        adapter = self._map.bind("", path_info=request.path, default_method=request.method)
        endpoint, _ = adapter.match()
        granted = Granted(readonly=True) if endpoint in FREE else _enter(request, door)
        return self._answers[endpoint](request, granted)

    def _run(self, request: Request, granted: Granted) -> Response:
        _check_origin(request)
        given = _read_json(request)
        session = Session(source="http", readonly=granted.readonly, peer=request.environ[DOOR].peer)
        if isinstance(given, str):
            status, reply = self._reply(given, session)
            return _json(reply, status)
        replies = []
        for line in given:
            status, reply = self._reply(line, session)
            replies.append(reply)
            if status != 200:
                return _json({"ok": False, "replies": replies}, status)
        return _json({"ok": True, "replies": replies})

    def _reply(self, line: str, session: Session) -> tuple[int, dict[str, Any]]:
        reply = self._perform(line, session)
        if isinstance(reply, Lines) and reply.end.startswith("ERROR: "):
            error = reply.end.removeprefix("ERROR: ")
            return 400, {"ok": False, "line": line, "lines": lines_of(reply), "error": error}
        if isinstance(reply, Error):
            said = {"ok": False, "line": line, "lines": [], "error": reply.text}
            return 403 if reply.forbidden else 400, said
        return 200, {"ok": True, "line": line, "lines": lines_of(reply), "error": None}

    def _metrics(self, request: Request, granted: Granted) -> Response:
        text, content_type = self._view.metrics(request.headers.get("Accept", ""))
        return Response(text, content_type=content_type)

    def _ready(self, request: Request, granted: Granted) -> Response:
        reason = self._view.unready()
        return _json({"ok": False, "error": reason}, 503) if reason else _json({"ok": True})


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=True) + "\n", status, content_type="application/json")


def _say(error: HTTPException) -> Response:
    """Return the answer of an HTTP error: JSON, with the fields that its status asks for."""
    response = _json({"ok": False, "error": error.description or ""}, error.code or 500)
    for name, value in error.get_headers({}):
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _check_host(host: str | None, names: str) -> None:
    """Raise Forbidden for a Host that a rebound DNS name may stand in."""
    if host is None:  # HTTP/1.0: no browser
        return
    name = re.sub(r":[0-9]*$", "", host).lower()
    if name in ("localhost", *re.findall(r"[^\s,]+", names.lower())):
        return
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise Forbidden(f"Host {name!r} is no address and not localhost: SET admin_hosts = {name}") from None


def _check_origin(request: Request) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
        raise Forbidden("a page of another site sent this")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Forbidden("a page of another site sent this")


def _enter(request: Request, door: Door) -> Granted:
    shown = request.authorization
    verdict = door.enter(shown.token if shown is not None and shown.type == "bearer" else None)
    if isinstance(verdict, Granted):
        return Granted(readonly=verdict.readonly or door.is_readonly)
    raise _as_error(verdict)


def _as_error(refused: Refused) -> HTTPException:
    if refused.retry_after_s:
        return TooManyRequests(refused.text, retry_after=int(refused.retry_after_s) + 1)
    return Unauthorized(refused.text, www_authenticate=WWWAuthenticate("bearer", {"realm": "wsgistack"}))


def _read_json(request: Request) -> str | list[str]:
    """Return the line or the lines of the body; raise an HTTPException for anything else."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Content-Type: application/json is expected")
    data = request.get_data()
    if len(data) >= LONGEST_BODY_BYTES:  # where a chunked body is cut off
        raise RequestEntityTooLarge()
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if isinstance(given, dict) and len(given) == 1:
        if isinstance(line := given.get("line"), str):
            return _check_line(line)
        lines = given.get("lines")
        if (
            isinstance(lines, list)
            and len(lines) <= MOST_LINES
            and all(isinstance(one, str) for one in lines)
        ):
            return [_check_line(one) for one in lines]
    raise BadRequest(f'expected {{"line": "..."}} or {{"lines": ["...", ...]}} with at most {MOST_LINES}')


def _check_line(line: str) -> str:
    if "\n" in line or len(line.encode("utf-8", "surrogatepass")) > LONGEST_LINE:
        raise BadRequest(f"a line has at most {LONGEST_LINE} bytes and no line break")
    return line
