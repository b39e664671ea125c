"""What is remembered of texts: quick to find again, and within its bound, whatever strangers send."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from wsgistack.cache.codings import Codings
from wsgistack.cache.keys import Names, Target, find_target, make_key, normalise_host
from wsgistack.cache.personal import Visitors, parse_cookies
from wsgistack.cache.search import parse_variance
from wsgistack.cache.vary import selecting_of
from wsgistack.components.compression import Compression
from wsgistack.errors import StoreDown
from wsgistack.http.cache_control import parse_cache_control
from wsgistack.http.conditional import parse_etags
from wsgistack.http.dates import parse_date
from wsgistack.http.fields import token_list
from wsgistack.http.forwarded import parse_hop
from wsgistack.http.identity import tells_identity
from wsgistack.http.paths import normal_path
from wsgistack.http.structured import parse_dictionary, parse_item, parse_list
from wsgistack.memos import LONGEST, Memo, remember
from wsgistack.ratelimit.clients import Asker, Trust, header_key
from wsgistack.stack import wrap
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

MOST_HELD = 4 * 1024 * 1024  # bytes that one memo holds, whatever was sent
MOST_OF_LONG = 128 * 1024  # and where all of it is too long to be remembered
MOST_OF_ALL = 1024 * 1024  # bytes that a whole stack keeps of what is too long
LONG = 8000  # characters: servers take 8 to 16 kB of a field


def held_after(work: Callable[[], object]) -> int:
    """Return how many bytes are held after *work* that were not before."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def members(form: str, number: int, length: int) -> str:
    """Return a list of members, each different and none worth anything, that is about as long."""
    made, size, at = [], 0, 0
    while size < length:
        made.append(form.format(f"{number + at * 7919:x}"))
        size += len(made[-1]) + 1
        at += 1
    return ",".join(made)[:length]


def _vary(value: str) -> object:
    return selecting_of(("accept-language",), lambda name: value, reorders=True)


def _target(value: str) -> object:
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "a.test", "PATH_INFO": value}
    return find_target(EnvironRequest({**environ, "RAW_URI": value}), ignored=Names((), setting="x"))


def _compressed(value: str) -> object:
    return Request.blank("/", environ={"HTTP_ACCEPT_ENCODING": value}).call_application(COMPRESSION)


