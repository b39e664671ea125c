"""What a page costs in round trips over a store that processes share, and whose lease it is meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH, NOW, heard_by
from wsgistack.cache.middleware import PageCache
from wsgistack.store.base import Claim, claim
from wsgistack.store.memory import MemoryStore


def get(app: Any, path: str = "/", **fields: str) -> tuple[dict[str, str], bytes]:
    heads: list[Any] = []
    body = app(Request.blank(path, headers=fields).environ, heard_by(heads))
    read = b"".join(body)
    getattr(body, "close", lambda: None)()
    return dict(heads[-1][1]), read


class Counting:
    """A store that others share, behind a network; each call is a round trip."""

    shared = True
    pins = True

    def __init__(self) -> None:
        self.memory = MemoryStore(1 << 20)
        self.trips: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.memory, name)

        def call(*words: Any, **more: Any) -> Any:
            self.trips.append(name)
            return method(*words, **more)

        return call

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        self.trips.append("claim")
        return claim(self.memory, key, value, ttl_s)

    def within(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def held(self) -> list[bytes]:
        """All values but the ledger of purges."""
        return [entry.value for key, entry in self.memory._entries.items() if not key.startswith("b:")]


VARYING = [*FRESH, ("Vary", "Accept-Language")]
TAGGED = [("Cache-Control", "max-age=60"), ("ETag", '"a"')]
TRIPS = [  # what is asked for, how old the page is then, and the round trips of that request
    ("a miss", FRESH, None, {}, ["get_many", "claim", "cas"]),
    ("a hit", FRESH, 1.0, {}, ["get_many"]),
    ("a miss that varies", VARYING, None, {}, ["get_many", "claim", "cas", "set"]),
    ("a hit that varies", VARYING, 1.0, {}, ["get_many", "get_many"]),
    (
        "another variant",
        VARYING,
        1.0,
        {"Accept-Language": "de"},
        ["get_many", "get_many", "claim", "get_many", "get_many", "gets", "set", "delete"],
    ),
    ("a validation", TAGGED, 61.0, {}, ["get_many", "claim", "gets", "cas", "delete"]),
    (
        "a stale page that can not be validated",
        FRESH,
        61.0,
        {},
        ["get_many", "claim", "gets", "cas", "delete"],
    ),
    ("one page for one visitor", [("Cache-Control", "private")], None, {}, ["get_many", "claim", "set"]),
    ("the next of it", [("Cache-Control", "private")], 1.0, {}, ["get_many"]),
]


@pytest.mark.parametrize(
    ("fields", "age_s", "more", "trips"), [row[1:] for row in TRIPS], ids=[row[0] for row in TRIPS]
)
def test_round_trips_over_a_store_that_others_share(
    fields: list[tuple[str, str]], age_s: float | None, more: dict[str, str], trips: list[str]
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_known = environ.get("HTTP_IF_NONE_MATCH") == '"a"'
        start_response("304 Not Modified" if is_known else "200 OK", fields)
        return [] if is_known else [b"page"]

    store: Any = Counting()
    now = [NOW]
    cache = PageCache(app, store=store, now=lambda: now[0])
    get(cache, "/first")  # begins the ledger
    if age_s is not None:
        get(cache, "/second")
        now[0] += age_s
    store.trips.clear()
    assert get(cache, "/second", **more)[1] == b"page"
    assert store.trips == trips


@pytest.mark.parametrize(
    ("fields", "left"), [(FRESH, 1), ([("Cache-Control", "private")], 1), ([*FRESH, ("Vary", "Accept")], 2)]
)
def test_no_lease_is_left_behind_a_fill(fields: list[tuple[str, str]], left: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)
        return [b"page"]

    store: Any = Counting()
    get(PageCache(app, store=store, now=lambda: NOW))
    assert len(store.held) == left
    assert b"busy" not in store.held


def test_an_application_that_fails_leaves_no_lease_behind() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    store: Any = Counting()
    cache = PageCache(app, store=store, now=lambda: NOW)
    with pytest.raises(ZeroDivisionError):
        get(cache)
    assert store.held == []


def test_a_page_that_another_process_stores_between_look_and_lease_is_taken() -> None:
    others: list[Callable[[], Any]] = []

    class Late(Counting):
        def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
            if others:
                others.pop()()
            return claim(self.memory, key, value, ttl_s)

    calls = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        start_response("200 OK", FRESH)
        return [b"page"]

    store: Any = Late()
    one, other = (PageCache(app, store=store, now=lambda: NOW) for _ in range(2))
    others.append(lambda: get(other))
    assert get(one)[0]["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert len(calls) == 1


def test_what_lies_in_the_place_of_a_lease_and_is_of_no_use_is_passed_by() -> None:
    """A purged page: the lease lies beside it then, and the page is made once."""
    calls = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        start_response("200 OK", FRESH)
        return [b"page %d" % len(calls)]

    store: Any = Counting()
    cache = PageCache(app, store=store, now=lambda: NOW)
    get(cache)
    cache.purge(everything=True)
    assert get(cache)[1] == b"page 2"
    assert get(cache)[0]["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert b"busy" not in store.held
