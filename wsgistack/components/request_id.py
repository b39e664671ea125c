"""`request_id`: one name for a request in every log that it leaves a line in.

    from wsgistack import wrap

    application = wrap(application, request_id=True)

`environ["wsgistack.request_id"]` holds it, HTTP_X_REQUEST_ID too, and the response carries it.

- In the response: `X-Request-Id`, unless `respond` is off.
- It costs 1 to 6 µs a request.
- It does not hand the name on: send it along where your application asks another one.  With `accept` a
  client chooses the name of its request; switch it off where strangers come without a proxy of yours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from wsgistack import forks
from wsgistack.chores import Names
from wsgistack.settings import BOOL, Setting, Table
from wsgistack.steps import Steps
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "RequestId", "make"]

PLAIN = re.compile(r"[A-Za-z0-9._=+/-]{1,128}")  # nothing that could end a log line or break a field

ID_BYTES = 16
MADE_AT_ONCE = 64

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

    is_step = True
    at_end = None

    def __init__(self, app: WSGIApplication, *, accept: bool = True, respond: bool = True) -> None:
        self.app = app
        self._made: list[str] = []  # in advance: one question to the kernel for many
        names = Names(accept, respond, is_plain=PLAIN.fullmatch, made=self._made, make=self._make)
        self.enter = names.enter
        self._steps = Steps((self,))
        forks.register(self)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Name the request and pass it on."""
        return self._steps.run(self.app, environ, start_response)

    def _make(self) -> str:
        drawn = os.urandom(ID_BYTES * MADE_AT_ONCE).hex()
        made = [drawn[at : at + 2 * ID_BYTES] for at in range(0, len(drawn), 2 * ID_BYTES)]
        given = made.pop()
        self._made += made
        return given

    def forked(self) -> None:
        """Forget what was made in advance: the parent gives it too."""
        self._made.clear()


make = RequestId
