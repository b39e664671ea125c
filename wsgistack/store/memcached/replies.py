"""What memcached answers, read from bytes in any portions; sans-I/O.

The caller says what it asked for, in order (`expect_…`), and feeds what came (`receive`).  An
answer is given only to the request that it belongs to: a value by the key that stands before it,
every line of the meta protocol by the opaque number that it repeats.  Whatever does not fit sets
`fault`, and the connection is of no use afterwards.

`wsgistack.store.memcached.replies_cy` is the compiled twin of this module; `wire` picks one.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

__all__ = ["LARGEST_VALUE", "LONGEST_LINE", "Answer", "Item", "Replies", "Reply"]

LARGEST_VALUE = 2**30  # memcached's own limit of -I
LONGEST_LINE = 8192  # a key has 250 bytes, the longest line of `stats` a few hundred

VALUES, LINES, STATS, QUIET, BARE = 1, 2, 3, 4, 5
META_CODES = frozenset([b"HD", b"EN", b"NS", b"EX", b"NF", b"VA"])
TEXT_CODES = frozenset([b"MN", b"OK", b"VERSION", b"RESET"])
STATISTICS = (b"STAT ", b"ITEM ", b"PREFIX ")  # of `stats`, `stats cachedump`, `stats detail dump`
ERROR_CODES = frozenset([b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"])


class Item(NamedTuple):
    """One value as it is stored; *cas* is 0 where it was not asked for."""

    value: bytes
    flags: int
    cas: int


class Reply(NamedTuple):
    """One line: its code, its value (for an error: its words), and the tokens that came with it.

    *ttl*: seconds left, -1 for ever, -2 where it was not asked for.  *marks*: of W, X and Z those
    that stand there, in this order.
    """

    code: bytes
    value: bytes | None = None
    flags: int = 0
    cas: int = 0
    ttl: int = -2
    marks: bytes = b""


DONE = Reply(b"HD")  # what a quiet request came to that nothing was said of

# An answer: one entry per key, one Reply per line, {name: value} of `stats`; or the error instead.
Answer = list[Item | None] | list[bytes | Item | None] | list[Reply] | dict[bytes, bytes] | Reply


class _Fault(Exception):
    """The bytes are not an answer to what was asked."""


class _Expected:
    __slots__ = ("count", "done", "is_fatal", "items", "keys", "kind", "opaque", "refusal", "stats")

    def __init__(self, kind: int, keys: list[bytes], count: int, opaque: int, is_fatal: bool) -> None:
        self.kind = kind
        self.keys = keys
        self.count = count
        self.opaque = opaque
        self.is_fatal = is_fatal  # an error may leave the rest of the request to be read as a command
        self.done = 0
        self.items: list[Any] = []
        self.stats: dict[bytes, bytes] = {}
        self.refusal: Reply | None = None


class Replies:
    """The reader of one connection.

    `fault` is None until bytes came that do not belong; from then on `receive` gives nothing.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self._expected: deque[_Expected] = deque()
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = 1  # bytes without which looking again is of no use

    def __len__(self) -> int:
        """Return how many answers are still to come."""
        return len(self._expected)

    def expect_values(self, keys: list[bytes]) -> None:
        """Expect the answer to `get`, `gets`, `gat` or `gats` of *keys*: a list parallel to them."""
        self._expected.append(_Expected(VALUES, keys, len(keys), 0, True))

    def expect_bare(self, keys: list[bytes]) -> None:
        """Expect what `expect_values` does; a value of at least one byte without flags or token comes as bytes."""
        self._expected.append(_Expected(BARE, keys, len(keys), 0, True))

    def expect_lines(self, count: int, opaque: int, is_fatal: bool) -> None:
        """Expect *count* lines, the i-th with the opaque number *opaque* + i; 0: without.

        *is_fatal*: that the request was not understood is a fault, because its payload was then
        read as commands.
        """
        self._expected.append(_Expected(LINES, [], count, opaque, is_fatal))

    def expect_quiet(self, count: int, opaque: int) -> None:
        """Expect, of *count* requests that are quiet where all is well, those that are not, and `MN`.

        The answer is that of `expect_lines`.  A refusal without a number is the answer to all:
        nobody knows which of them it is about.
        """
        self._expected.append(_Expected(QUIET, [], count, opaque, True))

    def expect_stats(self) -> None:
        """Expect lines of `STAT name value`, or of ITEM or PREFIX, up to the end."""
        self._expected.append(_Expected(STATS, [], 0, 0, False))

    def receive(self, data: bytes) -> list[Answer]:
        """Return the answers that *data* completes, in the order of the requests."""
        if self.fault is not None:
            return []
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return []
        buffer = data if len(self._parts) == 1 else b"".join(self._parts)
        answers: list[Answer] = []
        position = 0
        self._needed = 0
        try:
            while position < len(buffer) and not self._needed:
                position = self._step(buffer, position, answers)
        except _Fault as fault:
            self.fault = str(fault)
        rest = buffer[position:]
        self._parts = [rest] if rest else []
        self._size = len(rest)
        self._needed = self._needed or 1
        return answers

    def _step(self, buffer: bytes, position: int, answers: list[Answer]) -> int:
        """Read one line, and its value; return the position behind, or the same one if more is needed."""
        end = buffer.find(b"\n", position, position + LONGEST_LINE)
        if end < 0:
            if len(buffer) - position >= LONGEST_LINE:
                raise _Fault("a line without an end")
            self._needed = len(buffer) - position + 1
            return position
        if not self._expected:
            raise _Fault(f"an answer that nobody asked for: {buffer[position : end + 1][:40]!r}")
        if end == position or buffer[end - 1] != 13:
            raise _Fault("a line that ends without CR")
        line = buffer[position : end - 1]
        expected = self._expected[0]
        if expected.kind == LINES:
            return self._read_line(buffer, position, end + 1, line, expected, answers)
        if expected.kind in (VALUES, BARE):
            return self._read_value(buffer, position, end + 1, line, expected, answers)
        if expected.kind == QUIET:
            return self._read_quiet(end + 1, line, expected, answers)
        return self._read_stat(end + 1, line, expected, answers)

    def _finish(self, answer: Answer, answers: list[Answer]) -> None:
        self._expected.popleft()
        answers.append(answer)

    def _body(self, buffer: bytes, position: int, start: int, length: int) -> bytes | None:
        """Return the value of *length* that begins at *start*, or None if it is not all there."""
        if len(buffer) < start + length + 2:
            self._needed = start + length + 2 - position
            return None
        if buffer[start + length : start + length + 2] != b"\r\n":
            raise _Fault("a value that is longer than said")
        return buffer[start : start + length]

    def _read_error(self, line: bytes, expected: _Expected) -> Reply | None:
        code, _, words = line.partition(b" ")
        if code not in ERROR_CODES:
            return None
        if expected.is_fatal and code != b"SERVER_ERROR":
            raise _Fault(f"the server did not understand: {line[:80]!r}")
        return Reply(code, words)

    def _read_value(
        self,
        buffer: bytes,
        position: int,
        start: int,
        line: bytes,
        expected: _Expected,
        answers: list[Answer],
    ) -> int:
        keys = expected.keys
        items: list[Any] = expected.items
        if line == b"END":
            items.extend([None] * (len(keys) - len(items)))
            self._finish(items, answers)
            return start
        words = line.split(b" ")
        if words[0] != b"VALUE" or not 4 <= len(words) <= 5:
            error = self._read_error(line, expected)
            if error is None:
                raise _Fault(f"not an answer to get: {line[:40]!r}")
            self._finish(error, answers)
            return start
        flags, length = _number(words[2], 2**32 - 1), _number(words[3], LARGEST_VALUE)
        cas = _number(words[4], 2**64 - 1) if len(words) == 5 else 0
        value = self._body(buffer, position, start, length)
        if value is None:
            return position
        while len(items) < len(keys) and keys[len(items)] != words[1]:
            items.append(None)
        if len(items) == len(keys):
            raise _Fault(f"a value of a key that was not asked for: {words[1][:40]!r}")
        is_bare = expected.kind == BARE and value and not flags and not cas
        items.append(value if is_bare else Item(value, flags, cas))
        return start + length + 2

    def _read_line(
        self,
        buffer: bytes,
        position: int,
        start: int,
        line: bytes,
        expected: _Expected,
        answers: list[Answer],
    ) -> int:
        words = line.split(b" ")
        code = words[0]
        if code in META_CODES:
            length = -1
            if code == b"VA":
                length = _number(words[1] if len(words) > 1 else b"", LARGEST_VALUE)
            value = None
            if length >= 0:
                value = self._body(buffer, position, start, length)
                if value is None:
                    return position
                start += length + 2
            reply = _read_tokens(code, value, words[2 if length >= 0 else 1 :], _opaque(expected))
        elif code in TEXT_CODES:
            if expected.opaque:
                raise _Fault(f"{code!r} where a numbered line was expected")
            reply = Reply(code, line[len(code) + 1 :])
        else:
            error = self._read_error(line, expected)
            if error is None:
                raise _Fault(f"not an answer: {line[:40]!r}")
            reply = error
        expected.items.append(reply)
        expected.done += 1
        if expected.done == expected.count:
            self._finish(expected.items, answers)
        return start

    def _read_quiet(self, start: int, line: bytes, expected: _Expected, answers: list[Answer]) -> int:
        items = expected.items
        if line == b"MN":
            items.extend([DONE] * (expected.count - len(items)))
            self._finish(items if expected.refusal is None else expected.refusal, answers)
            return start
        code, *tokens = line.split(b" ")
        if code not in META_CODES or code == b"VA":
            expected.refusal = self._read_error(line, expected)
            if expected.refusal is None:
                raise _Fault(f"not an answer to quiet requests: {line[:40]!r}")
            return start
        met = _find_opaque(tokens)
        if not expected.opaque + len(items) <= met < expected.opaque + expected.count:
            raise _Fault(f"an answer to another request: {met}")
        items.extend([DONE] * (met - expected.opaque - len(items)))
        items.append(Reply(code))
        return start

    def _read_stat(self, start: int, line: bytes, expected: _Expected, answers: list[Answer]) -> int:
        if line.startswith(STATISTICS):
            name, _, value = line.partition(b" ")[2].partition(b" ")
            expected.stats[name] = value
        elif line in (b"END", b"RESET", b"OK"):
            self._finish(expected.stats, answers)
        else:
            error = self._read_error(line, expected)
            if error is None:
                raise _Fault(f"not an answer to stats: {line[:40]!r}")
            self._finish(error, answers)
        return start


