"""What a store keeps for the page cache, as bytes of our own: no pickle, no length that is believed.

    frame = "wsp2" kind flags numbers crc32 | key | texts | body [ | mac ]

`pack` writes a value, `open_entry` and its like read one back, or give None: for random bytes, a frame
that was cut or changed at any place (the sum is over all that follows it, too), another key's value,
another kind, a version of tomorrow or of yesterday.  Whoever can write to the
store can make pages up unless a *secret* is given: a frame then ends with its keyed BLAKE2b, and one
without is nothing (CVE-2021-33026: what a store holds is not to be believed, least of all unpickled).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from math import isnan, nan
from typing import Final

__all__ = [
    "LARGEST_BODY",
    "LARGEST_TEXTS",
    "LONGEST_KEY",
    "Entry",
    "Variants",
    "open_entry",
    "open_variants",
    "pack",
]

MAGIC = b"wsp2"
PAGE, VARIANTS = 1, 2
SEALED = 1  # in flags: a mac follows
# magic kind flags status | key texts | fields selecting tags | body | generation | times
NUMBERS = struct.Struct("<4sBBH II III Q Q 9d")
CRC = struct.Struct("<I")
HEAD_BYTES = NUMBERS.size + CRC.size
MAC_BYTES = 16

LONGEST_KEY = 32 * 1024
LARGEST_TEXTS = 256 * 1024  # reason, URL, fields and tags together
LARGEST_BODY = 1 << 30
TERMS = 8
NO_TERMS = (None,) * TERMS
SEPARATOR = "\0"  # in no text that may stand in a field: RFC 9110 §5.5

Selecting = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored response.  Text is latin-1 as at the WSGI edge, times are seconds since the epoch.

    *key*: the whole framed key, compared when the entry is read.  *url*: absolute.  *fields*: in their
    order, as they came.  *selecting*: what the request said in the fields that the response varies by;
    None: it lacked the field, which is not the same as an empty one (CVE-2026-113593).  *terms*: the
    numbers of the engine's Terms, in their order.  *tags*: what it can be purged by.  *generation*: the
    purges that were known when the request was sent.
    """

    key: bytes
    url: str
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    asked_at: float
    terms: tuple[float | None, ...] = NO_TERMS
    selecting: Selecting = ()
    tags: tuple[str, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Variants:
    """The names, lower-case and sorted, by which the responses of a URL vary; each set stands once."""

    key: bytes
    names: tuple[tuple[str, ...], ...]
    generation: int = 0


def pack(value: Entry | Variants, *, secret: bytes = b"") -> bytes | None:
    """Return the frame of *value*, None for what no frame can hold.

    That is a text with a NUL or a lone surrogate, a number out of range, or anything too large.
    """
    if isinstance(value, Entry):
        kind, numbers, texts, body = PAGE, _numbers_of(value), _texts_of(value), value.body
    else:
        lines = [",".join(names) for names in value.names]
        kind, numbers, texts, body = VARIANTS, (0, len(lines), 0, 0, *_terms((), 0.0)), lines, b""
    return _frame(kind, value.key, value.generation, numbers, texts, body, secret)


def open_entry(raw: bytes | None, key: bytes, *, secret: bytes = b"") -> Entry | None:
    """Return the page that *raw* holds under *key*, None for anything else.

    *key* may be b"" for a reader that does not know it (a walk over a store).
    """
    opened = _open(PAGE, raw, key, secret)
    if opened is None:
        return None
    status, fields, selecting, tags = opened.counts
    texts = opened.texts
    if len(texts) != 2 + 2 * (fields + selecting) + tags:
        return None
    at = 2 + 2 * fields
    then = at + 2 * selecting
    return Entry(
        opened.key,
        texts[1],
        status,
        texts[0],
        tuple(zip(texts[2:at:2], texts[3:at:2], strict=True)),
        opened.body,
        opened.times[0],
        tuple([None if isnan(number) else number for number in opened.times[1:]]),
        tuple([(name, said[1:] if said[:1] == "=" else None) for name, said in _pairs(texts[at:then])]),
        tuple(texts[then:]),
        opened.generation,
    )


def open_variants(raw: bytes | None, key: bytes, *, secret: bytes = b"") -> Variants | None:
    """Return the names that the responses of *key* vary by, None where *raw* is anything else."""
    opened = _open(VARIANTS, raw, key, secret)
    if opened is None or len(opened.texts) != opened.counts[1] or opened.body:
        return None
    return Variants(opened.key, tuple([_names(line) for line in opened.texts]), opened.generation)


def _names(line: str) -> tuple[str, ...]:
    return tuple(line.split(",")) if line else ()


def _pairs(texts: list[str]) -> list[tuple[str, str]]:
    return list(zip(texts[::2], texts[1::2], strict=True))


def _numbers_of(entry: Entry) -> tuple[int | float, ...]:
    counts = (entry.status, len(entry.fields), len(entry.selecting), len(entry.tags))
    return (*counts, *_terms(entry.terms, entry.asked_at))


def _terms(terms: tuple[float | None, ...], asked_at: float) -> tuple[float, ...]:
    known = (*terms, *NO_TERMS[len(terms) :])
    return (asked_at, *[nan if number is None else float(number) for number in known])


def _texts_of(entry: Entry) -> list[str]:
    texts = [entry.reason, entry.url]
    for name, value in entry.fields:
        texts += (name, value)
    for name, said in entry.selecting:
        texts += (name, "-" if said is None else "=" + said)
    texts += entry.tags
    return texts


def _frame(
    kind: int,
    key: bytes,
    generation: int,
    numbers: tuple[int | float, ...],
    texts: list[str],
    body: bytes,
    secret: bytes,
) -> bytes | None:
    joined = SEPARATOR.join(texts)
    if joined.count(SEPARATOR) != max(len(texts) - 1, 0):
        return None
    status, fields, selecting, tags, *times = numbers
    try:
        block = joined.encode("utf-8")
        if len(block) > LARGEST_TEXTS or len(key) > LONGEST_KEY or len(body) > LARGEST_BODY:
            return None
        flags = SEALED if secret else 0
        sizes = (len(key), len(block), fields, selecting, tags, len(body), generation)
        head = NUMBERS.pack(MAGIC, kind, flags, status, *sizes, *times)
    except (UnicodeEncodeError, struct.error):
        return None
    crc = _sum(head, key, block, body)
    frame = b"".join((head, CRC.pack(crc), key, block, body))
    return frame + _mac(frame, secret) if secret else frame


def _sum(head: bytes, *rest: bytes | memoryview) -> int:
    crc = zlib.crc32(head)
    for part in rest:
        crc = zlib.crc32(part, crc)
    return crc


def _mac(frame: bytes | memoryview, secret: bytes) -> bytes:
    return blake2b(frame, key=secret[:64], digest_size=MAC_BYTES, person=b"wsgistack-page").digest()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A frame whose sizes, sum and key are right; *counts*: status, fields, selecting, tags."""

    counts: tuple[int, int, int, int]
    key: bytes
    texts: list[str]
    body: bytes
    generation: int
    times: tuple[float, ...]


def _open(kind: int, raw: bytes | None, key: bytes, secret: bytes) -> _Opened | None:
    if raw is None or len(raw) < HEAD_BYTES or raw[:5] != _STARTS[kind]:
        return None
    head = NUMBERS.unpack_from(raw)
    _, _, flags, status, key_bytes, text_bytes, fields, selecting, tags, body_bytes, generation, *times = head
    end = HEAD_BYTES + key_bytes + text_bytes + body_bytes
    if flags != (SEALED if secret else 0) or len(raw) != end + (MAC_BYTES if secret else 0):
        return None
    body_at = end - body_bytes
    found = raw[HEAD_BYTES : HEAD_BYTES + key_bytes]
    block = raw[HEAD_BYTES + key_bytes : body_at]
    if key and found != key:
        return None
    if _sum(raw[: NUMBERS.size], memoryview(raw)[HEAD_BYTES:end]) != CRC.unpack_from(raw, NUMBERS.size)[0]:
        return None
    if secret and not compare_digest(_mac(memoryview(raw)[:end], secret), raw[end:]):
        return None
    try:
        texts = block.decode("utf-8").split(SEPARATOR)
    except UnicodeDecodeError:
        return None
    counts = (status, fields, selecting, tags)
    return _Opened(counts, found, texts, raw[body_at:end], generation, tuple(times))


_STARTS: Final = {kind: MAGIC + bytes((kind,)) for kind in (PAGE, VARIANTS)}
