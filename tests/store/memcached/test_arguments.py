"""Numbers that callers give: what memcached takes, and what it would end a connection for."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import ArgumentError
from wsgistack.store.memcached.arguments import check_delta, check_flags, read_token


@pytest.mark.parametrize("cas", [0, 7, "7", b"7", 2**64 - 1, b"18446744073709551615"], ids=repr)
def test_a_token_is_read_as_pymemcache_takes_it(cas: Any) -> None:
    assert read_token(cas) == int(cas)


@pytest.mark.parametrize(
    "cas",
    [
        *("", "x", b" 7", "-1", "1.0", "\u0661", "\udcff", "9" * 20, b"0" * 21, "7\r\n"),
        -1,
        1.0,
        2**64,
        None,
        True,
    ],
    ids=repr,
)
def test_what_is_no_token_is_refused(cas: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^cas: .* is not a token of gets$"):
        read_token(cas)


def test_numbers_up_to_what_memcached_holds_are_taken() -> None:
    assert [check_delta(one) for one in (0, 2**64 - 1)] == [0, 2**64 - 1]
    assert [check_flags(one) for one in (0, 2**32 - 1)] == [0, 2**32 - 1]


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, "1", None, True], ids=repr)
def test_what_is_no_step_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^value: .* is not a whole number from 0 to 2"):
        check_delta(value)


@pytest.mark.parametrize("flags", [-1, 2**32, 1.0, "1", None, True], ids=repr)
def test_what_are_no_flags_is_refused(flags: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^flags: .* is not a whole number from 0 to 2"):
        check_flags(flags)
