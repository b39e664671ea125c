"""Load shedding: so many requests at once in the whole service, and who has to go first.

>>> rules = shedding(100, priority=lambda request: "critical" if request.path == "/pay" else "normal")
>>> [(rule.name, rule.rate) for rule in rules]
[('load-sheddable', '50 concurrent'), ('load-normal', '80 concurrent'), ('load', '100 concurrent')]

Each rule counts what the classes below it hold too.  So the last places are kept for what matters
more: `sheddable` requests are refused when half of the places are taken, `normal` ones at four
fifths, `critical` ones when the service is full.  A place is free when the response is closed.
"""

from __future__ import annotations

from collections.abc import Callable

from wsgistack.errors import SettingError
from wsgistack.http.request import RequestView
from wsgistack.ratelimit.clients import everybody
from wsgistack.ratelimit.rules import Rule

__all__ = ["shedding"]

Priority = Callable[[RequestView], str]


def shedding(
    most: int,
    *,
    priority: Priority,
    normal: float = 0.8,
    sheddable: float = 0.5,
    name: str = "load",
) -> tuple[Rule, ...]:
    """Return the rules that let *most* requests be served at once, to stand before other rules.

    *priority(request)*: `critical`, `normal` or `sheddable`; any other word is `normal`.
    *normal*, *sheddable*: the share of the places that these classes, and those below, may hold.
    Who is refused gets 503 with Retry-After.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise SettingError(f"shedding: {most!r} is not a number of requests from 1 on")
    if not 0 < sheddable <= normal <= 1:
        text = (
            f"sheddable {sheddable!r} and normal {normal!r} are not shares with 0 < sheddable <= normal <= 1"
        )
        raise SettingError(f"shedding: {text}")

    def rule(suffix: str, share: float, is_not_about: Callable[[RequestView], bool] | None) -> Rule:
        places = max(int(most * share), 1)
        return Rule(
            name + suffix, f"{places} concurrent", key=everybody, exempt=is_not_about, status=503, tell=False
        )

    return (
        rule("-sheddable", sheddable, lambda request: priority(request) != "sheddable"),
        rule("-normal", normal, lambda request: priority(request) == "critical"),
        rule("", 1, None),
    )
