r"""What an answer must contain, as an operator writes it: a text with escapes, or `~` and a pattern.

>>> parse_expectation("+PONG\\r\\n").is_in(b"+PONG\r\n")
True
>>> parse_expectation("~[0-9]+ free").judge(b"none free", "body")
"body does not match '[0-9]+ free'"
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

__all__ = ["Expectation", "parse_expectation", "unescape"]

ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[\\rnt0s]|.?)", re.DOTALL)
LETTERS = {"\\": b"\\", "r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" "}
PATTERN_LIMIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must occur in the answer; *text* is as the operator wrote it."""

    text: str
    is_pattern: bool
    is_in: Callable[[bytes], bool]

    def judge(self, data: bytes, what: str) -> str:
        """Return "" if *data* is as expected, else a sentence about *what* it is."""
        try:
            if self.is_in(data):
                return ""
        except TimeoutError:
            return f"'{self.text}' took more than {PATTERN_LIMIT_S:g} s to look for"
        return f"{what} does not {'match' if self.is_pattern else 'contain'} '{self.text}'"


def parse_expectation(text: str) -> Expectation | None:
    """Return what *text* asks for, None for ""; raises ValueError for a faulty pattern or escape."""
    if not text:
        return None
    if text.startswith("~"):
        try:
            pattern = re.compile(text[1:].encode("latin-1"))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{text[1:]!r} is no regular expression: {error}") from None
        return Expectation(text[1:], True, lambda data: _search(pattern, data))
    wanted = unescape(text)
    return Expectation(text, False, lambda data: wanted in data)


def unescape(text: str) -> bytes:
    r"""Return the bytes of a text with \r \n \t \0 \s (a space) \\ and \xHH; ValueError for others."""

    def letter(found: re.Match[str]) -> str:
        name = found[1]
        if name[:1] == "x" and len(name) == 3:
            return bytes.fromhex(name[1:]).decode("latin-1")
        if name not in LETTERS:
            raise ValueError(f"'\\{name}' is none of \\r \\n \\t \\0 \\s \\\\ \\xHH")
        return LETTERS[name].decode("latin-1")

    return ESCAPE.sub(letter, text).encode("latin-1")


def _search(pattern: re.Pattern[bytes], data: bytes) -> bool:
    """Tell whether *pattern* is found; TimeoutError when it takes too long.

    A pattern may take exponential time, and nothing else runs meanwhile: the interval timer
    interrupts `re`, which looks for signals (main thread only, where the supervisor runs).
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATTERN_LIMIT_S)
    try:
        return pattern.search(data) is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
