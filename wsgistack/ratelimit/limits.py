"""One limit of a rule, with everything about it that does not change."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsgistack.ratelimit.algorithms import Counter, make_counter
from wsgistack.ratelimit.fields import limit_prefix, policy_item
from wsgistack.ratelimit.rates import Rate
from wsgistack.ratelimit.rules import Rule

__all__ = ["Limit"]


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """One limit: *number* is its place in the table, *policy* its name in fields, *rule* whose it is."""

    number: int
    policy: str
    rate: Rate
    rule: Rule
    counter: Counter = field(init=False)
    policy_item: str = field(init=False)
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        for name, value in (
            ("counter", make_counter(self.rate)),
            ("policy_item", policy_item(self.policy, self.rate)),
            ("prefix", limit_prefix(self.policy)),
        ):
            object.__setattr__(self, name, value)

    @property
    def has_an_end(self) -> bool:
        """Whether something is settled when the response is over."""
        return self.rate.in_bytes or self.rate.algorithm == "concurrent" or bool(self.rule.charge)
