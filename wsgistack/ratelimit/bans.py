"""Bans: who is refused again and again is shut out for a time that grows.

    ban = number "in" window "for" window ["up" "to" window]

>>> str(parse_ban("10 in 1 hour for 15 minutes"))
'10 in hour for 15 minutes up to day'

A ban counts like an algorithm: its Counter lets pass (cost 0) who is not banned, and `charge` notes a
refusal.  So bans live where the limits live, in a table or in a store that processes share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgistack.errors import RateError
from wsgistack.ratelimit.rates import parse_window, show_window

__all__ = ["Ban", "BanCounter", "parse_ban"]

LONGEST_US = 86_400_000_000  # the usual end of growth: addresses find new owners
SHAPE = re.compile(r"\s*([0-9]{1,6}) in (.+?) for (.+?)(?: up to (.+?))?\s*", re.IGNORECASE)

State = tuple[int, int, int, int]  # (end of the window, refusals in it, banned until, bans so far)


@dataclass(frozen=True, slots=True)
class Ban:
    """After *refusals* within *window_us*: *length_us*, twice as long each time, at most *longest_us*."""

    refusals: int
    window_us: int
    length_us: int
    longest_us: int

    def __str__(self) -> str:
        window, length, longest = map(show_window, (self.window_us, self.length_us, self.longest_us))
        return f"{self.refusals} in {window} for {length} up to {longest}"


def parse_ban(text: str) -> Ban:
    """Return the ban that *text* says; raises RateError with what was expected."""
    found = SHAPE.fullmatch(text)
    if found is None or not int(found[1]):
        raise RateError(f"ban: {text!r} is not like '10 in 1 hour for 15 minutes up to 1 day'")
    window_us, length_us = parse_window(found[2]), parse_window(found[3])
    longest_us = parse_window(found[4]) if found[4] else max(LONGEST_US, length_us)
    if longest_us < length_us:
        raise RateError(f"ban: {text!r}: up to {show_window(longest_us)} is shorter than the first ban")
    return Ban(int(found[1]), window_us, length_us, longest_us)


class BanCounter:
    """Counter of a ban; the state is (end of the window, refusals in it, banned until, bans so far)."""

    __slots__ = ("_ban",)

    def __init__(self, ban: Ban) -> None:
        self._ban = ban

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """Return how long the key is still banned, 0 if it is not; nothing changes."""
        return (0 if state is None else max(state[2] - now, 0)), state

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """Return the state after *cost* refusals; those of who is banned already do not count."""
        ban = self._ban
        end, refusals, until, times = state or (0, 0, 0, 0)
        if until > now or not cost:
            return state
        if until and until + ban.longest_us <= now:
            times = 0  # good for as long as the longest ban: it begins anew
        if end <= now:
            end, refusals = now + ban.window_us, 0
        refusals += cost
        if refusals < ban.refusals:
            return end, refusals, until, times
        length_us = min(ban.length_us << min(times, 40), ban.longest_us)
        return end, 0, now + length_us, times + 1

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """Give nothing back: a refusal is not undone."""
        return state

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """Return how many refusals are left before a ban, and for how long the key is banned."""
        if state is None:
            return self._ban.refusals, 0
        if state[2] > now:
            return 0, state[2] - now
        return self._ban.refusals - (state[1] if state[0] > now else 0), 0

    def ends_at(self, state: State) -> int:
        """See Counter; a ban is remembered as long as it makes the next one longer."""
        return max(state[0], state[2] + self._ban.longest_us if state[2] else 0)
