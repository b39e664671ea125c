"""`request_id`: one name for a request in every log that it leaves a line in.

`environ["wsgistack.request_id"]` holds it, HTTP_X_REQUEST_ID too, and the response carries it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from wsgistack.settings import BOOL, Setting, Table
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, WSGIApplication, pass_head

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "RequestId", "make"]

ENVIRON_KEY = "wsgistack.request_id"
PLAIN = re.compile(r"[A-Za-z0-9._=+/-]{1,128}")  # nothing that could end a log line or break a field

NAME = "request_id"
PLACE = 20
HELP = "a name for each request, in the environ and in the response's X-Request-Id"
MAIN = "accept"
SETTINGS = Table(
    "request_id",
    [
        Setting("accept", BOOL, True, "keep a plain one that came with the request, as our balancer sets it"),
        Setting("respond", BOOL, True, "put it into the response"),
    ],
)


class RequestId:
    """A WSGI application that names each request of *app*.

    *accept*: a well-formed X-Request-Id of the request is kept (1 to 128 letters, digits and `._=+/-`);
    anything else is replaced by 32 random hexadecimal digits.  *respond*: the response carries it,
    unless the application set one.  Safe for threads, greenlets and forks.
    """

    def __init__(self, app: WSGIApplication, *, accept: bool = True, respond: bool = True) -> None:
        self.app = app
        self._accept = accept
        self._respond = respond

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Name the request and pass it on."""
        given = environ.get("HTTP_X_REQUEST_ID") if self._accept else None
        if given is None or not PLAIN.fullmatch(given):
            given = os.urandom(16).hex()
        environ["HTTP_X_REQUEST_ID"] = environ[ENVIRON_KEY] = given
        if not self._respond:
            return self.app(environ, start_response)

        def start(
            status: str, headers: Headers, exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            for name, _ in headers:
                if len(name) == 12 and name.lower() == "x-request-id":
                    break
            else:
                headers = [*headers, ("X-Request-Id", given)]
            return pass_head(start_response, status, headers, exc_info)

        return self.app(environ, start)


make = RequestId
