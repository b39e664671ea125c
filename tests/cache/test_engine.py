"""The engine's answers, and that the short way says what the long one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache.answers import Drop, Fetch, Keep, Pass, Refetch, Refresh, Serve, Trip, Validate
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.freshness import Terms, make_terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.page import Page
from wsgistack.cache.policy import PROFILES
from wsgistack.cache.signs import ASKING_FIELDS
from wsgistack.wsgi import EnvironRequest

ENGINE = PageCacheEngine(PROFILES["rfc9111"])
GUESTS = PageCacheEngine(PROFILES["anonymous"])
NOW = 784111777.0
TARGET = "http://example.org/page"


def request(method: str = "GET", **fields: str) -> EnvironRequest:
    return EnvironRequest(
        {"REQUEST_METHOD": method, **{f"HTTP_{name}": value for name, value in fields.items()}}
    )


def page(control: str, *more: tuple[str, str], status: int = 200, body: bytes = b"one") -> Page:
    head = ResponseHead(status, "OK", [("Cache-Control", control), *more])
    return Page(head, make_terms(head, ENGINE.policy, asked_at=NOW, received_at=NOW), body=body)


def trip(sent: Fetch | Validate | Pass, method: str = "GET") -> Trip:
    return Trip(request(method), sent, TARGET, NOW)


# Halves are exact beside a time of day: a difference of 1e-14 s is nobody's lifetime.
SECONDS = st.integers(-400, 400).map(lambda halves: halves / 2)
SPANS = st.integers(0, 400).map(lambda halves: halves / 2)


@given(
    terms=st.builds(
        Terms,
        received_at=SECONDS.map(lambda s: NOW + s),
        initial_age_s=SPANS,
        lifetime_s=st.none() | SPANS,
        asks_always=st.booleans(),
        never_stale=st.booleans(),
        while_revalidate_s=SPANS,
        if_error_s=st.just(0.0),
        if_down_s=st.just(0.0),
    ),
    status=st.sampled_from([200, 204, 206, 301, 404]),
    count=st.integers(0, 2),
)
def test_a_plain_request_is_answered_as_any_other(terms: Terms, status: int, count: int) -> None:
    head = ResponseHead(
        status, "Words", [("Content-Type", "a/b"), ("Content-Range", "bytes 0-2/9"), ("Age", "1")]
    )
    pages = [Page(head, terms, body=b"one")] * count
    short = ENGINE.on_plain_request(pages, NOW)
    long = ENGINE.on_request(request(), pages, NOW)
    if short is not None:
        assert long == Serve(short)
    elif count == 1 and terms.received_at <= NOW:
        assert not isinstance(long, Serve) or long.refresh is not None


def test_every_field_that_makes_a_request_more_than_plain_is_known() -> None:
    fresh = page("max-age=60", ("ETag", '"a"'))
    plain = ENGINE.on_request(request(), [fresh], NOW)
    asking = {
        "CACHE_CONTROL": "no-cache",
        "RANGE": "bytes=0-1",
        "IF_NONE_MATCH": '"a"',
        "IF_MODIFIED_SINCE": "Sun, 06 Nov 1994 08:49:37 GMT",
        "IF_MATCH": '"a"',
        "IF_UNMODIFIED_SINCE": "Sun, 06 Nov 1994 08:49:37 GMT",
    }
    assert {name.lower().replace("_", "-") for name in asking} | {"if-range"} == set(ASKING_FIELDS)
    for name, value in asking.items():
        assert ENGINE.on_request(request(**{name: value}), [fresh], NOW) != plain, name


def test_of_two_pages_that_fit_the_newer_one_is_used() -> None:
    old, new = page("max-age=60", ("Age", "10"), body=b"old"), page("max-age=60", body=b"new")
    for pages in ([old, new], [new, old]):
        decision = ENGINE.on_request(request(), pages, NOW)
        assert isinstance(decision, Serve)
        assert decision.reply.body == b"new"


def test_a_304_about_another_page_is_fetched_again_without_conditions() -> None:
    sent = ENGINE.on_request(request(), [page("max-age=0", ("ETag", '"a"'))], NOW)
    assert isinstance(sent, Validate)
    answer = ENGINE.on_response(trip(sent), ResponseHead(304, "", [("ETag", '"b"')]), NOW)
    assert isinstance(answer, Refetch)
    assert set(answer.fetch.changes.values()) == {None}


def test_a_304_that_forbids_storing_ends_the_page() -> None:
    sent = ENGINE.on_request(request(), [page("max-age=0", ("ETag", '"a"'))], NOW)
    assert isinstance(sent, Validate)
    answer = ENGINE.on_response(trip(sent), ResponseHead(304, "", [("Cache-Control", "no-store")]), NOW)
    assert answer.page is None  # type: ignore[union-attr]  # it is a Refresh
    assert answer.reply.body == b"one"  # type: ignore[union-attr]


def test_a_304_to_the_clients_own_question_is_the_clients() -> None:
    sent = ENGINE.on_request(request(IF_NONE_MATCH='"x"'), [], NOW)
    assert sent == Fetch("uri-miss", {})
    answer = ENGINE.on_response(trip(sent), ResponseHead(304, "", [("ETag", '"x"')]), NOW)
    assert isinstance(answer, Drop)
    assert answer.head.status == 304


def test_a_guest_asks_for_the_whole_page() -> None:
    sent = GUESTS.on_request(request(IF_NONE_MATCH='"x"', CACHE_CONTROL="no-cache"), [], NOW)
    assert isinstance(sent, Fetch)
    assert sent.changes["if-none-match"] is None
    served = GUESTS.on_request(request(CACHE_CONTROL="no-cache"), [page("max-age=60")], NOW)
    assert isinstance(served, Serve)


def test_a_rest_that_does_not_fit_is_fetched_again_as_a_whole() -> None:
    part = page("max-age=60", ("Content-Range", "bytes 0-4/10"), ("ETag", '"a"'), status=206, body=b"01234")
    sent = ENGINE.on_request(request(), [part], NOW)
    assert isinstance(sent, Fetch)
    assert sent.changes["range"] == "bytes=5-"
    fits = [("Cache-Control", "max-age=60"), ("Content-Range", "bytes 5-9/10"), ("ETag", '"a"')]
    kept = ENGINE.on_response(trip(sent), ResponseHead(206, "", fits), NOW)
    assert isinstance(kept, Keep)
    assert (kept.before, kept.head.status, kept.head.field("content-length")) == (b"01234", 200, "10")
    for wrong in (("Content-Range", "bytes 6-9/10"), ("Content-Range", "bytes 5-9/11"), ("ETag", '"b"')):
        fields = [wrong if name == wrong[0] else (name, value) for name, value in fits]
        assert isinstance(ENGINE.on_response(trip(sent), ResponseHead(206, "", fields), NOW), Refetch)


def test_a_part_in_the_middle_is_not_completed() -> None:
    part = page("max-age=60", ("Content-Range", "bytes 5-9/10"), ("ETag", '"a"'), status=206, body=b"56789")
    assert ENGINE.on_request(request(), [part], NOW) == Fetch("partial", {}, part)


def test_a_client_that_wants_no_stored_page_gets_none_when_the_origin_fails() -> None:
    sent = ENGINE.on_request(request(CACHE_CONTROL="no-cache"), [page("max-age=60, stale-if-error=60")], NOW)
    assert isinstance(sent, Fetch)
    assert ENGINE.on_failure(request(), sent, NOW) is None


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({}, [("Cache-Control", "private, max-age=60")]),
        ({}, [("Cache-Control", "no-store")]),
        ({"AUTHORIZATION": "x"}, [("Cache-Control", "max-age=60")]),
        ({"CACHE_CONTROL": "no-store"}, [("Cache-Control", "max-age=60")]),
    ],
    ids=["private", "no-store", "authorization", "request no-store"],
)
def test_what_a_head_says_to_one_client_is_told_to_nobody(
    asked: dict[str, str], fields: list[tuple[str, str]]
) -> None:
    sent = Fetch("stale", {}, page("max-age=10"))
    head = ResponseHead(200, "OK", [*fields, ("X-User", "joe")])
    answer = ENGINE.on_response(Trip(request("HEAD", **asked), sent, TARGET, NOW), head, NOW + 20)
    assert isinstance(answer, Drop)


@pytest.mark.parametrize("said", [{"is_private": True}, {}], ids=["private", "cookie"])
def test_what_a_head_sets_or_an_application_calls_private_is_told_to_no_guest(said: dict[str, bool]) -> None:
    sent = Fetch("stale", {}, page("max-age=10"))
    fields = [("X-User", "joe")] if said else [("Set-Cookie", "id=1")]
    one = Trip(request("HEAD"), sent, TARGET, NOW, **said)  # type: ignore[arg-type]  # a table of keyword arguments
    assert isinstance(GUESTS.on_response(one, ResponseHead(200, "OK", fields), NOW + 20), Drop)


def test_a_head_freshens_what_is_stored() -> None:
    sent = Fetch("stale", {}, page("max-age=10"))
    head = ResponseHead(200, "OK", [("Cache-Control", "max-age=60"), ("X-New", "1")])
    answer = ENGINE.on_response(trip(sent, "HEAD"), head, NOW + 20)
    assert isinstance(answer, Refresh)
    assert answer.page is not None
    assert (answer.page.head.field("x-new"), answer.page.terms.freshness(NOW + 20)) == (
        "1",
        40,
    )  # it took 20 s


def test_a_fresh_page_that_says_no_cache_is_asked_about_each_time() -> None:
    stored = page("no-cache, max-age=60", ("ETag", '"a"'))
    assert isinstance(ENGINE.on_request(request(), [stored], NOW), Validate)
    assert ENGINE.on_plain_request([stored], NOW) is None


@pytest.mark.parametrize(("waited", "stands_in"), [(14.5, True), (15.0, False)])
def test_a_page_stands_in_for_less_than_its_grace(waited: float, stands_in: bool) -> None:
    sent = Fetch("stale", {}, page("max-age=10, stale-if-error=5"), may_stand_in=True)
    answer = ENGINE.on_failure(request(), sent, NOW + waited)
    assert isinstance(answer, Serve) is stands_in


@pytest.mark.parametrize(
    ("asked", "suits"),
    [("min-fresh=60", True), ("min-fresh=61", False), ("max-age=0", True), ("no-cache", False)],
)
def test_a_client_gets_a_page_that_is_just_as_fresh_as_it_wants(asked: str, suits: bool) -> None:
    decision = ENGINE.on_request(request(CACHE_CONTROL=asked), [page("max-age=60")], NOW)
    assert isinstance(decision, Serve) is suits


def test_a_head_asks_for_the_head_and_not_whether_the_page_holds() -> None:
    decision = ENGINE.on_request(request("HEAD"), [page("max-age=0", ("ETag", '"a"'))], NOW + 1)
    assert isinstance(decision, Fetch)


def test_nothing_stands_in_for_what_was_never_stored() -> None:
    for sent in (Fetch("uri-miss", {}), Pass("method")):
        assert ENGINE.on_failure(request(), sent, NOW) is None
