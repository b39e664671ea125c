"""The request of a single value, and which answers need nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.store.memcached import requests, singles
from wsgistack.store.memcached.replies import Item, Reply
from wsgistack.store.memcached.singles import find_plain, write_get


def test_the_request_is_that_of_get_with_a_number_of_its_own() -> None:
    assert write_get(b"key", 2_000_001) == b"mg key v f c t O2000001\r\n"
    call = requests.get(b"key")
    assert call.payload == write_get(b"key", call.opaque)


def test_the_numbers_are_as_long_as_compiled_modules_take_them_for() -> None:
    assert {len(str(singles.FIRST_OPAQUE)), len(str(singles.LAST_OPAQUE))} == {7}


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
