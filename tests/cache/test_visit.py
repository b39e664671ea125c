"""What happens on behalf of one request: failures, validation, refreshes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request

from tests.cache.shop import FRESH, NOW, TEXT, Closing, Shop, ask, cached, guest, heard_by, page, pages_in
from wsgistack.cache.middleware import PageCache
from wsgistack.store.memory import MemoryStore

MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"


def stale_then(failing: Any) -> tuple[PageCache, Shop]:
    shop = Shop(page(b"old", headers=[TEXT, ("Cache-Control", "max-age=0, stale-if-error=60")]), failing)
    cache = cached(shop)
    ask(cache)
    return cache, shop


def raises(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise ConnectionError("database is gone")


def raises_late(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", FRESH)
    raise ConnectionError("database is gone")
    yield b""


def raises_at_first_block(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    def blocks() -> Iterator[bytes]:
        raise ConnectionError("database is gone")
        yield b""

    start_response("200 OK", FRESH)
    return blocks()


def raises_before_a_private_page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = raises_at_first_block(environ, lambda *head: None)
    start_response("200 OK", [TEXT, ("Cache-Control", "private")])
    return body


def fails(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"sorry"]


def fails_in_the_end(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", FRESH)
    try:
        raise ValueError("no")
    except ValueError:
        return fails(environ, lambda status, headers: start_response(status, headers, sys.exc_info()))


FAILING = [
    raises,
    raises_late,
    raises_at_first_block,
    raises_before_a_private_page,
    fails,
    fails_in_the_end,
]


@pytest.mark.parametrize("failing", FAILING)
def test_a_stale_page_stands_in_for_an_application_that_fails(
    failing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cache, shop = stale_then(failing)
    with caplog.at_level(logging.ERROR):
        response = ask(validator(cache))
    assert (response.status, response.body) == ("200 OK", b"old")
    assert "fwd=stale" in response.headers["Cache-Status"]
    assert len(shop.asked) == 2


def test_a_page_that_is_not_kept_passes_block_by_block_where_an_old_one_could_stand_in() -> None:
    bodies: list[Closing] = []

    def private(environ: dict[str, Any], start_response: Any) -> Closing:
        start_response("200 OK", [TEXT, ("Cache-Control", "private")])
        bodies.append(Closing([b"mi", b"", b"ne"]))
        return bodies[-1]

    cache, _ = stale_then(private)
    assert ask(validator(cache)).body == b"mine"
    heads: list[Any] = []
    body = cache(Request.blank("/").environ, heard_by(heads))
    blocks = iter(body)
    assert (next(blocks), [head[0] for head in heads]) == (b"mi", ["200 OK"])
    body.close()  # type: ignore[attr-defined]  # of the cache's own
    body.close()  # type: ignore[attr-defined]  # of the cache's own
    assert [one.closed for one in bodies] == [1, 1]


def test_what_stands_in_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    cache, _ = stale_then(raises)
    ask(cache)
    assert [record.message.split()[0] for record in caplog.records] == ["origin_failed"]
    assert caplog.records[0].exc_info[0] is ConnectionError  # type: ignore[index]  # there is one


def test_without_a_page_an_error_stays_the_applications_own() -> None:
    cache = cached(raises)
    with pytest.raises(ConnectionError, match="database is gone"):
        ask(cache)
    assert ask(cached(fails)).body == b"sorry"


def test_an_error_in_the_middle_of_a_body_is_raised_and_nothing_stored() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        yield b"hel"
        raise ConnectionError("database is gone")

    store = MemoryStore(1 << 20)
    with pytest.raises(ConnectionError):
        ask(cached(app, store=store))
    assert pages_in(store) == 0


def test_a_304_about_another_page_makes_the_application_answer_in_full() -> None:
    shop = Shop(
        page(b"old", headers=[("Cache-Control", "max-age=0"), ("ETag", '"a"')]),
        page(status="304 Not Modified", headers=[("ETag", '"b"')]),
        page(b"new", headers=[("Cache-Control", "max-age=0"), ("ETag", '"b"')]),
    )
    cache = cached(shop)
    assert [ask(cache).body, ask(cache).body] == [b"old", b"new"]
    assert [environ.get("HTTP_IF_NONE_MATCH") for environ in shop.asked] == [None, '"a"', None]


def test_a_page_is_fetched_anew_when_its_reply_was_sent() -> None:
    headers = [("Cache-Control", "max-age=0, stale-while-revalidate=60"), ("ETag", '"a"')]
    shop = Shop(page(b"old", headers=headers), page(b"new"))
    cache = cached(shop)
    ask(cache)
    body = cache(Request.blank("/", method="HEAD").environ, lambda *_: lambda block: None)
    assert (list(body), len(shop.asked)) == ([], 1)
    body.close()  # type: ignore[attr-defined]
    body.close()  # type: ignore[attr-defined]
    assert [environ["REQUEST_METHOD"] for environ in shop.asked] == ["GET", "GET"]
    assert (ask(cache).body, len(shop.asked)) == (b"new", 2)


def test_a_refresh_that_fails_is_logged_and_leaves_the_page(caplog: pytest.LogCaptureFixture) -> None:
    headers = [("Cache-Control", "max-age=0, stale-while-revalidate=60")]
    cache = cached(Shop(page(b"old", headers=headers), raises))
    assert [ask(cache).body for _ in range(3)] == [b"old"] * 3
    assert [record.message.split()[0] for record in caplog.records] == ["refresh_failed"] * 2


def test_the_clients_environ_is_left_as_it_is() -> None:
    shop = Shop(page(b"old", headers=[("Cache-Control", "max-age=0"), ("ETag", '"a"')]))
    cache = cached(shop)
    ask(cache)
    environ = Request.blank("/").environ
    before = dict(environ)
    list(cache(environ, lambda *_: lambda block: None))
    del environ["wsgistack.cache"]  # what the application may say
    assert environ == before


@pytest.mark.parametrize(
    ("fields", "asked", "status", "sent"),
    [
        ([("Cache-Control", "no-store"), ("ETag", '"a"')], {"If_None_Match": '"a"'}, 304, b""),
        ([("Cache-Control", "no-store"), ("ETag", '"a"')], {"If_None_Match": '"b"'}, 200, b"page"),
        ([("Last-Modified", MODIFIED), ("Set-Cookie", "a=1")], {"If_Modified_Since": MODIFIED}, 304, b""),
        ([("Cache-Control", "no-store")], {"If_None_Match": '"a"'}, 200, b"page"),
        ([("Cache-Control", "max-age=60"), ("ETag", '"a"')], {"If_None_Match": '"a"'}, 200, b"page"),
    ],
    ids=["not kept", "another tag", "not modified", "no validator", "kept"],
)
def test_a_page_that_is_not_kept_is_not_sent_to_who_has_it(
    fields: list[tuple[str, str]], asked: dict[str, str], status: int, sent: bytes
) -> None:
    body = Closing([b"page"])

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert "HTTP_IF_NONE_MATCH" not in environ
        start_response("200 OK", [TEXT, ("Content-Length", "4"), *fields])
        return body

    reply = ask(guest(app), **asked)
    assert (reply.status_int, reply.body, body.closed) == (status, sent, 1)
    assert ("Content-Length" in reply.headers) is (status == 200)
    assert [value for name, value in fields if name == "Set-Cookie"] == reply.headers.getall("Set-Cookie")


def test_a_page_is_fetched_anew_once_and_the_application_gives_no_hints_to_nobody() -> None:
    """The second reply's end comes while the application answers for the first."""
    bodies: list[Any] = []
    hints: list[bool] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        hints.append("wsgi.early_hints" in environ)
        for body in bodies:
            body.close()
        start_response("200 OK", [TEXT, ("Cache-Control", "max-age=0, stale-while-revalidate=60")])
        return [b"page"]

    cache = PageCache(app, now=lambda: NOW)
    ask(cache)
    for _ in range(2):
        environ = Request.blank("/").environ | {"wsgi.early_hints": print}
        bodies.append(cache(environ, heard_by([])))
    bodies[0].close()
    assert hints == [False, False]
