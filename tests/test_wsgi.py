"""A request as engines see it, and a body that tells when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings

from tests.conftest import examples
from tests.wsgi_shapes import Application, Broken, Shape, serve, shapes
from wsgistack.wsgi import EnvironRequest, Watched, answer_early


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"REQUEST_METHOD": "PUT"}, "method", "PUT"),
        ({"wsgi.url_scheme": "https"}, "scheme", "https"),
        ({"HTTP_HOST": "example.org:8080", "SERVER_NAME": "x"}, "host", "example.org:8080"),
        ({"SERVER_NAME": "localhost", "SERVER_PORT": "80"}, "host", "localhost:80"),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}, "path", "/app/x"),
        ({}, "path", "/"),
        ({"QUERY_STRING": "a=1"}, "query", "a=1"),
        ({"REMOTE_ADDR": "192.0.2.1"}, "peer", "192.0.2.1"),
        ({"REMOTE_ADDR": None}, "peer", ""),
    ],
)
def test_a_request_is_a_window_on_the_environ(environ: dict[str, Any], name: str, value: str) -> None:
    assert getattr(EnvironRequest(environ), name) == value


def test_fields_have_the_names_of_http() -> None:
    request = EnvironRequest({"HTTP_X_API_KEY": "k", "CONTENT_TYPE": "text/plain"})
    assert request.field("X-Api-Key") == "k"
    assert request.field("content-type") == "text/plain"
    assert request.field("accept") is None


def test_a_variable_is_never_what_a_client_wrote() -> None:
    request = EnvironRequest({"HTTP_USER": "mallory", "REMOTE_USER": "ann"})
    assert (request.variable("REMOTE_USER"), request.variable("HTTP_USER")) == ("ann", None)


class Body:
    def __init__(self) -> None:
        self.events: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        for block in (b"one", b"", b"three"):
            self.events.append(f"made {block!r}")
            yield block

    def close(self) -> None:
        self.events.append("closed")


def test_a_watched_body_goes_step_by_step_and_tells_once() -> None:
    body = Body()
    told: list[int] = []
    watched = Watched(body, told.append)
    assert (next(watched), body.events) == (b"one", ["made b'one'"])
    assert list(watched) == [b"", b"three"]
    assert told == []
    watched.close()
    watched.close()
    assert (told, body.events[-1], body.events.count("closed")) == ([8], "closed", 1)


def test_it_tells_also_when_closing_fails() -> None:
    class Failing(Body):
        def close(self) -> None:
            raise RuntimeError("at close")

    told: list[int] = []
    watched = Watched(Failing(), told.append)
    with pytest.raises(RuntimeError):
        watched.close()
    assert told == [0]


def impatient(app: Any) -> Any:
    """Return *app* behind a server that takes the head when the application returns."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        told: list[object] = []

        def start(*head: object) -> Any:
            told.append(head)
            return start_response(*head)

        body = answer_early(app, environ, start)
        assert len(told) == 1
        return body

    return call


@given(shape=shapes())
@example(shape=Shape("late restart"))
@settings(max_examples=examples(60), deadline=None)
def test_an_early_head_changes_nothing_else(shape: Shape) -> None:
    bare_app, app = Application(shape), Application(shape)
    bare, seen = serve(bare_app), serve(impatient(app))
    assert (seen.error is None) == (bare.error is None)
    assert app.closed == bare_app.closed or bare.error is not None
    if bare.error is None:
        assert (seen.status, seen.headers, seen.body) == (bare.status, bare.headers, bare.body)


def test_a_list_stays_one_when_its_head_came_early() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"a", b"b"]

    body = answer_early(app, {}, lambda status, headers, exc_info=None, /: lambda data: None)
    assert body == [b"a", b"b"]


def test_a_body_that_breaks_before_its_head_is_closed() -> None:
    app = Application(Shape(kind="late", blocks=(b"", b"b"), breaks_at=0))
    said: list[bytes] = []

    def late(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ, lambda *head: None)  # its head never comes

    with pytest.raises(Broken):
        answer_early(late, {}, lambda status, headers, exc_info=None, /: said.append)
    assert (app.closed, said) == (1, [])


def test_once_the_head_is_told_an_error_is_the_servers() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        try:
            raise Broken("late")
        except Broken as error:
            start_response("500 Oops", [], (Broken, error, error.__traceback__))
        yield b"never"

    body = answer_early(app, {}, lambda status, headers, exc_info=None, /: lambda data: None)
    blocks = iter(body)
    assert next(blocks) == b"a"
    with pytest.raises(Broken, match="late"):
        next(blocks)
