"""Between the words that the table of limits holds and the states that the engine's counters know."""

from __future__ import annotations

from typing import Any

from wsgistack.ratelimit.rates import Rate

__all__ = ["NOTHING", "Words", "pack_ban", "read_state"]

Words = tuple[int, int, int]  # (ends_us, a, b), see plane/limit_kernels.pxd
NOTHING: Words = (0, 0, 0)
TIME_BITS = 54
TIME_MASK = (1 << TIME_BITS) - 1


def read_state(kind: str, rate: Rate, words: Words, now: int) -> Any:
    """Return the state of a key as its counter knows it, None if there is none any more."""
    ends, a, b = words
    if ends <= now:
        return None
    match kind:
        case "gcra":
            # There the rest is in 1/amount microsecond, here in parts: none is cut in two.
            return a * rate.parts + b * rate.parts // rate.amount
        case "fixed" | "calendar":
            return ends, a
        case "sliding":
            return ends // rate.window_us - 2, a, b
        case "ban":
            return a & TIME_MASK, b >> TIME_BITS, b & TIME_MASK, a >> TIME_BITS
        case _:
            raise ValueError(kind)


def pack_ban(until: int, times: int, longest_us: int) -> Words:
    """Return the words of a key that is banned until then, for the *times*-th time."""
    return until + longest_us, times << TIME_BITS, until
