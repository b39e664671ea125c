"""When a node counts as down, when a wait is over, and when a node is trusted again; pure.

One time-out or one broken connection opens the breaker for everybody; only background probes
close it, after several good ones in a row.  A node that fails again soon has to prove itself for
longer each time, so that one that flaps does not drag every request through its flapping.

Whoever waits does so in turns: a process, or a machine, that stood still for a while wakes up with
all its limits passed, and would blame a node for a time in which nobody could have heard it.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LATE_S", "Breaker", "Turns"]

TURNS = 4  # of a wait; as many that end late are given again
LEAST_TURN_S = 0.005  # the kernel counts a socket's limit in ticks of 1 to 10 ms
LATE_S = 0.015  # what a turn of a busy machine may take longer

GOOD_PROBES = 3
FIRST_PROBE_S = 0.02
MOST_PROBE_S = 1.0
FIRST_TRUST_S = 0.01  # between good probes, doubled by each strike
MOST_TRUST_S = 2.0
STRIKE_LASTS_S = 60.0
MOST_STRIKES = 8


class Turns:
    """A wait of *seconds* for one thing, in turns of `turn_s`.

    A turn that ended late does not count: the process was not running, and what it waits for may
    not have been either.
    """

    __slots__ = ("_late", "_left", "turn_s")

    def __init__(self, seconds: float) -> None:
        seconds = max(seconds, 0.001)
        self.turn_s = max(seconds / TURNS, min(seconds, LEAST_TURN_S))
        self._left = max(round(seconds / self.turn_s), 1)
        self._late = TURNS

    def passed(self, seconds: float) -> bool:
        """Take note of a turn in vain, which took *seconds*; return whether the wait is over."""
        if seconds > 2 * self.turn_s + LATE_S and self._late:
            self._late -= 1
        else:
            self._left -= 1
        return self._left <= 0


class Breaker:
    """Whether one node may be used.  Time points are *now* of one monotonic clock."""

    __slots__ = (
        "_failures",
        "_good",
        "_random",
        "_strikes",
        "is_open",
        "next_probe_at",
        "opened_at",
        "up_since",
    )

    def __init__(self, random: Callable[[], float]) -> None:
        self.is_open = False
        self.opened_at = 0.0
        self.next_probe_at = 0.0
        self._random = random
        self._strikes = 0
        self._failures = 0
        self._good = 0
        self.up_since = 0.0

    def failed(self, now: float) -> bool:
        """Open the breaker; return False if it was open already."""
        if self.is_open:
            return False
        if now - self.up_since > STRIKE_LASTS_S:
            self._strikes = 0
        self._strikes = min(self._strikes + 1, MOST_STRIKES)
        self.is_open = True
        self.opened_at = now
        self._failures = self._good = 0
        self.next_probe_at = now + self._spread(FIRST_PROBE_S / 2)
        return True

    def probed(self, was_good: bool, now: float) -> bool:
        """Take note of a probe; return whether the node has proved itself (then `close` it)."""
        if not was_good:
            self._good = 0
            self._failures += 1
            wait_s = min(FIRST_PROBE_S * 2 ** min(self._failures - 1, 10), MOST_PROBE_S)
        else:
            self._failures = 0
            self._good += 1
            wait_s = min(FIRST_TRUST_S * 2 ** (self._strikes - 1), MOST_TRUST_S)
        self.next_probe_at = now + self._spread(wait_s)
        return self._good >= GOOD_PROBES

    def close(self, now: float) -> None:
        """Use the node again."""
        self.is_open = False
        self.up_since = now

    def _spread(self, seconds: float) -> float:
        """Return *seconds* give or take a fifth: many processes do not probe at one instant."""
        return seconds * (0.8 + 0.4 * self._random())