def _ask(get: Callable[[str], object], key: str) -> None:
    with suppress(StoreDown):
        get(key)


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with a page for everybody that varies by all that a stranger can write."""
    varies = "Accept-Language, Accept-Encoding, X-Long, Priority"
    start_response(
        "200 OK", [("Content-Type", "text/html"), ("Cache-Control", "public, max-age=60"), ("Vary", varies)]
    )
    return [b"hello " * 200]


VISITORS = Visitors()
NOWHERE = "127.0.0.1:1"  # no memcached: a key is made for it all the same
STORE = make_store(f"memcached://{NOWHERE}")
RING = MemcacheRing([NOWHERE])
COMPRESSION = Compression(lambda environ, start_response: answer(environ, start_response))
BY_KEY = header_key("x-api-key", known=lambda value: True)
TRUST = Trust()

# what is remembered: (what asks for it, what a member of a text looks like, how many are remembered)
MEMOS: dict[str, tuple[Callable[[str], object], str, int]] = {
    "codings of compression": (_compressed, "{};q=0.1", 512),
    "codings of pages": (Codings(["gzip"]).choose, "{};q=0.1", 1024),
    "hops": (parse_hop, "{}", 8192),
    "keys of peers": (TRUST.key_of_peer, "{}", 8192),
    "keys by credential": (
        lambda value: BY_KEY(Asker(EnvironRequest({"HTTP_X_API_KEY": value}), TRUST)),
        "{}",
        8192,
    ),
    "lists of names": (token_list, "{}", 1024),
    "entity tags": (parse_etags, '"{}"', 1024),
    "dates": (parse_date, "{}", 4096),
    "cache control": (parse_cache_control, "{}=1", 1024),
    "structured items": (parse_item, "{}", 256),
    "structured lists": (parse_list, "a{};b", 256),
    "structured dictionaries": (parse_dictionary, "a{};b", 256),
    "variances": (parse_variance, "a{}", 256),
    "what pages vary by": (_vary, "{}", 4096),
    "names of cookies": (lambda value: parse_cookies(f"{value.replace(',', '')}=1"), "{}", 1024),
    "kinds of cookies": (lambda value: VISITORS.judge_cookies(f"{value.replace(',', '')}=1"), "{}", 1024),
    "hosts": (lambda value: normalise_host("http", value.replace(",", ".")), "{}", 1024),
    "targets": (lambda value: _target("/" + value), "{}", 1024),
    "keys of pages": (lambda value: make_key(Target("http", "a", "/", value)), "{}", 1024),
    "keys of variants": (
        lambda value: make_key(Target("http", "a", "/", ""), (), (("accept-language", value),)),
        "{}",
        1024,
    ),
    "paths of rules": (normal_path, "/{}", 4096),
    "keys of a store": (lambda value: _ask(STORE.get, value), "{}", 1024),
    "keys of a ring": (lambda value: _ask(RING.get, value), "{}", 1024),
    "names that proxies write": (lambda value: tells_identity("HTTP_" + value), "{}", 1024),
}


@pytest.mark.parametrize("name", MEMOS)
def test_what_is_long_is_kept_by_nobody(name: str) -> None:
    ask, _, _ = MEMOS[name]
    ask("x" * LONG)  # what the first one makes for all is not its own
    numbers = count(1)

    def work() -> None:
        for number in islice(numbers, 99):
            ask(f"{number:x}".ljust(LONG, "x"))

    # What a thread beside it makes once, as one that looks after a server that is gone, is no memo.
    assert min(held_after(work) for _ in range(3)) < MOST_OF_LONG


@pytest.mark.parametrize("name", MEMOS)
@pytest.mark.parametrize("length", [64, LONGEST])
def test_a_memo_that_is_full_holds_little(name: str, length: int) -> None:
    ask, form, most = MEMOS[name]

    def work() -> None:
        for number in range(1, most + most // 8):
            ask(members(form, number, length))

    assert held_after(work) < MOST_HELD


@pytest.mark.parametrize("profile", ["anonymous", "rfc9111"])
def test_a_stack_keeps_nothing_of_what_is_long(profile: str, tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "trust": ["192.0.2.0/24"],
        "request_id": True,
        "access_log": {"path": str(tmp_path / "log")},
        "metrics": True,
        "metering": {"by": "x-api-key"},
        "rate_limit": "100000/second",
        "page_cache": {"max_bytes": 65536, "profile": profile, "codings": ["gzip"], "verify": 0},
        "compression": True,
        "conditional": True,
    }
    if profile == "anonymous":  # the other knows no key cookies
        config["buckets"] = {"split": "beta 50%", "secret": "0123456789abcdef"}
    stack = wrap(answer, config)
    forms = {"HTTP_IF_NONE_MATCH": '"{}"', "HTTP_CACHE_CONTROL": "{}=1", "HTTP_COOKIE": "{}=1"}
    fields = (
        *(
            "HTTP_ACCEPT_ENCODING",
            "HTTP_ACCEPT_LANGUAGE",
            "HTTP_COOKIE",
            "HTTP_X_FORWARDED_FOR",
            "HTTP_X_LONG",
        ),
        *(
            "HTTP_USER_AGENT",
            "HTTP_REFERER",
            "HTTP_X_API_KEY",
            "HTTP_X_USER",
            "HTTP_IF_MODIFIED_SINCE",
            "HTTP_HOST",
        ),
        *("HTTP_IF_NONE_MATCH", "HTTP_CACHE_CONTROL", "HTTP_RANGE", "HTTP_PRIORITY", "HTTP_TRACEPARENT"),
        *("HTTP_AUTHORIZATION", "HTTP_X_REQUEST_ID", "HTTP_ORIGIN", "PATH_INFO", "QUERY_STRING", "RAW_URI"),
        *("REQUEST_METHOD", "REMOTE_ADDR", "NAME"),
    )

    def send(number: int) -> None:
        for field in fields:
            value = forms.get(field, "{}").format(f"{number:x}".ljust(LONG, "x"))
            value = "/" + value if field in ("PATH_INFO", "RAW_URI") else value
            told = {"HTTP_" + value: "1"} if field == "NAME" else {field: value}
            environ = {"REMOTE_ADDR": "192.0.2.1", **told}
            Request.blank("/", environ=environ).call_application(stack)

    send(0)
    assert held_after(lambda: [*map(send, range(1, 40))]) < MOST_OF_ALL


def test_a_memo_learns_once_and_forgets_what_was_not_asked_for() -> None:
    learned: list[str] = []

    def learn(key: str) -> None:  # None is an answer as any other
        learned.append(key)

    memo = Memo(learn, 4)
    for key in ("a", "b", "a", "c", "a", "d", "e", "a"):
        assert memo(key) is None
    assert learned == ["a", "b", "c", "d", "e"]
    memo("b")
    assert learned[5:] == ["b"]
    assert memo.held <= 4


def test_a_memo_keeps_no_error() -> None:
    memo: Memo[str, int] = Memo(int, 4)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            memo("one")
    assert memo.held == 0


def test_the_texts_of_a_tuple_count_together() -> None:
    memo: Memo[tuple[Any, ...], int] = Memo(len, 4, longest=8)
    assert (memo["abcd", ("efgh", None)], memo.held) == (2, 1)
    assert (memo["abcd", ("efghi", b"")], memo.held) == (2, 1)


def test_a_memo_stands_for_its_function() -> None:
    @remember(4)
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    other = remember(4)(str.lower)
    assert (shout.__doc__, bool(shout)) == ("Say it loudly.", True)
    assert shout != other
    assert {shout: 1, other: 2}[shout] == 1
