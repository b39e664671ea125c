"""A request has one name, and a client can not write into a log with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wsgi_shapes import Application, Shape, serve
from wsgistack.components.request_id import RequestId


def named(given: str | None, **options: Any) -> tuple[str, list[str]]:
    environ = {} if given is None else {"HTTP_X_REQUEST_ID": given}
    kept: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        kept.update(environ)
        return Application(Shape())(environ, start_response)

    seen = serve(RequestId(app, **options), environ)
    assert kept["wsgistack.request_id"] == kept["HTTP_X_REQUEST_ID"]
    return kept["wsgistack.request_id"], [value for name, value in seen.headers if name == "X-Request-Id"]


def test_a_request_without_a_name_gets_one() -> None:
    first, told = named(None)
    second, _ = named(None)
    assert len(bytes.fromhex(first)) == 16
    assert told == [first]
    assert first != second


def test_a_plain_name_is_kept() -> None:
    assert named("balancer-1.42/a+b=") == ("balancer-1.42/a+b=", ["balancer-1.42/a+b="])


@pytest.mark.parametrize("given", ["", "a b", "a\nb", 'a"b', "é", "a" * 129, "a\n"])
def test_any_other_is_replaced(given: str) -> None:
    assert len(bytes.fromhex(named(given)[0])) == 16


def test_none_is_kept_where_that_is_said() -> None:
    assert len(bytes.fromhex(named("given", accept=False)[0])) == 16


def test_the_response_need_not_tell_it() -> None:
    assert named("given", respond=False) == ("given", [])


def test_the_application_may_name_the_response() -> None:
    app = RequestId(Application(Shape(headers=(("X-Request-ID", "its own"),))))
    assert serve(app, {"HTTP_X_REQUEST_ID": "given"}).headers == [("X-Request-ID", "its own")]


def test_a_fork_gives_no_name_that_the_parent_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"a" * 1024, b"b" * 1024])
    monkeypatch.setattr("os.urandom", lambda size: next(drawn)[:size])
    app = RequestId(Application(Shape()))
    before = dict(serve(app).headers)["X-Request-Id"]
    app.forked()
    after = dict(serve(app).headers)["X-Request-Id"]
    assert (before, after) == ((b"a" * 16).hex(), (b"b" * 16).hex())


def test_many_names_are_many() -> None:
    app = RequestId(Application(Shape()))
    assert len({dict(serve(app).headers)["X-Request-Id"] for _ in range(200)}) == 200
