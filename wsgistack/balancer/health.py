"""One node's health: a table of (state, fact) -> the next state, and what it takes to get there.

    state      takes      passed     failed     refused    good        bad      outlier  elapsed
    ---------  ---------  ---------  ---------  ---------  ----------  -------  -------  --------
    unchecked  all        up         down:fall  dead:fall                       ejected
    up         all                   down:fall  dead:fall                       ejected
    warming    more each             down:fall  dead:fall                       ejected  up
               second
    down       nothing    warming:   down       dead
                          rise
    dead       nothing    warming:   down       dead
                          rise
    ejected    nothing               down:fall  dead:fall                                trial
    trial      a trickle             down:fall  dead:fall  warming:    ejected  ejected  warming
                                                           trials

The left four facts but one come from checks: one *passed*, *failed* (no answer in time, a wrong status or
body) or met a *refused* connection.  The next ones come from traffic: requests ended *good* or *bad*, or
the node stood out from the others of its pool (an *outlier*; ejection.py says when).  *elapsed*: the
state's time is over.  `:fall`, `:rise` and `:trials` are how many in a row it takes, one where nothing
stands.  An empty field changes nothing.  No trial begins while the last check has failed: a node that
hangs has failed one but not yet enough of them, and each request of a trial would wait for nothing.

Down, ejected and trial are the open and half-open states of a circuit breaker, up is its closed one.
Who is `down` may be asked when too few nodes are left (see health_book.py), who is `dead` may not: it
refused.  An `unchecked` node takes traffic: a balancer that starts beside its nodes must not answer
503 for the first second.

>>> rules = Rules(fall=3, rise=2)
>>> health = NodeHealth()
>>> for second in range(3):
...     health = health.seen("refused", rules, now=float(second), why="Connection refused")
>>> health.state, health.is_usable, health.why
('dead', False, 'Connection refused')
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Literal, get_args

from wsgistack.balancer.model import HealthCheck

__all__ = ["Happening", "NodeHealth", "Rules", "State", "due"]

State = Literal["unchecked", "up", "warming", "down", "dead", "ejected", "trial"]
Happening = Literal["passed", "failed", "refused", "good", "bad", "outlier", "elapsed"]
Needs = Literal["one", "fall", "rise", "trials"]

USABLE: frozenset[State] = frozenset({"unchecked", "up", "warming", "trial"})
TIMED: frozenset[State] = frozenset({"warming", "ejected", "trial"})
OUT_BY_CHECK: frozenset[State] = frozenset({"down", "dead"})
CHECKED: frozenset[Happening] = frozenset({"passed", "failed", "refused"})
STATES: tuple[State, ...] = get_args(State)

TRIALS = 3  # good ends in a row, without a bad one, that end a trial
# An ejection in a row lasts a quarter longer than the one before.  The sum of a geometric row grows as
# its last term: a node is asked again after at most about a quarter of the time that it was bad, so
# that one that recovers is not kept out for long, while one that stays bad is asked ever less often.
GROWTH = 1.25
FORGIVENESS = 10  # times eject_time in service, after which one ejection is forgotten


@dataclass(frozen=True, slots=True)
class Step:
    """The next state, and how many such facts in a row lead there."""

    state: State
    needs: Needs = "one"


_FALLS: dict[Happening, Step] = {"failed": Step("down", "fall"), "refused": Step("dead", "fall")}
_OUT: dict[Happening, Step] = {
    "passed": Step("warming", "rise"),
    "failed": Step("down"),
    "refused": Step("dead"),
}

TABLE: dict[State, dict[Happening, Step]] = {
    # An unchecked node needs the full `fall` to go down: one lost packet at the start is no reason.
    "unchecked": {"passed": Step("up"), **_FALLS, "outlier": Step("ejected")},
    "up": {**_FALLS, "outlier": Step("ejected")},
    "warming": {**_FALLS, "outlier": Step("ejected"), "elapsed": Step("up")},
    "down": _OUT,
    "dead": _OUT,
    # Checks that pass do not end an ejection: they passed while the traffic failed.
    "ejected": {**_FALLS, "elapsed": Step("trial")},
    "trial": {
        **_FALLS,
        "good": Step("warming", "trials"),
        "bad": Step("ejected"),
        "outlier": Step("ejected"),
        "elapsed": Step("warming"),  # nobody came: it is not kept waiting for visitors
    },
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of a pool's settings that the table asks for; times in seconds."""

    fall: int = 3
    rise: int = 2
    eject_time_s: float = 1.0
    eject_time_most_s: float = 60.0
    slow_start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What is known of one node; a value, `seen` returns the next one.

    *since*: when the state began.  *until*: when its time is over, None for a state without.  *why*
    says what was wrong last, "" if nothing ever was.  *in_a_row* counts the latest checks that all
    ended as *passed* says, *trials* the good ends of a trial.  *ejected_times* counts all ejections,
    *severity* those not yet forgiven at *back_at*, when it last came back.
    """

    state: State = "unchecked"
    since: float | None = None
    until: float | None = None
    why: str = ""
    passed: bool = True
    in_a_row: int = 0
    checked_at: float | None = None
    trials: int = 0
    ejected_times: int = 0
    severity: int = 0
    back_at: float = 0.0

    @property
    def is_usable(self) -> bool:
        """Tell whether the node may be picked."""
        return self.state in USABLE

    @property
    def is_suspected(self) -> bool:
        """Tell whether its checks fail, enough of them for a verdict or not yet."""
        return self.state in OUT_BY_CHECK or not self.passed

    def is_over(self, now: float) -> bool:
        """Tell whether the state's time has elapsed; a clock that was set back ends it too."""
        if self.until is None or self.since is None:
            return False
        return now >= self.until or now < self.since

    def seen(self, what: Happening, rules: Rules, now: float, *, why: str = "", count: int = 1) -> NodeHealth:
        """Return the health after *what* happened, for traffic *count* times in a row."""
        after = self._noted(what, now, why, count)
        step = TABLE[self.state].get(what)
        if step is None or step.state == self.state or (step.state == "trial" and not self.passed):
            return after
        enough = {"one": True, "fall": after.in_a_row >= rules.fall, "rise": after.in_a_row >= rules.rise}
        if not enough.get(step.needs, after.trials >= TRIALS):
            return after
        return after._entered(step.state, rules, now)

    def without_checks(self) -> NodeHealth:
        """Return the health once the results of checks count no more, because another check begins."""
        fresh = replace(self, passed=True, in_a_row=0, checked_at=None)
        if self.state in OUT_BY_CHECK or self.state == "up":
            return replace(fresh, state="unchecked", since=None, until=None)
        return fresh

    def _noted(self, what: Happening, now: float, why: str, count: int) -> NodeHealth:
        reason = why or self.why
        if what in CHECKED:
            passed = what == "passed"
            in_a_row = self.in_a_row + 1 if passed == self.passed else 1
            return replace(self, passed=passed, in_a_row=in_a_row, checked_at=now, why=reason)
        trials = self.trials + count if what == "good" and self.state == "trial" else 0
        return replace(self, trials=trials, why=reason)

    def _entered(self, state: State, rules: Rules, now: float) -> NodeHealth:
        after = replace(self, state=state, since=now, until=None, trials=0)
        match state:
            case "ejected":
                severity = min(self.severity_at(rules, now) + 1, _most_severe(rules))
                until = now + ejection_s(severity, rules)
                return replace(
                    after, until=until, severity=severity, back_at=until, ejected_times=self.ejected_times + 1
                )
            case "trial":
                return replace(after, until=now + rules.eject_time_s)
            case "warming":
                return replace(after, until=now + rules.slow_start_s, back_at=now)
            case _:
                return after

    def severity_at(self, rules: Rules, now: float) -> int:
        """Return how many ejections are not forgiven by *now*."""
        served_s = now - self.back_at if self.state in ("unchecked", "up", "warming") else 0.0
        period_s = FORGIVENESS * rules.eject_time_s
        forgiven = int(max(served_s, 0.0) / period_s) if period_s > 0 else self.severity
        return max(self.severity - forgiven, 0)


