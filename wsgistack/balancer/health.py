"""One node's health: a table of (state, did the check pass) -> what it takes to change state.

A node is `unchecked` until its first check, and takes traffic then: a balancer that starts
beside its nodes must not answer 503 for the first second.

>>> check = HealthCheck("tcp", "127.0.0.1:8001", "/", "", ((200, 399),), 1.0, 1.0, 3, 2)
>>> health = NodeHealth()
>>> for second in range(3):
...     health = health.seen(False, check, now=float(second))
>>> health.state, health.is_up
('down', False)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsgistack.balancer.model import HealthCheck

__all__ = ["NodeHealth", "State"]

State = Literal["unchecked", "up", "down"]


@dataclass(frozen=True, slots=True)
class Step:
    """The next state, and which setting says how many results in a row lead there."""

    state: State
    needs: Literal["fall", "rise", "one"]


# An unchecked node needs the full `fall` to go down: one lost packet at the start is no reason.
TABLE: dict[tuple[State, bool], Step] = {
    ("unchecked", True): Step("up", "one"),
    ("unchecked", False): Step("down", "fall"),
    ("up", True): Step("up", "one"),
    ("up", False): Step("down", "fall"),
    ("down", True): Step("up", "rise"),
    ("down", False): Step("down", "one"),
}


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What the checks of one node said so far; a value, `seen` returns the next one.

    *in_a_row* counts the latest results that were all equal to *passed*.
    """

    state: State = "unchecked"
    passed: bool = True
    in_a_row: int = 0
    checked_at: float | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether the node may be picked."""
        return self.state != "down"

    def seen(self, passed: bool, check: HealthCheck, now: float) -> NodeHealth:
        """Return the health after one more result of *check*."""
        in_a_row = self.in_a_row + 1 if passed == self.passed else 1
        step = TABLE[self.state, passed]
        needed = {"fall": check.fall, "rise": check.rise, "one": 1}[step.needs]
        state = step.state if in_a_row >= needed else self.state
        return NodeHealth(state, passed, in_a_row, now)

    def due(self, check: HealthCheck, now: float) -> float:
        """Return in how many seconds the next check is due; 0 for at once."""
        if self.checked_at is None:
            return 0.0
        return min(max(self.checked_at + check.interval_s - now, 0.0), check.interval_s)
