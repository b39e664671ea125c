"""What somebody wants: everything that a configuration says, as one value, without what was observed.

Health, counters and what names lead to are no part of it.  Two blueprints can be compared
(difference.py) and one can be written as commands (dump.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from wsgistack.balancer.caches import Caches
from wsgistack.balancer.limits import Limits
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.roster import Entry
from wsgistack.balancer.services import Services
from wsgistack.balancer.split import Rule
from wsgistack.settings import Value

__all__ = ["Blueprint", "PoolPlan", "ServicePlan", "draw"]


class Wanted(Protocol):
    """What a blueprint is drawn of: language.command.Estate."""

    pools: Pools
    services: Services
    limits: Limits
    caches: Caches
    server: dict[str, Value]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool: its settings, what commands put into it in order, and which of it drains."""

    settings: Mapping[str, Value]
    entries: tuple[Entry, ...]
    drained: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service; *chosen*: the settings that were given before its first role."""

    role: str | None
    enabled: bool
    pool: str | None
    listen: tuple[str, ...]
    limits: tuple[str, ...]
    settings: Mapping[str, Value]
    chosen: frozenset[str]
    insert: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]
    cache: str | None = None
    split: Rule | None = None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All of it, pools and services in the order of their creation."""

    server: Mapping[str, Value]
    defaults: Mapping[str, Value]
    pools: Mapping[str, PoolPlan]
    services: Mapping[str, ServicePlan]
    limits: Mapping[str, Mapping[str, Value]]  # their settings
    caches: Mapping[str, Mapping[str, Value]]  # the same


def draw(estate: Wanted) -> Blueprint:
    """Return the blueprint of what there is."""
    pools, services = estate.pools, estate.services
    return Blueprint(
        server=dict(estate.server),
        defaults=services.defaults(),
        pools={
            name: PoolPlan(pools.settings(name), tuple(pools.entries(name)), frozenset(pools.drained(name)))
            for name in pools.names()
        },
        services={
            name: ServicePlan(
                role=service.role,
                enabled=service.enabled,
                pool=service.pool,
                listen=service.listen,
                limits=service.limits,
                settings=service.settings,
                chosen=frozenset(services.chosen(name)),
                insert=service.insert,
                remove=service.remove,
                cache=service.cache,
                split=service.split,
            )
            for name, service in services.publish().items()
        },
        limits={name: limit.settings for name, limit in estate.limits.publish().items()},
        caches={name: cache.settings for name, cache in estate.caches.publish().items()},
    )
