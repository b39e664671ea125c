"""The care of all nodes: which checks are due, what they and the traffic said, and the news of it.

It stands between the pools, who know their members, and the health book, who remembers how they do.
"""

from __future__ import annotations

import random

from wsgistack.balancer.health import due
from wsgistack.balancer.health_rules import is_checked, make_check
from wsgistack.balancer.model import HealthCheck, News, ProbeResult
from wsgistack.balancer.outside import Outcomes, Stats
from wsgistack.balancer.pools import Pools

__all__ = ["Care"]

CALM_AFTER_S = 2.0  # far longer than any judgement of traffic takes


class Care:
    """What control asks about health; pure, over the scoreboard *stats*."""

    def __init__(self, pools: Pools, stats: Stats) -> None:
        self._pools = pools
        self._book = pools.health
        self._stats = stats
        self._last: tuple[dict[str, int], list[Outcomes]] = ({}, [])
        self._stirred_at = 0.0

    def checks(self) -> list[tuple[str, str, HealthCheck]]:
        """Return (pool, address, check) of every node that is checked."""
        found = []
        for members in self._pools.views():
            for address in members.addresses:
                check = make_check(members.pool, address, members.settings)
                if check is not None:
                    found.append((members.pool, address, check))
        return found

    def due(self, pool: str, address: str, now: float, rng: random.Random) -> float | None:
        """Return in how many seconds that node's check is due, None when it has none."""
        members = self._pools.view(pool)
        if members is None or address not in members.addresses:
            return None
        if not is_checked(members.settings):
            return None
        check = HealthCheck(str(members.settings["health_check"]), pool, address, members.settings)
        return due(self._book.get(pool, address), check, now, rng)

    def is_suspected(self, pool: str, address: str) -> bool:
        """Tell whether that node failed its last check."""
        return self._book.get(pool, address).is_suspected

    def absorb(self, fact: ProbeResult, now: float) -> bool:
        """Take in a check's result; return whether the snapshot changes by it.

        A late one about a node that left, or is not checked any more, is dropped.
        """
        members = self._pools.view(fact.pool)
        if members is None or fact.address not in members.addresses:
            return False
        if not is_checked(members.settings):
            return False
        return self._book.absorb_check(members, fact, now)

    def sample(self, now: float) -> bool:
        """Look at how requests ended since the last call; return whether the snapshot changes by it.

        It is called eight times a second on sites where nothing happens too: then it compares, no more.
        """
        rows = self._pools.rows()
        found = self._stats.outcomes(rows.values())
        if (rows, found) == self._last and self._book.is_calm:
            return False
        self._last, self._stirred_at = (rows, found), now
        return self._book.sample(self._pools.views(), dict(zip(rows, found, strict=True)), now)

    def is_calm(self, now: float) -> bool:
        """Tell whether no request has ended for a while, and none that did can matter any more."""
        return self._book.is_calm and not 0 <= now - self._stirred_at < CALM_AFTER_S

    def take_news(self) -> list[News]:
        """Return what the log should tell since the last call, in order."""
        return self._book.take_news()