def _opaque(expected: _Expected) -> int:
    return expected.opaque + expected.done if expected.opaque else 0


def _find_opaque(tokens: list[bytes]) -> int:
    numbers = [_number(token[1:], 2**64 - 1) for token in tokens if token[:1] == b"O"]
    return numbers[-1] if numbers else 0


def _number(text: bytes, most: int) -> int:
    """Return the number that *text* is, of 1 to 20 digits and at most *most*."""
    if not text.isdigit() or len(text) > 20:
        raise _Fault(f"not a number: {text[:40]!r}")
    number = int(text)
    if number > most:
        raise _Fault(f"a number that is too large: {number}")
    return number


def _read_tokens(code: bytes, value: bytes | None, tokens: list[bytes], opaque: int) -> Reply:
    flags, cas, ttl, marks, met = 0, 0, -2, set(), 0
    for token in tokens:
        letter, rest = token[:1], token[1:]
        if letter == b"O":
            met = _number(rest, 2**64 - 1)
        elif letter == b"f":
            flags = _number(rest, 2**32 - 1)
        elif letter == b"c":
            cas = _number(rest, 2**64 - 1)
        elif letter == b"t":
            ttl = -1 if rest == b"-1" else _number(rest, 2**32 - 1)
        elif token in (b"W", b"X", b"Z"):
            marks.add(token)
    if met != opaque:
        raise _Fault(f"an answer to another request: {met} instead of {opaque}")
    return Reply(code, value, flags, cas, ttl, b"".join(sorted(marks)))
