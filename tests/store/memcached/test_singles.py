"""The request of a single value, and which answers need nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.store.memcached import calls, requests, singles
from wsgistack.store.memcached.replies import Item, Reply
from wsgistack.store.memcached.singles import find_plain, make_get


def test_the_request_is_that_of_get_with_a_number_of_its_own() -> None:
    first, second, usual = make_get(b"key"), make_get(b"key"), requests.get(b"key")
    assert first.payload == b"mg key v f c t O%d\r\n" % first.opaque
    assert second.opaque == first.opaque + 1 > usual.opaque
    for name in ("kind", "verb", "words", "keys", "count", "is_fatal", "is_bulk"):
        assert getattr(first, name) == getattr(usual, name)


def test_the_numbers_begin_anew_before_they_grow_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singles, "_opaque", calls.LAST_OPAQUE - 1)
    assert [make_get(b"key").opaque for _ in range(2)] == [9_999_999, 2_000_000]


def test_the_numbers_are_as_long_as_compiled_modules_take_them_for() -> None:
    assert {len(str(calls.FIRST_OPAQUE)), len(str(calls.LAST_OPAQUE))} == {7}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ([Reply(b"VA", b"value", 0, 5, -1)], b"value"),
        ([Reply(b"VA", b"value", 16)], None),
        ([Reply(b"VA", b"value", marks=b"W")], None),
        ([Reply(b"VA", b"")], None),
        ([Reply(b"VA", bytes(65_537))], None),
        ([Reply(b"EN")], None),
        ([Item(b"value", 0, 0)], None),
        (Reply(b"SERVER_ERROR", b"no"), None),
        (None, None),
    ],
    ids=["bytes", "a text", "outdated", "empty", "large", "a miss", "an item", "an error", "no answer"],
)
def test_bytes_alone_need_nothing_more(answer: Any, value: bytes | None) -> None:
    assert find_plain(answer) == value
