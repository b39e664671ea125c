"""One limit as a value, and all that workers must know to decide by it and to answer for it.

The texts of refusals are the WSGI edge's own: ratelimit/answers.py makes them here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

from wsgistack.balancer.shedding import LEVELS, make_rules, read_marks, sheds
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.answers import make_answer
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import limit_prefix
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.limits import Limit as Engine
from wsgistack.ratelimit.rules import Rule
from wsgistack.settings import Value

__all__ = ["Limit", "Step"]

Wire = dict[str, Any]  # JSON

NO_BAN = "1 in 1 second for 1 minute"  # of a limit that makes none: only operators do


class Step(NamedTuple):
    """One rate of a limit, or its ban, as the engine has it; *id* names its states in the table.

    *level*: the highest of LEVELS that it is about, "" where the limit does not tell them apart.
    """

    id: int
    engine: Engine
    level: str = ""

    def is_about(self, level: str) -> bool:
        """Tell whether a request of that level needs room under it."""
        return not self.level or not level or LEVELS.index(level) <= LEVELS.index(self.level)

    @property
    def kind(self) -> str:
        """One of plane/limit_kernels.KINDS."""
        return "ban" if self.engine.ban is not None else self.engine.rate.algorithm

    @property
    def status(self) -> int:
        """What who is refused by it gets."""
        return self.engine.rule.status or (503 if self.kind == "concurrent" else 429)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit with all settings of limit_settings; *slot* is its row of the scoreboard.

    *epoch*: how often it was reset.  States of another epoch, rate or key are not looked at any more.
    """

    name: str
    slot: int
    settings: Mapping[str, Value]
    epoch: int = 0
    steps: tuple[Step, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self._make_steps()))

    @property
    def by(self) -> tuple[str, str]:
        """Who shares it, and the name of the field if that is one."""
        kind, _, name = str(self.settings["key"]).partition(":")
        return kind, name

    @property
    def sheds(self) -> bool:
        """Whether it refuses some requests before others, see shedding.py."""
        return sheds(self.settings)

    @property
    def cost(self) -> int:
        """Units of a request."""
        return int(str(self.settings["cost"]))

    def as_wire(self) -> Wire:
        """Return it as the plane wants it; its first rate is the ban."""
        kind, name = self.by
        same = ("dry_run", "count_refused", "ipv4_prefix", "ipv6_prefix")
        return {
            "slot": self.slot,
            "by": kind,
            "name": name,
            "tells": self.settings["headers"] != "none" and not self.sheds,
            "meter": self.name if self.settings["meter"] else "",
            "bans": bool(self.settings["ban"]),
            "methods": _as_list(self.settings["methods"]),
            "exempt": _as_list(self.settings["exempt"]),
            "path": _as_list(self.settings["path"]),
            "levels": self._levels_as_wire() if self.sheds else [],
            "rates": [self._step_as_wire(step) for step in self.steps],
            **{key: self.settings[key] for key in same},
        }

    def _make_steps(self) -> list[Step]:
        rule = Rule(
            self.name,
            str(self.settings["rate"]),
            status=int(str(self.settings["status"])),
            ban=str(self.settings["ban"]) or NO_BAN,
        )
        engines = Limiter([rule], trust=Trust(), now=lambda: 0).limits
        engines = sorted(engines, key=lambda engine: engine.ban is None)  # the ban first
        steps = [Step(self._id(engine), engine) for engine in engines]
        return [steps[0], *self._make_levels(rule)] if self.sheds else steps

    def _make_levels(self, rule: Rule) -> list[Step]:
        rules = make_rules(self.name, self.settings)
        rules = tuple(replace(one, status=rule.status or one.status) for one in rules)
        engines = Limiter(rules, trust=Trust(), now=lambda: 0).limits
        return [Step(self._id(one), one, level) for level, one in zip(LEVELS, engines, strict=True)]

    def _levels_as_wire(self) -> list[list[list[str]]]:
        marks = {level: read_marks(self.settings.get(level, ())) for level in LEVELS}
        return [[list(mark) for mark in marks[level]] for level in LEVELS]

    def _id(self, engine: Engine) -> int:
        # A ban outlives a change of the rate.
        counted = "ban" if engine.ban is not None else f"{engine.policy} {engine.rate}"
        text = f"{self.name} {self.epoch} {self.settings['key']} {counted}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")

    def _step_as_wire(self, step: Step) -> Wire:
        engine, ban = step.engine, step.engine.ban
        status, problem, page, page_end = _texts(engine)
        return {
            "id": step.id,
            "policy": engine.policy_item,
            "prefix": limit_prefix(engine.policy),
            "code": step.status,
            "status": f"HTTP/1.1 {status}\r\n",
            "problem": problem,
            "page": page,
            "page_end": page_end,
            "numbers": {
                "kind": step.kind,
                "amount": engine.rate.amount if ban is None else ban.refusals,
                "window_us": engine.rate.window_us if ban is None else ban.window_us,
                "burst": engine.rate.burst if ban is None else ban.refusals,
                "cost": self.cost if ban is None else 1,
                "length_us": 0 if ban is None else ban.length_us,
                "longest_us": 0 if ban is None else ban.longest_us,
                "calendar": [engine.rate.calendar, engine.rate.zone] if engine.rate.calendar else [],
            },
        }


def _as_list(value: Value) -> Sequence[str]:
    assert isinstance(value, tuple)
    return list(value)


def _texts(engine: Engine) -> tuple[str, str, str, str]:
    """Return status and reason, the JSON body, and what stands before and after the wait of the page."""
    limiter = Limiter([engine.rule], trust=Trust(), now=lambda: 0)
    decision = Decision(limiter, [], 0, [], engine, NEVER)
    status, _, problem = make_answer(decision, "application/json", [])
    _, _, page = make_answer(decision, "text/html", [])
    before, end, after = page.decode().rpartition("</p>")
    return status, problem.decode(), before, end + after
