"""Buffers: bytes in order, memory of their size, and little of it moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.parts import Buffer

KIB = 1024


def test_an_empty_buffer_owns_nothing() -> None:
    buffer = Buffer()
    assert (buffer.data, buffer.capacity) == (b"", 0)
    buffer.append(b"hello")
    buffer.consume(5)
    assert (buffer.data, buffer.capacity) == (b"", 0)


@pytest.mark.parametrize(
    ("size", "capacity"),
    [
        (1, 4 * KIB), (4 * KIB, 4 * KIB), (4 * KIB + 1, 16 * KIB), (16 * KIB + 1, 64 * KIB),
        (64 * KIB + 1, 256 * KIB), (256 * KIB, 256 * KIB), (256 * KIB + 1, 320 * KIB),
    ],
)  # fmt: skip
def test_memory_comes_in_four_sizes_and_above_them_by_need(size: int, capacity: int) -> None:
    buffer = Buffer()
    buffer.append(b"x" * size)
    assert buffer.capacity == capacity


@given(st.lists(st.tuples(st.binary(max_size=9000), st.integers(0, 9000)), max_size=60))
def test_what_goes_in_comes_out_in_order(steps: list[tuple[bytes, int]]) -> None:
    buffer, expected = Buffer(), b""
    for data, used in steps:
        buffer.append(data)
        expected += data
        assert buffer.data == expected
        used = min(used, len(expected))
        buffer.consume(used)
        expected = expected[used:]
        assert buffer.data == expected


def test_room_that_was_consumed_is_used_again() -> None:
    buffer = Buffer()
    buffer.append(b"x" * 4 * KIB)
    buffer.consume(3 * KIB)
    buffer.append(b"y" * 3 * KIB)
    assert buffer.capacity == 4 * KIB
    assert buffer.data == b"x" * KIB + b"y" * 3 * KIB


def test_a_large_buffer_that_grows_moves_seldom() -> None:
    buffer = Buffer()
    for _ in range(256):
        buffer.append(b"x" * 64 * KIB)
    assert len(buffer.data) == 16 * KIB * KIB
    assert buffer.moves < 20  # by 64 KiB each time it was 250, and 2 GiB of copies
    assert buffer.capacity <= 24 * KIB * KIB + 64 * KIB


def test_more_than_a_buffer_can_hold_is_refused_and_changes_nothing() -> None:
    buffer = Buffer()
    buffer.append(b"hello")
    with pytest.raises(MemoryError):
        buffer.reserve(2**31 - 3)
    assert buffer.data == b"hello"
