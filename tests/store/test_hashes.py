"""The hashes of other programs, by values that those programs publish."""

import pytest

from wsgistack.store.hashes import HASHES, md5_words


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("md5", b"", 0xD98C1DD4),  # RFC 1321, A.5: d41d8cd9...
        ("md5", b"abc", 0x98500190),  # 90015098...
        ("crc32", b"123456789", 0xCBF43926),  # the check value of CRC-32/ISO-HDLC
        ("one_at_a_time", b"a", 0xCA2E9442),  # Jenkins, "Hash functions", Dr. Dobb's 1997
        ("one_at_a_time", b"The quick brown fox jumps over the lazy dog", 0x519E91F5),
        ("fnv1a", b"", 0x84222325),
        ("fnv1a", b"a", (0x84222325 ^ 0x61) * 0x1B3 % 2**32),
    ],
)
def test_a_hash_has_its_published_value(name: str, text: bytes, value: int) -> None:
    assert HASHES[name](text) == value


def test_fnv1a_takes_bytes_as_signed_as_twemproxy_does() -> None:
    assert HASHES["fnv1a"](b"\xe9") == (0x84222325 ^ 0xFFFFFFE9) * 0x1B3 % 2**32


def test_the_words_of_a_digest_are_little_endian() -> None:
    assert md5_words(b"") == (0xD98C1DD4, 0x04B2008F, 0x980980E9, 0x7E42F8EC)
