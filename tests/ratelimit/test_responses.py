"""What a response that goes on through a limiter costs, and how it is metered: by what the client got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tests.wsgi_shapes import Broken, begin_anew, serve
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule

NOW = 1_795_000_000_000_000


def late_500(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Say 500 behind the first block, which is too late."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"hello"
    with suppress(Broken):
        begin_anew(start_response, "500 Oops", [("Content-Type", "text/plain")])


def test_a_status_that_comes_too_late_is_neither_metered_nor_charged() -> None:
    app = RateLimit(late_500, rules=[Rule("a", "2/minute", charge={"5xx": -1})], now=lambda: NOW, meter=True)
    assert [serve(app).status for _ in range(3)] == ["200 OK", "200 OK", "429 Too Many Requests"]
    assert app.meter is not None
    ((_, _, _, row),) = app.meter.usage()
    assert row[:5] == (0, 2, 0, 1, 0)
