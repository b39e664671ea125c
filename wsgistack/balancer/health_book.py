"""Everybody's health: what was seen of each node of each pool, and what follows from it for the pool.

health.py decides about one node; here is who remembers, and where the nodes of a pool are weighed
against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.model import HealthCheck
from wsgistack.settings import Value, parse_statuses

__all__ = ["HealthBook", "Verdict", "make_check"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the snapshot says of a node: may it be picked, and since when does it warm up."""

    up: bool
    warm_from: float | None = None


class HealthBook:
    """Health by pool and address, because two pools may check one address in two ways.

    It outlives the membership: a node that is removed and added again is not trusted anew.
    """

    def __init__(self) -> None:
        self._health: dict[tuple[str, str], NodeHealth] = {}

    def get(self, pool: str, address: str) -> NodeHealth:
        """Return what is known of a node; an unknown one is unchecked."""
        return self._health.get((pool, address), NodeHealth())

    def forget(self, pool: str, address: str) -> None:
        """Know nothing of a node any more."""
        self._health.pop((pool, address), None)

    def absorb_check(self, pool: str, address: str, passed: bool, check: HealthCheck, now: float) -> bool:
        """Take in a check's result; return whether the node went up or down."""
        before = self.get(pool, address)
        after = before.seen(passed, check, now)
        self._health[pool, address] = after
        return after.is_up != before.is_up

    def judge(self, pool: str, settings: Mapping[str, Value], addresses: Iterable[str]) -> dict[str, Verdict]:
        """Return the verdict on each node of a pool that has these *settings*."""
        # When every node of a pool is down, the snapshot says so, and the plane answers 503.
        # Sending requests to nodes known to be dead would only delay that answer; a threshold
        # below which checks are disbelieved ("panic") belongs here when it comes.
        checked = settings["health_check"] != "none"
        return {a: Verdict(self.get(pool, a).is_up or not checked) for a in addresses}


def make_check(settings: Mapping[str, Value], connect: str | None) -> HealthCheck | None:
    """Return the check that a pool's *settings* ask for at *connect*, None if they ask for none."""
    if settings["health_check"] == "none" or connect is None:
        return None
    interval, timeout = settings["health_interval"], settings["health_timeout"]
    fall, rise = settings["health_fall"], settings["health_rise"]
    assert isinstance(interval, float) and isinstance(timeout, float)
    assert isinstance(fall, int) and isinstance(rise, int)
    return HealthCheck(
        kind=str(settings["health_check"]),
        connect=connect,
        path=str(settings["health_path"]),
        host=str(settings["health_host"]),
        statuses=parse_statuses(str(settings["health_status"])),
        interval_s=interval,
        timeout_s=timeout,
        fall=fall,
        rise=rise,
    )
