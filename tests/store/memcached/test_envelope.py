"""What stands beside a value comes back, and damage is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.errors import Unreadable
from wsgistack.store.memcached.envelope import ENVELOPE, Envelope, open_envelope


def test_a_value_without_an_envelope_is_as_it_is() -> None:
    assert open_envelope(b"value", 16) == (Envelope({}), b"value", 16)


def test_an_envelope_keeps_the_flags_of_what_is_inside() -> None:
    envelope = Envelope({"post:5": 2**64 - 1, "größe": 1}, ends_at=1e9 + 0.25, took_s=0.5)
    body, flags = envelope.close(b"value", 16)
    assert flags == 16 | ENVELOPE
    assert open_envelope(body, flags) == (envelope, b"value", 16)


def test_what_is_inside_may_have_the_flag_of_an_envelope_itself() -> None:
    body, flags = Envelope({"post:5": 7}).close(b"value", ENVELOPE | 1)
    assert flags == ENVELOPE | 1
    assert open_envelope(body, flags) == (Envelope({"post:5": 7}), b"value", ENVELOPE | 1)


@pytest.mark.parametrize("cut", [0, 10, 14, 20, 27])
def test_half_an_envelope_is_unreadable(cut: int) -> None:
    body, flags = Envelope({"a tag": 5}).close(b"", 0)
    with pytest.raises(Unreadable, match="envelope"):
        open_envelope(body[:cut], flags)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_envelope_or_unreadable(body: bytes) -> None:
    try:
        envelope, inside, flags = open_envelope(body, ENVELOPE)
    except Unreadable:
        return
    assert flags == (ENVELOPE if body[0] == 2 else 0)
    assert len(inside) <= len(body) - 15
    assert all(isinstance(name, str) for name in envelope.tags)
