"""Who shares the limits of a middleware, and what it meters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from tests.ratelimit.test_middleware import ask, hello, limited, serve, statuses
from wsgistack.errors import StoreDown
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule


def kind_of_table(application: RateLimit, **environ: Any) -> str:
    application({"REMOTE_ADDR": "192.0.2.1", **environ}, lambda *arguments: lambda block: None)
    return type(application.limiter.table).__name__


def test_a_server_that_has_several_processes_makes_them_share(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[str] = []
    monkeypatch.setattr(Limiter, "share", lambda self, place, **rest: shared.append(place))
    several = {"wsgi.multiprocess": True}
    for options, environ in (
        ({}, {}),
        ({}, {"wsgi.multiprocess": False}),
        ({"store": "process"}, several),
        ({"store": "memory://"}, several),
    ):
        kind_of_table(limited(hello, "9/s", **options), **environ)
    assert shared == []
    for options, environ in (({}, several), ({"store": "workers"}, {})):
        application = limited(hello, "9/s", **options)
        for _ in range(3):
            kind_of_table(application, **environ)
    assert len(shared) == len(set(shared)) == 2
    assert shared[0].endswith(" tests.ratelimit.test_middleware hello")


def test_what_cannot_be_shared_is_counted_in_the_process_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def share(self: Limiter, place: str, *, follow: bool) -> None:
        raise StoreDown("no room")

    monkeypatch.setattr(Limiter, "share", share)
    application = limited(hello, "9/s", store="workers")
    assert [kind_of_table(application) for _ in range(2)] == ["Table", "Table"]
    assert [record.getMessage() for record in caplog.records] == ["limits_of_one_process reason='no room'"]


def rows(application: Any) -> dict[tuple[str, bytes], tuple[int, ...]]:
    return {(row.rule, row.key): row.counts for row in application.meter.usage()}


def test_requests_are_metered_by_rule_key_and_status(tmp_path: Path) -> None:
    rules = [
        Rule("site", "3/minute"),
        Rule("login", "1/minute", path="/login"),
        Rule("planned", "1/minute", dry_run=True),
    ]
    application = limited(validator(hello), rules=rules, meter=tmp_path)
    app = validator(application)
    for path in ("/login", "/login", "/", "/", "/"):
        ask(app, path)
    key = bytes([192, 0, 2, 1])
    assert rows(application) == {
        ("site", key): (0, 3, 0, 2, 0, 1, 0),
        ("login", key): (0, 1, 0, 1, 0, 1, 0),
        ("planned", key): (0, 3, 0, 2, 0, 0, 4),
    }


def test_a_status_that_is_taken_back_and_an_application_that_fails_are_metered() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        if environ["PATH_INFO"] == "/fails":
            raise RuntimeError
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oh", [], sys.exc_info())
        return iter([b""])

    application = limited(app, "9/minute", meter=True)
    serve(application)
    with pytest.raises(RuntimeError):
        ask(application, "/fails")
    assert list(rows(application).values()) == [(0, 0, 0, 0, 2, 0, 0)]


def test_a_dry_run_of_all_is_metered_as_what_it_would_refuse() -> None:
    application = limited(hello, "1/minute", dry_run=True, meter=True)
    assert statuses(application, 3) == [200, 200, 200]
    assert list(rows(application).values()) == [(0, 3, 0, 0, 0, 0, 2)]
    assert application.usage_page is not None
    assert '"would_refuse": 2' in ask(application.usage_page, "/?hours=87600").text
    assert limited(hello, "1/s").usage_page is None
