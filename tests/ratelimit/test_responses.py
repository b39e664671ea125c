"""What a response that goes on through a limiter costs, and how it is metered: by what the client got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.wsgi_shapes import Broken, begin_anew, serve
from wsgistack.ratelimit.meter import HOUR_US, Meter
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


def late_and_broken(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Fail where the first block is asked for, before anything was said."""
    raise Broken("at its first block")
    yield b""


def broken(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Fail at once."""
    raise Broken("at once")


@pytest.mark.parametrize("app", [broken, late_and_broken])
def test_who_fails_before_anything_was_said_is_metered_and_charged_as_a_500(app: Any) -> None:
    rules = [Rule("a", "2/minute", charge={"5xx": -1})]
    site = RateLimit(app, rules=rules, now=lambda: NOW, meter=True)
    assert [type(serve(site).error) for _ in range(3)] == [Broken] * 3
    assert site.meter is not None
    ((_, _, _, row),) = site.meter.usage()
    assert row == (0, 0, 0, 0, 3, 0, 0)


def test_a_body_that_nobody_begins_is_metered_all_the_same() -> None:
    site = RateLimit(late_500, "2/minute", now=lambda: NOW, meter=True)
    body: Any = site({"REMOTE_ADDR": "192.0.2.1"}, lambda *head: lambda block: None)
    body.close()
    assert site.meter is not None
    ((_, _, _, row),) = site.meter.usage()
    assert sum(row) == 1


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_what_becomes_a_500_in_the_next_hour_is_one_of_its_own_hour(place: str, tmp_path: Path) -> None:
    now = [NOW // HOUR_US * HOUR_US - 1]
    meter = Meter(tmp_path if place == "folder" else None)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["REMOTE_ADDR"] == "192.0.2.1":
            now[0] += 1
            serve(site, {"REMOTE_ADDR": "192.0.2.2"})
            begin_anew(start_response, "500 Oops", [("Content-Type", "text/plain")])
        return [b""]

    site = RateLimit(app, "9/minute", now=lambda: now[0], meter=meter)
    assert serve(site, {"REMOTE_ADDR": "192.0.2.1"}).status == "500 Oops"
    assert [(row.key[-1], row.counts[:5]) for row in meter.usage()] == [
        (1, (0, 0, 0, 0, 1)),
        (2, (0, 1, 0, 0, 0)),
    ]
