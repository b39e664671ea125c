"""One limit of a rule, with everything about it that does not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wsgistack.ratelimit.algorithms import Counter, State, make_counter
from wsgistack.ratelimit.algorithms.gcra import Gcra
from wsgistack.ratelimit.bans import Ban, BanCounter
from wsgistack.ratelimit.fields import limit_item, policy_item
from wsgistack.ratelimit.rates import Rate
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.telling import Item

__all__ = ["Limit"]


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """One limit: *number* is its place in the table, *policy* its name in fields, *rule* whose it is.

    With *ban* it is no limit but what shuts out those whom the rule refuses too often.
    """

    number: int
    policy: str
    rate: Rate
    rule: Rule
    ban: Ban | None = None
    counter: Counter = field(init=False)
    quota: Callable[[State | None, int], tuple[int, int]] = field(init=False)  # the counter's
    policy_item: str = field(init=False)
    delay: Callable[[State, int], int] | None = field(init=False)  # the counter's, where requests wait
    item: Item | None = field(init=False)  # of RateLimit; None for a ban, and for what is only watched
    has_an_end: bool = field(init=False)  # something is settled when the response is over

    def __post_init__(self) -> None:
        rate, ban = self.rate, self.ban
        waits = rate.at_once and not self.rule.dry_run
        settles = rate.in_bytes or rate.algorithm == "concurrent" or bool(self.rule.charge)
        counter: Counter = make_counter(rate) if ban is None else BanCounter(ban)
        tells = ban is None and self.rule.tell and not self.rule.dry_run
        for name, value in (
            ("counter", counter),
            ("quota", counter.quota),
            ("delay", counter.delay if isinstance(counter, Gcra) and waits else None),
            ("policy_item", policy_item(self.policy, rate)),
            ("item", limit_item(self.policy, counter) if tells else None),
            ("has_an_end", ban is None and settles),
        ):
            object.__setattr__(self, name, value)
