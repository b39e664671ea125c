"""BLAKE2b in C: the same digests as hashlib's."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.blake2b import digest

KEY = bytes(range(32))


@given(
    st.lists(st.binary(max_size=300), max_size=4).filter(any),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 64),
    st.binary(max_size=16),
)
def test_digests_are_those_of_hashlib(parts: list[bytes], key: bytes, size: int, person: bytes) -> None:
    expected = blake2b(b"".join(parts), digest_size=size, key=key, person=person).digest()
    assert digest(parts, key, size, person) == expected


@pytest.mark.parametrize("size", [1, 127, 128, 129, 255, 256, 257, 1000])
def test_the_edges_of_blocks_are_right(size: int) -> None:
    assert digest([b"x" * size], KEY, 64, b"") == blake2b(b"x" * size, key=KEY).digest()
    assert digest([b"x" * size], b"", 16, b"p") == blake2b(b"x" * size, digest_size=16, person=b"p").digest()


def test_digests_are_known() -> None:
    assert digest([b"a", b"bc"], KEY, 4, b"visitor").hex() == "0a61f130"
    assert digest([b"abc"], b"", 64, b"").hex()[:32] == "ba80a53f981c4d0d6a2797b69f12f6e9"  # RFC 7693 A
    assert digest([], b"", 16, b"").hex() == "cae66941d9efbd404e4d88758ea67670"


@pytest.mark.parametrize(
    ("parts", "key", "person"),
    [([b""], KEY, b""), ([b"a"], b"short", b""), ([b"a"], KEY, b"p" * 17)],
    ids=["no message", "a short key", "a long person"],
)
def test_what_it_is_not_made_for_is_refused(parts: list[bytes], key: bytes, person: bytes) -> None:
    with pytest.raises(
        ValueError, match="a key of 32 bytes and a message, or no key, and a person of at most 16"
    ):
        digest(parts, key, 4, person)
