"""A WSGI application that shows what was metered, to be mounted where only operators come.

GET ?format=json|csv|prometheus&hours=24
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.usage import FORMATS
from wsgistack.registry import find_hint
from wsgistack.wsgi import Environ, EnvironRequest, StartResponse

__all__ = ["UsagePage"]

HOURS = 24
MOST_HOURS = 10 * 366 * 24


class UsagePage:
    """The rows of *meter*, over all processes if it has a folder.  It asks nobody who they are."""

    def __init__(self, meter: Meter, *, now_s: Callable[[], float] = time.time) -> None:
        self._meter = meter
        self._now_s = now_s

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = EnvironRequest(environ)
        status, kind, text = self._answer(request)
        body = text.encode()
        fields = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        if status.startswith("405"):
            fields.append(("Allow", "GET, HEAD"))
        start_response(status, fields)
        return [] if request.method == "HEAD" else [body]

    def _answer(self, request: EnvironRequest) -> tuple[str, str, str]:
        plain = "text/plain; charset=utf-8"
        if request.method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", plain, "GET or HEAD\n"
        asked = {name: values[-1] for name, values in parse_qs(request.query).items()}
        form, hours = asked.get("format", "json"), asked.get("hours", str(HOURS))
        if form not in FORMATS:
            hint = find_hint(form, FORMATS)
            return (
                "400 Bad Request",
                plain,
                f"format: {form[:80]!r} is not one of {', '.join(FORMATS)}{hint}\n",
            )
        if not (hours.isascii() and hours.isdigit() and 1 <= int(hours[:9]) <= MOST_HOURS):
            return "400 Bad Request", plain, f"hours: {hours[:80]!r} is not a number from 1 on\n"
        kind, show = FORMATS[form]
        since = int(self._now_s()) // 3600 - int(hours[:9]) + 1
        return "200 OK", kind, show(self._meter.usage(since=since), self._meter.statistics.rows(since=since))
