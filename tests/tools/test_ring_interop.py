"""The comparison with what another client wrote tells every difference."""

from __future__ import annotations

from tools.ring_interop import COPIES, VALUES, differences, keys_of


def test_every_value_has_its_keys_and_none_is_shared() -> None:
    ours, theirs = dict(keys_of("ours")), dict(keys_of("theirs"))
    assert len(ours) == len(theirs) == COPIES * len(VALUES)
    assert not ours.keys() & theirs.keys()
    assert ours["ours:large-number:3"] == 2**70


def test_what_is_missing_or_means_something_else_is_named() -> None:
    expected = {"a": b"1", "b": "2", "c": 3, "d": 4}
    read = {"a": b"1", "b": b"2", "c": 3.5}
    assert differences(read, expected) == [
        "b: b'2' instead of '2'",
        "c: 3.5 instead of 3",
        "d: not found",
    ]
    assert differences(expected, expected) == []
