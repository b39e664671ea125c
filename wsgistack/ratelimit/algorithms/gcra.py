"""The generic cell rate algorithm: a token bucket in one integer.

The state is the theoretical arrival time (TAT): when the bucket will be full again.  It is kept in
parts of a microsecond (Rate.parts), of which one token takes a whole number, so that no rate drifts:
7/second is no multiple of a microsecond.  Most rates have one part: then it is plain microseconds.  ITU-T I.371 Annex A, virtual scheduling.

A full bucket gives *burst* at once and then *amount* per window, so the worst window sees
burst + amount of them: `exact` or `sliding` is for a hard limit in any window.
"""

from __future__ import annotations

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "NAME", "Gcra", "make"]

NAME = "gcra"
HELP = "a bucket of `burst` that fills steadily: smooth, cheap, the default"


class Gcra:
    """Counter of a rate; the state is an int."""

    __slots__ = ("_at_once", "_burst", "_full", "_parts", "_step")

    def __init__(self, rate: Rate) -> None:
        self._parts = rate.parts
        self._step = rate.window_us * rate.parts // rate.amount  # of one token, in parts
        self._burst = rate.burst
        self._full = rate.burst * self._step  # how far the TAT may lie ahead
        self._at_once = (rate.at_once or rate.burst) * self._step  # and still be served as it comes

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The parts of a microsecond, of a token, and of the burst."""
        return self._parts, self._step, self._full

    def decide(self, state: int | None, now: int, cost: int) -> tuple[int, int | None]:
        """See Counter."""
        now *= self._parts
        tat = (now if state is None or state < now else state) + cost * self._step
        over = tat - now - self._full
        if over <= 0:
            return 0, tat
        return (-(-over // self._parts) if cost <= self._burst else NEVER), state

    def charge(self, state: int | None, now: int, cost: int) -> int | None:
        """See Counter; what is charged beyond the burst is a debt that waiting pays."""
        now *= self._parts
        return (now if state is None or state < now else state) + cost * self._step

    def give_back(self, state: int | None, now: int, cost: int, taken: int) -> int | None:
        """See Counter; when *taken* is past, the bucket was full since, and nothing is owed."""
        now *= self._parts
        if state is None or taken <= now:
            return state
        tat = state - min(cost * self._step, taken - now)
        return tat if tat > now else None

    def quota(self, state: int | None, now: int) -> tuple[int, int]:
        """See Counter; more means one whole token more."""
        room = self._full if state is None else self._full - state + now * self._parts
        if room >= self._full:
            return self._burst, 0
        left, rest = divmod(room, self._step) if room > 0 else (0, room)
        return left, -((rest - self._step) // self._parts)

    def delay(self, state: int, now: int) -> int:
        """Return how many microseconds a request that left *state* behind waits for its turn.

        nginx's `burst=B delay=D` is `burst B+1 delay D+1` here: there the first one is no excess.
        """
        return max(-((self._at_once + now * self._parts - state) // self._parts), 0)

    def ends_at(self, state: int) -> int:
        """See Counter."""
        return -(-state // self._parts)


def make(rate: Rate) -> Gcra:
    """Return the counter of *rate*."""
    return Gcra(rate)