def ejection_s(severity: int, rules: Rules) -> float:
    """Return how long the ejection number *severity* in a row lasts.

    >>> [round(ejection_s(n, Rules()), 2) for n in (1, 2, 3, 10, 30)]
    [1.0, 1.25, 1.56, 7.45, 60.0]
    """
    return float(min(rules.eject_time_s * GROWTH ** (severity - 1), rules.eject_time_most_s))


def _most_severe(rules: Rules) -> int:
    """Return the severity from which ejections grow no more: the count must not either."""
    if rules.eject_time_s <= 0 or rules.eject_time_most_s <= rules.eject_time_s:
        return 1
    return 1 + math.ceil(math.log(rules.eject_time_most_s / rules.eject_time_s, GROWTH))


def due(health: NodeHealth, check: HealthCheck, now: float, rng: random.Random) -> float:
    """Return in how many seconds the next *check* is due; 0 for at once.

    A node that is down or suspected is checked every health_fast_interval, if that is shorter: it
    has to pass several times before it comes back.  Chance moves both by health_jitter.
    """
    if health.checked_at is None:
        return 0.0
    interval_s = check.number("health_interval")
    if health.is_suspected:
        interval_s = min(interval_s, check.number("health_fast_interval"))
    jitter = check.number("health_jitter") / 100
    interval_s *= rng.uniform(1 - jitter, 1 + jitter)
    return min(max(health.checked_at + interval_s - now, 0.0), interval_s)
