"""The requests as bytes: what the protocol asks for, and numbers that answers repeat."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from wsgistack.errors import ArgumentError
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.replies import Reply

CALLS: dict[str, tuple[Call, bytes]] = {
    "a value": (requests.get(b"k"), b"mg k v f c t O%d\r\n"),
    "a value that lives on": (requests.get(b"k", ttl=9), b"mg k v f c t T9 O%d\r\n"),
    "a lease that is given back": (requests.release(b"k", 5, stale_ttl=None), b"md k C5 O%d\r\n"),
    "one of an old value": (requests.release(b"k", 5, stale_ttl=9), b"md k C5 I T9 O%d\r\n"),
    "a time to live": (requests.touch(b"k", 9), b"mg k T9 O%d\r\n"),
    "set": (requests.store("set", b"k", b"hi", 5, 60), b"ms k 2 T60 F5 O%d\r\nhi\r\n"),
    "add": (requests.store("add", b"k", b"", 0, 0), b"ms k 0 T0 F0 ME O%d\r\n\r\n"),
    "replace": (requests.store("replace", b"k", b"", 0, 0), b"ms k 0 T0 F0 MR O%d\r\n\r\n"),
    "append": (requests.store("append", b"k", b"", 0, 0), b"ms k 0 T0 F0 MA O%d\r\n\r\n"),
    "prepend": (requests.store("prepend", b"k", b"", 0, 0), b"ms k 0 T0 F0 MP O%d\r\n\r\n"),
    "cas": (requests.store("set", b"k", b"", 0, 0, cas=8), b"ms k 0 T0 F0 C8 O%d\r\n\r\n"),
    "cas on what was invalidated": (
        requests.store("set", b"k", b"", 0, 0, cas=8, even_if_stale=True),
        b"ms k 0 T0 F0 C8 I O%d\r\n\r\n",
    ),
    "invalidate": (requests.invalidate(b"k", 30), b"md k I T30 O%d\r\n"),
    "lease": (requests.lease(b"k", stub_ttl=10, early=0), b"mg k v f c t N10 O%d\r\n"),
    "lease before the end": (requests.lease(b"k", stub_ttl=10, early=5), b"mg k v f c t N10 R5 O%d\r\n"),
    "add to a number": (requests.arithmetic(b"k", 3), b"ma k v c D3 O%d\r\n"),
    "take off a number": (requests.arithmetic(b"k", -3), b"ma k v c D3 MD O%d\r\n"),
    "begin a number": (requests.arithmetic(b"k", 3, first=7, ttl=9), b"ma k v c D3 N9 J7 O%d\r\n"),
    "begin or prolong a number": (
        requests.arithmetic(b"k", 3, first=7, ttl=9, refresh=True),
        b"ma k v c D3 N9 J7 T9 O%d\r\n",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_request_is_one_numbered_line(name: str) -> None:
    call, payload = CALLS[name]
    assert call.payload == payload % call.opaque
    assert (call.kind, call.count, call.opaque > 0) == ("lines", 1, True)
    assert call.is_fatal == (payload.startswith(b"ms"))


def test_many_values_are_asked_for_at_once() -> None:
    assert requests.get_many([b"a", b"b"]).payload == b"get a b\r\n"
    assert requests.get_many([b"a"], with_cas=True).payload == b"gets a\r\n"


def test_each_line_of_many_has_a_number_of_its_own() -> None:
    call = requests.store_many([(b"a", b"1", 0), (b"b", b"", 2)], 60, is_quiet=False)
    first = call.opaque
    assert call.payload == b"ms a 1 T60 O%d\r\n1\r\nms b 0 T60 F2 O%d\r\n\r\n" % (first, first + 1)
    assert (call.count, call.keys) == (2, [b"a", b"b"])
    removal = requests.delete_many([b"a", b"b"])
    assert removal.payload == b"md a O%d\r\nmd b O%d\r\n" % (removal.opaque, removal.opaque + 1)
    assert removal.opaque == first + 2


def test_quiet_stores_end_with_a_line_that_is_answered() -> None:
    call = requests.store_many([(b"a", b"1", 0), (b"b", b"", 2)], 60)
    first = call.opaque
    assert call.payload == b"ms a 1 T60 O%d q\r\n1\r\nms b 0 T60 F2 O%d q\r\n\r\nmn\r\n" % (
        first,
        first + 1,
    )
    assert (call.kind, call.count, call.is_fatal) == ("quiet", 2, True)
    numbers = {requests.store_many([(b"a", b"1", 0)], 60).opaque for _ in range(200)}
    assert numbers == set(range(1, 65))


@pytest.mark.parametrize(
    ("answer", "is_unclear"),
    [([Reply(b"HD"), Reply(b"NS")], False), (Reply(b"SERVER_ERROR", b"no room"), True), (None, False)],
    ids=["each has its own", "one of them", "nobody answered"],
)
def test_a_refusal_without_a_number_leaves_unclear_what_was_refused(answer: Any, is_unclear: bool) -> None:
    call = requests.store_many([(b"a", b"1", 0), (b"b", b"", 2)], 60)
    call.answer = answer
    assert requests.is_unclear(call) is is_unclear


def test_several_numbers_are_counted_at_once() -> None:
    call = requests.count_many([b"a", b"b"], 1, 77, 0)
    first = call.opaque
    assert call.payload == b"ma a v N0 J77 D1 O%d\r\nma b v N0 J77 D1 O%d\r\n" % (first, first + 1)
    assert (call.count, call.keys) == (2, [b"a", b"b"])


def test_several_steps_are_taken_at_once() -> None:
    sums = [requests.Sum(b"a", 3, 7, 60, False), requests.Sum(b"b", -1, 0, 9, True)]
    call = requests.arithmetic_many(sums)
    first = call.opaque
    assert call.payload == b"ma a v c D3 N60 J7 O%d\r\nma b v c D1 MD N9 J0 T9 O%d\r\n" % (first, first + 1)
    assert (call.count, call.keys) == (2, [b"a", b"b"])


def test_numbers_start_anew_before_they_grow_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_opaque", 999_999)
    assert [requests.get(b"k").opaque, requests.get(b"k").opaque] == [1_000_000, 1]


@pytest.mark.parametrize(
    ("ttl", "told"),
    [
        (0, 0),
        (60, 60),
        (0.2, 1),
        (59.01, 60),
        (-1, -1),
        (-0.5, -1),
        (math.inf, 0),
        (2_592_000, 2_592_000),
        (2_592_001, 1_700_000_000 + 2_592_001),
        (1_800_000_000, 1_800_000_000),
        (10**12, 2**31 - 1),
        (1e300, 2**31 - 1),
        (10**400, 2**31 - 1),
        (-(10**400), -1),
        (-math.inf, -1),
    ],
)
def test_a_time_to_live_is_told_in_whole_seconds(
    ttl: float, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    assert requests.expiry(ttl) == told


@pytest.mark.parametrize("ttl", [math.nan, "60", None, True, 1j])
def test_what_is_no_time_to_live_is_named(ttl: float) -> None:
    with pytest.raises(ArgumentError, match=r"^expire: .* is not a number of seconds"):
        requests.expiry(ttl)


def test_what_is_large_goes_another_way() -> None:
    assert not requests.store("set", b"k", b"x" * 65_536, 0, 0).is_bulk
    assert requests.store("set", b"k", b"x" * 65_537, 0, 0).is_bulk
    assert requests.store_many([(b"k", b"x" * 300_000, 0)], 0).is_bulk


def test_requests_without_numbers() -> None:
    assert requests.line(b"version").payload == b"version\r\n"
    assert requests.stats(b"items").payload == b"stats items\r\n"
    assert requests.stats().payload == b"stats\r\n"
    assert requests.flush().payload == b"flush_all 0\r\n"
    assert requests.flush(9).payload == b"flush_all 9\r\n"


@pytest.mark.parametrize(
    ("ttl", "end"),
    [
        (0, 0.0),
        (10, 1_800_000_010.5),
        (2_592_000, 1_802_592_000.5),
        (1_803_456_000, 1_803_456_000.0),
        (-1, 0.0),
    ],
    ids=["never", "seconds", "30 days", "a date", "at once"],
)
def test_the_end_of_a_value_is_told_of_seconds_and_of_dates(ttl: int, end: float) -> None:
    assert requests.end_of(ttl, 1_800_000_000.5) == end
