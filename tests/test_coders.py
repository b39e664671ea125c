"""Bodies in each coding: what readers get, block by block, and what only makes the length another one."""

from __future__ import annotations

import zlib
from typing import Any

import brotli
import pytest

from wsgistack import coders
from wsgistack.coders import CODERS, Strength, find_coders, installed_codings
from wsgistack.errors import ConfigurationError

ALL = sorted(CODERS)


def reader_of(coding: str) -> Any:
    """Return what reads a body in a coding bit by bit."""
    return brotli.Decompressor().process if coding == "br" else zlib.decompressobj(31).decompress


@pytest.mark.parametrize("coding", ALL)
def test_a_block_that_went_in_can_be_read_at_once(coding: str) -> None:
    coder, read = CODERS[coding](Strength(6, 5, 100)), reader_of(coding)
    assert [read(coder.take(block)) for block in (b"one", b"two" * 50_000)] == [b"one", b"two" * 50_000]
    assert read(coder.last()) == b""


@pytest.mark.parametrize("coding", ALL)
def test_an_empty_body_is_a_whole_one(coding: str) -> None:
    assert reader_of(coding)(CODERS[coding](Strength(6, 5, 0)).last()) == b""


@pytest.mark.parametrize("padding", [0, 1, 2, 255, 256, 257, 1023, 1024])
@pytest.mark.parametrize("coding", ALL)
def test_padding_of_every_length_is_not_read(
    coding: str, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Strength, "draw_padding", lambda strength: b"\xff" * strength.padding)
    padded, bare = [CODERS[coding](Strength(6, 5, size)) for size in (padding, 0)]
    body = padded.take(b"hello") + padded.last()
    assert reader_of(coding)(body) == b"hello"
    extra = len(body) - len(bare.take(b"hello") + bare.last())
    assert padding <= extra <= padding + 3


@pytest.mark.parametrize("coding", ALL)
def test_padding_is_as_long_as_chance_says(coding: str) -> None:
    lengths = {len(CODERS[coding](Strength(6, 5, 100)).take(b"hello")) for _ in range(60)}
    assert len(lengths) > 10
    assert max(lengths) - min(lengths) <= 102


def test_a_higher_strength_is_smaller() -> None:
    text = b"".join(b"%d: the quick brown fox number %d; " % (n, n * n) for n in range(500))
    for coding, weak, strong in (
        ("gzip", Strength(1, 5, 0), Strength(9, 5, 0)),
        ("br", Strength(6, 1, 0), Strength(6, 9, 0)),
    ):
        assert len(CODERS[coding](strong).take(text)) < len(CODERS[coding](weak).take(text))


def test_br_is_there_where_its_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_codings() == ("br", "gzip")
    assert list(find_coders([], setting="codings")) == ["br", "gzip"]
    assert list(find_coders(["gzip", "br"], setting="codings")) == ["gzip", "br"]
    monkeypatch.setitem(coders.PACKAGES, "br", "wsgistack_has_no_such_package")
    assert installed_codings() == ("gzip",)
    assert list(find_coders([], setting="codings")) == ["gzip"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["br"], r"^codings: 'br' needs the package nowhere: pip install wsgistack\[nowhere\]$"),
        (["zstd"], "^codings: 'zstd' is not made here, only br, gzip$"),
        (["brr"], r"^codings: 'brr' is not one of .* \(did you mean 'br'\?\)$"),
    ],
    ids=str,
)
def test_what_cannot_be_made_is_refused(names: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(coders.PACKAGES, "br", "nowhere")
    with pytest.raises(ConfigurationError, match=told):
        find_coders(names, setting="codings")
