"""Applications that leave anything at all in the environ: nothing that they do to it becomes the server's trouble."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from tests.test_passage import BOTH, Noted, around
from tests.wsgi_shapes import Application as Whole
from tests.wsgi_shapes import Seen, Shape
from wsgistack import wrap
from wsgistack.passage import Passage
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

# What any component reads of an environ, or leaves there: grep 'get(environ' wsgistack
KEYS = (
    *(
        "REMOTE_ADDR",
        "REMOTE_USER",
        "REMOTE_HOST",
        "REMOTE_PORT",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
    ),
    *("QUERY_STRING", "RAW_URI", "REQUEST_URI", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"),
    *("SERVER_SOFTWARE", "HTTP_HOST", "HTTP_COOKIE", "HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH"),
    *("HTTP_IF_MODIFIED_SINCE", "HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_TRACEPARENT", "HTTP_X_API_KEY"),
    *("HTTP_AUTHORIZATION", "HTTP_RANGE", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_ACCEPT"),
    *("CONTENT_TYPE", "CONTENT_LENGTH", "wsgi.url_scheme", "wsgi.multiprocess", "wsgi.file_wrapper"),
    *("wsgi.input", "wsgi.errors", "wsgistack.peer", "wsgistack.request_id", "wsgistack.buckets"),
    *("wsgistack.bucket", "wsgistack.cache", "wsgistack.ratelimit"),
)


class Unspeakable:
    """What raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("on purpose")

    __repr__ = __str__

    def __len__(self) -> int:
        raise RuntimeError("on purpose")

    def __bool__(self) -> bool:
        raise RuntimeError("on purpose")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("on purpose")

    __hash__ = None  # type: ignore[assignment]  # nor can it be looked up


GONE = object()
VALUES: tuple[object, ...] = (
    *(
        GONE,
        None,
        b"",
        b"192.0.2.9",
        0,
        7,
        -1.5,
        True,
        "",
        "\udc80\n\0",
        "x" * 100_000,
        [],
        ["a"],
        {},
        {1: 2},
    ),
    *(("a",), object(), Unspeakable(), Ellipsis, ValueError("x")),
)


class Application:
    """Answers with *body* after it did *changes* to its environ, before or while it answers; counts its ends."""

    def __init__(self) -> None:
        self.changes: dict[str, object] = {}
        self.late = False
        self.body = b""
        self.closed = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self.late:
            self._spoil(environ)
        start_response("200 OK", [("Content-Type", "text/html"), ("X-Own", "1")])
        self._environ = environ
        return self

    def __iter__(self) -> Iterator[bytes]:
        if self.late:
            self._spoil(self._environ)
        yield self.body[:100]
        yield self.body[100:]

    def close(self) -> None:
        self.closed += 1

    def _spoil(self, environ: Environ) -> None:
        for name, value in self.changes.items():
            if value is GONE:
                environ.pop(name, None)
            else:
                environ[name] = value


def config_of(folder: Path, key: str, rate: str) -> dict[str, Any]:
    return {
        "trust": ["192.0.2.0/24"],
        "request_id": True,
        "access_log": str(folder / "log"),
        "metrics": True,
        "metering": True if key == "client" else {"by": key},
        "rate_limit": rate,
        "buckets": {"split": "beta 50%", "secret": "that only the tests know"},
        "page_cache": True,
        "compression": True,
        "conditional": True,
    }


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def listening() -> Iterator[Complaints]:
    heard = Complaints()
    logging.getLogger("wsgistack").addHandler(heard)
    try:
        yield heard
    finally:
        logging.getLogger("wsgistack").removeHandler(heard)


def serve(app: WSGIApplication, environ: Environ) -> Seen:
    """Serve a request as servers do, and close in any case."""
    seen = Seen()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        seen.status, seen.headers = status, headers
        return pytest.fail

    body = app(environ, start_response)
    try:
        seen.body = b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return seen


SITES = {
    "by address": ("client", "100000/second"),
    "by key, places": ("HTTP_X_API_KEY", "1000 concurrent"),
    "by user, bytes": ("REMOTE_USER", "100 gb/second"),
}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    application = Application()
    key, rate = SITES[request.param]
    return application, wrap(application, config_of(tmp_path_factory.mktemp("log"), key, rate))


@given(
    changes=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=6),
    late=st.booleans(),
    size=st.sampled_from([0, 50, 5000]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    cookie=st.sampled_from(["", "sessionid=1"]),
)
def test_whatever_an_application_leaves_in_its_environ_is_no_trouble_for_the_server(
    site: Any, changes: dict[str, object], late: bool, size: int, method: str, cookie: str
) -> None:
    application, stack = site
    application.changes, application.late, application.body = changes, late, b"x" * size
    application.closed = 0
    headers = {"Cookie": cookie} if cookie else {}
    environ = create_environ("/page", "http://a.test", method=method, headers=headers)
    environ["REMOTE_ADDR"] = "192.0.2.1"
    with listening() as heard:
        seen = serve(stack, environ)
    assert (seen.status, seen.body, application.closed) == ("200 OK", b"x" * size, 1)
    assert ("X-Own", "1") in seen.headers
    assert all(text.startswith("end_failed step=") for text in heard.texts), heard.texts
    assert len(set(heard.texts)) == len(heard.texts)  # each that could not end complains once, at most


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("key", KEYS)
def test_each_variable_may_become_anything(site: Any, key: str, late: bool) -> None:
    for value in VALUES:
        test_whatever_an_application_leaves_in_its_environ_is_no_trouble_for_the_server.hypothesis.inner_test(  # type: ignore[attr-defined]
            site,
            {key: value},
            late,
            5000,
            "GET",
            "sessionid=1",  # a guest's application gets a copy
        )


@BOTH
def test_one_whose_end_fails_keeps_nothing_from_the_others_nor_the_server(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wsgistack.passage._failed", set())
    for _ in range(2):
        events: list[str] = []
        app = around(twin, Whole(Shape()), Noted("a", events), Noted("b", events, fails=True))
        app({}, lambda *head: len).close()
        assert events[2:] == ["b: 200, 0 bytes", "a: 200, 0 bytes"]
    assert [record.getMessage() for record in caplog.records] == ["end_failed step=Noted"]


@BOTH
def test_one_that_is_ended_itself_keeps_nothing_from_the_others(twin: ModuleType) -> None:
    events: list[str] = []

    class Ended(Noted):
        def at_end(self, passage: Passage, /) -> None:
            raise GeneratorExit

    app = around(twin, Whole(Shape()), Noted("a", events), Ended("b", events))
    with pytest.raises(GeneratorExit):
        app({}, lambda *head: len).close()
    assert events[2:] == ["a: 200, 0 bytes"]
