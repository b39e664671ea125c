"""Clients that leave in the middle of a response, with every component around the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from werkzeug.test import create_environ

from wsgistack import wrap
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

PLACES = 20
PAGE = {"REMOTE_ADDR": "127.0.0.1"}


class Body:
    """Ten blocks; *wait*: what comes before each."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self._wait = wait
        self._left = 10
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._wait()
        if not self._left:
            raise StopIteration
        self._left -= 1
        return b"x" * 1000

    def close(self) -> None:
        self.closed += 1


class Site:
    """An application in all of a stack that lets PLACES be in at once."""

    def __init__(self, log: Path, wait: Callable[[], object] = lambda: None) -> None:
        self.bodies: list[Body] = []
        self.log = log
        self._wait = wait
        self.stack: WSGIApplication = wrap(
            self._answer,
            trust=["127.0.0.0/8"],
            request_id=True,
            access_log=str(log),
            metrics=True,
            metering=True,
            rate_limit=f"{PLACES} concurrent",
            buckets={"split": "beta 50%", "secret": "that only the tests know"},
            page_cache=True,
            compression=True,
            conditional=True,
        )

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Cache-Control", "max-age=60")])
        self.bodies.append(Body(self._wait))
        return self.bodies[-1]

    def ask(self, path: str, **fields: str) -> tuple[str, Any]:
        """Return the status and the body, which is the caller's to close."""
        told: list[str] = []

        def start_response(
            status: str, headers: object, exc_info: object = None
        ) -> Callable[[bytes], object]:
            told[:] = [status[:3]]
            return lambda block: None

        body = self.stack({**create_environ(path), **PAGE, **fields}, start_response)
        blocks = iter(body)
        first = next(blocks)
        return told[0], (first, blocks, body)

    def lines(self) -> list[tuple[str, int, int]]:
        """Return target, status and bytes of each line of the log."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(line["target"], line["status"], line["bytes"]) for line in found]


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_who_leaves_frees_a_place_and_is_one_line_with_what_was_sent(tmp_path: Path, coding: str) -> None:
    site = Site(tmp_path / "log")
    sent = {}
    for turn in range(3):
        inside = [site.ask(f"/{turn}/{number}", HTTP_ACCEPT_ENCODING=coding) for number in range(PLACES)]
        assert {status for status, _ in inside} == {"200"}
        assert site.ask(f"/{turn}/more")[0] == "503"
        for number, (_, (first, blocks, body)) in enumerate(inside):
            sent[f"/{turn}/{number}"] = len(first) + sum(len(next(blocks)) for _ in range(number % 2))
            body.close()
    assert [body.closed for body in site.bodies] == [1] * (3 * PLACES)
    logged = [(target, size) for target, status, size in site.lines() if status == 200]
    assert (len(logged), dict(logged)) == (3 * PLACES, sent)


def test_greenlets_that_are_killed_in_the_middle_free_their_places(tmp_path: Path) -> None:
    asleep: list[object] = []

    def wait() -> None:
        asleep.append(None)
        if len(site.bodies) <= 2 * PLACES:
            gevent.sleep(3600)

    def serve(number: int) -> None:
        body: Any = site.stack({**create_environ(f"/{number}"), **PAGE}, lambda *told: lambda block: None)
        try:
            for _ in body:
                pass
        finally:
            body.close()

    site = Site(tmp_path / "log", wait)
    for turn in range(2):
        greenlets = [gevent.spawn(serve, turn * PLACES + number) for number in range(PLACES)]
        while len(asleep) < (turn + 1) * PLACES:
            assert not any(greenlet.dead for greenlet in greenlets)
            gevent.sleep(0)
        gevent.killall(greenlets)
    assert [body.closed for body in site.bodies] == [1] * (2 * PLACES)
    assert len(site.lines()) == 2 * PLACES
    inside = [site.ask(f"/last/{number}") for number in range(PLACES)]
    assert {status for status, _ in inside} == {"200"}
    for _, (_, _, body) in inside:
        body.close()
