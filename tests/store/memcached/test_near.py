"""L1: what this process keeps for a moment, and never serves once this process removed it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached.near import ENTRY_BYTES, Near
from wsgistack.store.memcached.replies import Reply

OLD, NEW = Reply(b"VA", b"old"), Reply(b"VA", b"new")


def promise_of(near: Near, key: bytes, now: float = 0.0, also: tuple[bytes, ...] = ()) -> Any:
    """Return the promise that a second reader of *key* gets."""
    near.promise(key, now, also)
    return near.promise(key, now, also)


def test_what_is_asked_for_twice_is_kept_for_a_moment() -> None:
    near = Near(100_000, 1.0)
    assert near.promise(b"a", 0.0) is None
    promise = near.promise(b"a", 0.1)
    near.keep(b"a", promise, OLD, 0.1)
    assert near.find(b"a", 1.09) == OLD
    assert near.find(b"a", 1.1) is None
    assert (near.hits, near.misses, len(near)) == (1, 1, 1)


MADE = {name: Keys().make(name) for name in ("a", "b", "text", "not clean")}


def test_plain_bytes_are_recalled_by_name_as_long_as_they_are_found_by_key() -> None:
    near = Near(100_000, 1.0)
    near.keep(b"a", promise_of(near, b"a"), OLD, 0.0)
    assert [near.recall(MADE, "a", now) for now in (0.9, 1.0)] == [b"old", None]
    assert (near.recall(MADE, "b", 0.0), near.recall(MADE, "never asked for", 0.0)) == (None, None)
    near.forget([b"a"])
    assert near.recall(MADE, "a", 0.0) is None
    assert (near.hits, near.misses) == (1, 0)


def test_what_is_more_than_bytes_is_not_recalled() -> None:
    near = Near(100_000, 1.0)
    near.keep(b"text", promise_of(near, b"text"), Reply(b"VA", b"text", 16), 0.0)
    hashed = MADE["not clean"].wire
    near.keep(hashed, promise_of(near, hashed), OLD, 0.0)
    assert (near.recall(MADE, "text", 0.0), near.recall(MADE, "not clean", 0.0)) == (None, None)
    assert (near.hits, near.misses) == (0, 0)


def test_what_was_recalled_leaves_later_than_what_was_not() -> None:
    near = Near(8 * (ENTRY_BYTES + 10), 1.0)
    for number in range(8):
        key = b"%d" % number
        near.keep(key, promise_of(near, key), Reply(b"VA", b"x"), 0.0)
    assert near.recall({"0": WireKey(b"0", None)}, "0", 0.0) == b"x"
    near.keep(b"8", promise_of(near, b"8"), Reply(b"VA", b"x" * 9), 0.0)
    assert (near.find(b"0", 0.0), near.find(b"1", 0.0)) == (Reply(b"VA", b"x"), None)


def test_what_is_asked_for_again_much_later_is_not_kept() -> None:
    near = Near(100_000, 1.0)
    assert near.promise(b"a", 0.0) is None
    assert near.promise(b"b", 2.0) is None
    assert near.promise(b"a", 2.1) is None


def test_an_entry_lives_no_longer_than_the_item_has_left() -> None:
    near = Near(100_000, 5.0)
    near.keep(b"a", promise_of(near, b"a"), OLD, 0.0, left_s=2)
    assert near.find(b"a", 1.9) == OLD
    assert near.find(b"a", 2.0) is None
    near.keep(b"b", promise_of(near, b"b"), OLD, 0.0, left_s=0)
    assert near.find(b"b", 0.0) is None


@pytest.mark.parametrize(
    "reply",
    [Reply(b"VA", b""), Reply(b"VA", b"x", marks=b"X"), Reply(b"VA", b"x", marks=b"Z")],
    ids=["a place that somebody fills", "stale", "being made anew"],
)
def test_what_is_about_to_change_is_not_kept(reply: Reply) -> None:
    near = Near(100_000, 1.0)
    near.keep(b"a", promise_of(near, b"a"), reply, 0.0)
    assert near.find(b"a", 0.0) is None


ORDERS = {
    "before the answer": ["forget", "keep"],
    "after the answer": ["keep", "forget"],
    "all before the answer": ["clear", "keep"],
    "all after the answer": ["keep", "clear"],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_write_breaks_the_promise_whenever_it_comes(order: list[str]) -> None:
    near = Near(100_000, 1.0)
    promise = promise_of(near, b"a")
    for step in order:
        if step == "keep":
            near.keep(b"a", promise, OLD, 0.0)
        elif step == "forget":
            near.forget([b"a"])
        else:
            near.clear()
    assert near.find(b"a", 0.0) is None
    near.keep(b"a", promise_of(near, b"a"), NEW, 0.0)
    assert near.find(b"a", 0.0) == NEW


def test_an_entry_also_ends_with_what_it_rests_on() -> None:
    near = Near(100_000, 1.0)
    near.keep(b" a", promise_of(near, b" a", also=(b"tag",)), OLD, 0.0, tags=["post:5"])
    assert near.find(b" a", 0.0, ["post:5"]) == OLD
    assert near.find(b" a", 0.0, ["post:5", "home"]) is None
    near.forget([b"tag"])
    assert near.find(b" a", 0.0, ["post:5"]) is None


def test_what_fetch_keeps_ends_with_its_key() -> None:
    near = Near(100_000, 1.0)
    near.keep(b" a", promise_of(near, b" a"), OLD, 0.0)
    near.forget([b"a"])
    assert near.find(b" a", 0.0) is None


def test_it_takes_no_more_than_its_bytes_and_what_is_used_stays() -> None:
    near = Near(20 * (ENTRY_BYTES + 4), 100.0)
    keys = [b"%03d" % number for number in range(20)]
    for key in keys:
        near.keep(key, promise_of(near, key), Reply(b"VA", b"1"), 0.0)
    assert (len(near), near.size_bytes) == (20, 20 * (ENTRY_BYTES + 4))
    assert near.find(b"000", 1.0) is not None
    near.keep(b"020", promise_of(near, b"020"), Reply(b"VA", b"1"), 1.0)
    assert [near.find(key, 1.0) is not None for key in (b"000", b"001", b"002", b"020")] == [
        *(True, False, True, True)
    ]
    assert near.size_bytes == 20 * (ENTRY_BYTES + 4)


def test_one_entry_takes_at_most_an_eighth() -> None:
    near = Near(80_000, 1.0)
    near.keep(b"a", promise_of(near, b"a"), Reply(b"VA", b"x" * 10_000), 0.0)
    near.keep(b"b", promise_of(near, b"b"), Reply(b"VA", b"x" * 9_000), 0.0)
    assert [near.find(key, 0.0) is not None for key in (b"a", b"b")] == [False, True]


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "answer", "write", "clear", "find"]), st.integers(0, 2)), max_size=60
)


@given(steps=STEPS)
def test_no_order_of_reads_and_writes_serves_what_was_replaced(steps: list[tuple[str, int]]) -> None:
    """Three keys of one server; reads are under way for as long as hypothesis likes."""
    near = Near(100_000, 1e9)
    stored = [0, 0, 0]
    under_way: list[tuple[int, Any, Reply]] = []
    for step, key in steps:
        name = b"%d" % key
        if step == "begin":  # the server answers at once; the answer is on its way
            promise = promise_of(near, name)
            under_way.append((key, promise, Reply(b"VA", b"%d" % stored[key], 1)))
        elif step == "answer" and under_way:
            asked, promise, reply = under_way.pop(key % len(under_way))
            near.keep(b"%d" % asked, promise, reply, 0.0)
        elif step == "write":
            stored[key] += 1
            near.forget([name])
        elif step == "clear":
            stored = [count + 1 for count in stored]
            near.clear()
        found = near.find(name, 0.0)
        assert found is None or found.value == b"%d" % stored[key]
