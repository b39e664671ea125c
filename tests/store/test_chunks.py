"""Values in chunks: whole or nothing."""

import os

import pytest

from wsgistack.errors import Unreadable
from wsgistack.store.chunks import CHUNK_BYTES, LARGEST_ITEM, Manifest, split

NAME = b"twelve bytes"
MOST = 16 * 1024 * 1024


def test_a_value_comes_back_from_its_chunks() -> None:
    body = os.urandom(2_500_000)
    manifest, chunks = split(b"site:", body, 8, NAME)
    assert [len(chunk) for chunk in chunks.values()] == [1_000_000, 1_000_000, 500_000]
    assert all(key.startswith(b"site:h:") and len(key) < 250 for key in chunks)
    read = Manifest.parse(manifest.show(), most_bytes=MOST)
    assert read == manifest
    assert read.flags == 8
    assert read.join(b"site:", chunks) == body


def test_a_chunk_fits_into_an_item() -> None:
    assert CHUNK_BYTES < LARGEST_ITEM < 1024 * 1024


def test_one_missing_or_damaged_chunk_makes_it_nothing() -> None:
    manifest, chunks = split(b"", os.urandom(2_500_000), 0, NAME)
    second = list(chunks)[1]
    with pytest.raises(Unreadable, match="is missing"):
        manifest.join(b"", {key: chunk for key, chunk in chunks.items() if key != second})
    with pytest.raises(Unreadable, match="damaged"):
        manifest.join(b"", chunks | {second: bytes(1_000_000)})
    with pytest.raises(Unreadable, match="damaged"):
        manifest.join(b"", chunks | {second: chunks[second][:-1]})


def test_two_writes_share_no_chunk() -> None:
    _, first = split(b"", bytes(1_500_000), 0, b"a" * 12)
    _, second = split(b"", bytes(1_500_000), 0, b"b" * 12)
    assert set(first) & set(second) == set()


@pytest.mark.parametrize("size", [0, 1, 44, 46, 100])
def test_what_is_no_manifest_is_unreadable(size: int) -> None:
    with pytest.raises(Unreadable, match="a manifest of"):
        Manifest.parse(bytes(size), most_bytes=MOST)


def test_a_manifest_that_asks_for_too_much_is_unreadable() -> None:
    manifest = Manifest(0, MOST + 1, NAME, bytes(16))
    with pytest.raises(Unreadable, match=f"{MOST + 1} bytes"):
        Manifest.parse(manifest.show(), most_bytes=MOST)
    with pytest.raises(Unreadable, match="version 9"):
        Manifest.parse(b"\x09" + manifest.show()[1:], most_bytes=2 * MOST)
