"""What no store takes: one clear error at the call, and nothing changed."""

import math
from contextlib import suppress

import pytest

from wsgistack.errors import ArgumentError, TooLarge
from wsgistack.store.base import Store


@pytest.mark.parametrize(
    "ttl_s", [0, -1, math.nan, -math.inf, "60", None, True, 10**400, 1e300], ids=lambda one: repr(one)[:9]
)
def test_a_time_to_live_that_cannot_be_meant_is_refused(store: Store, ttl_s: float) -> None:
    store.set("key", b"value", 60)
    for call in (
        lambda: store.set("key", b"x", ttl_s),
        lambda: store.set_many({"key": b"x"}, ttl_s),
        lambda: store.add("other", b"x", ttl_s),
        lambda: store.touch("key", ttl_s),
        lambda: store.incr("other", 1, ttl_s),
    ):
        with pytest.raises(ArgumentError, match="ttl_s"):
            call()
    assert store.get_many(["key", "other"]) == {"key": b"value"}


@pytest.mark.parametrize("token", [-1, 2**64, 1.5, "1", b"1", None, True], ids=repr)
def test_a_token_that_cannot_be_one_is_refused(store: Store, token: int) -> None:
    store.set("key", b"value", 60)
    with pytest.raises(ArgumentError, match=r"^token: .* is not one of gets"):
        store.cas("key", b"x", 60, token)
    assert store.get("key") == b"value"


def test_a_value_that_no_store_holds_is_refused_and_what_was_there_is_gone(store: Store) -> None:
    store.set_many({"key": b"old", "second": b"old", "count": b"5"}, 60)
    large = bytes(17_000_000)
    with suppress(TooLarge):  # which a guarded store does not tell
        store.set("key", large, 60)
    with suppress(TooLarge):
        store.set_many({"second": large}, 60)
    assert store.get_many(["key", "second", "count"]) == {"count": b"5"}


@pytest.mark.parametrize("value", ["text", None, 7, bytearray(b"x")], ids=repr)
def test_a_value_that_is_not_bytes_is_refused(store: Store, value: bytes) -> None:
    with pytest.raises(ArgumentError, match="bytes"):
        store.set("key", value, 60)
    assert store.get("key") is None


@pytest.mark.parametrize("key", [b"bytes", None, 7], ids=repr)
def test_a_key_that_is_not_text_is_refused(store: Store, key: str) -> None:
    with pytest.raises(ArgumentError, match="key"):
        store.set(key, b"value", 60)
    with pytest.raises(ArgumentError, match="key"):
        store.incr(key, 1, 60)


@pytest.mark.parametrize("by", [1.5, "1", None, 2**63, -(2**63) - 1], ids=repr)
def test_a_step_that_is_no_number_is_refused(store: Store, by: int) -> None:
    with pytest.raises(ArgumentError, match="by"):
        store.incr("key", by, 60)
    assert store.get("key") is None


@pytest.mark.parametrize("first", [-1, 2**63, 1.5], ids=repr)
def test_a_beginning_that_is_no_count_is_refused(store: Store, first: int) -> None:
    with pytest.raises(ArgumentError, match="first"):
        store.incr("key", 1, 60, first=first)
    assert store.get("key") is None
