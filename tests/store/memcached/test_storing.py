"""The lines that store many values, plain and compiled: the same bytes."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store.memcached import storing, storing_cy, wire

TWINS = [storing, storing_cy]


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
def test_each_value_has_its_line_and_its_number(twin: ModuleType) -> None:
    items = [(b"a", b"hi", 5), (b"b", b"", 0), (b"k" * 250, b"\r\n", 2**32 - 1)]
    assert twin.write_stores(items, 60, 99, False) == (
        b"ms a 2 T60 F5 O99\r\nhi\r\nms b 0 T60 O100\r\n\r\nms %b 2 T60 F4294967295 O101\r\n\r\n\r\n"
        % (b"k" * 250)
    )
    assert twin.write_stores([], 0, 1, False) == b""
    assert twin.write_stores([(b"a", b"", 0)], -1, 10**6, False) == b"ms a 0 T-1 O1000000\r\n\r\n"
    assert twin.write_stores([(b"a", b"b", 0), (b"c", b"", 3)], 0, 7, False) == (
        b"ms a 1 O7\r\nb\r\nms c 0 F3 O8\r\n\r\n"
    )


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
def test_quiet_lines_end_with_one_that_is_answered(twin: ModuleType) -> None:
    items = [(b"a", b"hi", 5), (b"b", b"", 0)]
    assert twin.write_stores(items, 60, 99, True) == (
        b"ms a 2 T60 F5 O99 q\r\nhi\r\nms b 0 T60 O100 q\r\n\r\nmn\r\n"
    )
    assert twin.write_stores([], 0, 1, True) == b"mn\r\n"


ITEMS = st.lists(
    st.tuples(st.binary(max_size=250), st.binary(max_size=300), st.integers(0, 2**32 - 1)), max_size=8
)


@given(items=ITEMS, ttl=st.integers(-1, 2**31 - 1), opaque=st.integers(1, 10**6), quiet=st.booleans())
def test_both_write_the_same(
    items: list[tuple[bytes, bytes, int]], ttl: int, opaque: int, quiet: bool
) -> None:
    compiled = storing_cy.write_stores(items, ttl, opaque, quiet)
    assert compiled == storing.write_stores(items, ttl, opaque, quiet)


def test_the_compiled_one_is_used_where_it_was_built() -> None:
    assert wire.write_stores is storing_cy.write_stores
