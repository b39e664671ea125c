"""The replies that are made of a stored page."""

from __future__ import annotations

from wsgistack.cache.freshness import make_terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.page import Page, Reply, make_hit, make_reply
from wsgistack.cache.policy import PROFILES
from wsgistack.wsgi import EnvironRequest

NOW = 784111777.0
MODIFIED = "Sun, 06 Nov 1994 08:00:00 GMT"


def page(status: int, *fields: tuple[str, str]) -> Page:
    head = ResponseHead(status, "", [("Cache-Control", "max-age=60"), ("Content-Type", "a/b"), *fields])
    terms = make_terms(head, PROFILES["rfc9111"], asked_at=NOW, received_at=NOW)
    return Page(head, terms, body=b"page")


def reply_to(stored: Page, **fields: str) -> Reply | None:
    said = {f"HTTP_{name}": value for name, value in fields.items()}
    return make_reply(stored, EnvironRequest({"REQUEST_METHOD": "GET", **said}), age=0, cache_status="a")


def test_who_has_a_page_is_told_so_but_not_who_has_an_error() -> None:
    found = reply_to(page(200, ("ETag", '"a"')), IF_NONE_MATCH='"a"')
    gone = reply_to(page(404, ("ETag", '"a"')), IF_NONE_MATCH='"a"')
    assert found is not None
    assert gone is not None
    assert (found.status, gone.status, gone.body) == (304, 404, b"page")


def test_a_304_tells_when_a_page_without_a_tag_was_modified_and_nothing_of_its_content() -> None:
    reply = reply_to(page(200, ("Last-Modified", MODIFIED)), IF_MODIFIED_SINCE=MODIFIED)
    assert reply is not None
    assert [name for name, _ in reply.fields] == [
        "Cache-Control",
        "Last-Modified",
        "Date",
        "Age",
        "Cache-Status",
    ]


def test_a_page_that_comes_from_the_future_needs_a_closer_look() -> None:
    """A clock was put back: the age cannot be told by a plain difference."""
    assert make_hit(page(200), NOW) is not None
    assert make_hit(page(200), NOW - 5) is None
