"""From one blueprint to another as commands, in an order in which each of them can be done.

Whatever both have in common is not touched: services keep their sockets, pools their nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from wsgistack.balancer.blueprint import Blueprint, PoolPlan, ServicePlan
from wsgistack.balancer.dump import cache_lines, field_lines, limit_lines, pool_lines, service_lines
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.cache.texts import TEXTS
from wsgistack.settings import Value

__all__ = ["difference"]


class _Change(NamedTuple):
    """A service that is on both sides and stays."""

    name: str
    old: ServicePlan
    new: ServicePlan


def difference(old: Blueprint, new: Blueprint) -> list[str]:
    """Return the commands that make *old* into *new*; none when they mean the same.

    The order of pools, services and nodes counts for nothing.  Each line says which pool or service
    it means, so that none depends on another's context.
    """
    remade = {n for n, s in old.services.items() if n in new.services and _is_remade(s, new.services[n])}
    gone = [n for n in old.services if n not in new.services or n in remade]
    kept = [_Change(n, s, new.services[n]) for n, s in old.services.items() if n not in gone]
    added = {n: s for n, s in new.services.items() if n not in old.services or n in remade}
    lines = [*_server_changes(old.server, new.server), *_default_changes(old.defaults, new.defaults)]
    lines += [f"DELETE SERVICE {name}" for name in gone]
    for change in kept:
        lines += _closings(change, _wanted_by_others(change.name, new))
    lines += _new_pools(old.pools, new.pools)
    lines += _new_limits(old.limits, new.limits)
    lines += _new_caches(old.caches, new.caches)
    lines += [
        f"SET {c.name}.limit = {', '.join(c.new.limits) or 'none'}"
        for c in kept
        if c.new.limits != c.old.limits
    ]
    lines += [f"DELETE LIMIT {name}" for name in old.limits if name not in new.limits]
    lines += [f"SET {c.name}.cache = {c.new.cache or 'off'}" for c in kept if c.new.cache != c.old.cache]
    lines += [f"DELETE CACHE {name}" for name in old.caches if name not in new.caches]
    for change in kept:
        lines += _ways(change)
    lines += [f"DELETE POOL {name}" for name in old.pools if name not in new.pools]
    for name, pool in old.pools.items():
        if name in new.pools:
            lines += _pool_changes(name, pool, new.pools[name])
    for name, settings in old.limits.items():
        if name in new.limits:
            lines += _limit_changes(name, settings, new.limits[name])
    for name, settings in old.caches.items():
        if name in new.caches:
            lines += _cache_changes(name, settings, new.caches[name])
    for name, service in added.items():
        lines.append(f"CREATE SERVICE {name}")
        lines += [_named(name, line) for line in service_lines(name, service, new.defaults)]
    for change in kept:
        lines += _service_changes(change, _wanted_by_others(change.name, new))
    lines += [f"ENABLE {name}" for name, service in added.items() if service.enabled]
    return lines


def _is_remade(old: ServicePlan, new: ServicePlan) -> bool:
    """Tell whether a service has to be deleted and made anew: no command leads from old to new."""
    if old.role != new.role:
        return True
    if old.role is None:
        return old != new
    if (old.pool is not None and new.pool is None) or (old.listen and not new.listen):
        return True
    return old.role == "management" and old.enabled and not new.enabled


def _server_changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    for row in SERVER_SETTINGS:
        if row.name in new and old.get(row.name) != new[row.name]:
            yield f"SERVER {row.name} = {row.kind.show(new[row.name])}"


def _default_changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        builtin = SERVICE_SETTINGS.get(key).default
        value = new.get(key, builtin)
        if old.get(key, builtin) != value:
            yield f"DEFAULT {key} = {SERVICE_SETTINGS.show(key, value)}"


def _wanted_by_others(name: str, new: Blueprint) -> set[str]:
    """Return the addresses on which other services listen."""
    others = (s for n, s in new.services.items() if n != name and s.enabled)
    return {address for service in others for address in service.listen}


def _must_close_first(change: _Change, wanted: set[str]) -> bool:
    """Tell whether another service takes an address that this one has."""
    return change.old.enabled and any(
        address in wanted for address in change.old.listen if address not in change.new.listen
    )


def _ways(change: _Change) -> Iterator[str]:
    """Yield where requests go from now on.  No pool may be the service's own and one of its split at once."""
    name, old, new = change
    is_moved = old.pool != new.pool and old.split is not None and new.pool in old.split.pools
    if is_moved:
        yield f"SET {name}.split = none"
    if old.pool != new.pool:
        yield f"SET {name}.pool = {new.pool}"
    if old.split != new.split or (is_moved and new.split):
        yield f"SET {name}.split = {new.split or 'none'}"


def _closings(change: _Change, wanted: set[str]) -> Iterator[str]:
    if not change.old.enabled:
        return
    staying = [address for address in change.old.listen if address in change.new.listen]
    if not change.new.enabled:
        yield f"DISABLE {change.name}"
    elif _must_close_first(change, wanted):
        if staying:
            yield f"SET {change.name}.listen = {', '.join(staying)}"
        elif change.old.role != "management":
            yield f"DISABLE {change.name}"


def _service_changes(change: _Change, wanted: set[str]) -> Iterator[str]:
    name, old, new = change
    for key, value in sorted(new.settings.items()):
        if old.settings[key] != value:
            yield f"SET {name}.{key} = {SERVICE_SETTINGS.show(key, value)}"
    if (old.insert, old.remove) != (new.insert, new.remove):
        if old.insert or old.remove:
            yield f"HEADER {name} CLEAR"
        yield from field_lines(name, new)
    closed = _must_close_first(change, wanted)
    is_same = set(old.listen) == set(new.listen) and not closed
    if not is_same and new.listen:
        yield f"SET {name}.listen = {', '.join(new.listen)}"
    is_off = not old.enabled or (
        closed and not set(old.listen) & set(new.listen) and old.role != "management"
    )
    if new.enabled and is_off:
        yield f"ENABLE {name}"


def _new_pools(old: Mapping[str, PoolPlan], new: Mapping[str, PoolPlan]) -> Iterator[str]:
    for name, pool in new.items():
        if name not in old:
            yield f"CREATE POOL {name}"
            yield from (_named(name, line) for line in pool_lines(name, pool))


def _new_limits(
    old: Mapping[str, Mapping[str, Value]], new: Mapping[str, Mapping[str, Value]]
) -> Iterator[str]:
    for name, settings in new.items():
        if name not in old:
            yield f"CREATE LIMIT {name}"
            yield from (_named(name, line) for line in limit_lines(settings))


def _limit_changes(name: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    changed = [row for row in LIMIT_SETTINGS if old[row.name] != new[row.name]]
    # What is set to nothing first: a rate may not go with the marks that the limit had.
    for row in sorted(changed, key=lambda row: new[row.name] != ()):
        yield f"SET {name}.{row.name} = {row.kind.show(new[row.name])}"


def _new_caches(
    old: Mapping[str, Mapping[str, Value]], new: Mapping[str, Mapping[str, Value]]
) -> Iterator[str]:
    for name, settings in new.items():
        if name not in old:
            yield f"CREATE CACHE {name}"
            yield from (_named(name, line) for line in cache_lines(settings))


def _cache_changes(name: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    for row in TEXTS:
        if old[row.name] != new[row.name]:
            yield f"SET {name}.{row.name} = {row.kind.show(new[row.name])}"


def _pool_changes(name: str, old: PoolPlan, new: PoolPlan) -> Iterator[str]:
    for row in POOL_SETTINGS:
        if row.available and old.settings[row.name] != new.settings[row.name]:
            yield f"SET {name}.{row.name} = {row.kind.show(new.settings[row.name])}"
    before = {str(entry.address): entry for entry in old.entries}
    after = {str(entry.address): entry for entry in new.entries}
    yield from (f"POOL REMOVE {name} {address}" for address in before if address not in after)
    replaced = [address for address, entry in after.items() if before.get(address) != entry]
    yield from (f"POOL ADD {name} {after[address]}" for address in replaced)
    yield from (
        f"POOL UNDRAIN {name} {address}"
        for address in sorted(old.drained - new.drained)
        if address in after and address not in replaced
    )
    # Adding anew ends a drain, also that of a single node of a name.
    drained = new.drained if any(address in before for address in replaced) else new.drained - old.drained
    yield from (f"POOL DRAIN {name} {address}" for address in sorted(drained))


def _named(name: str, line: str) -> str:
    return f"SET {name}.{line[4:]}" if line.startswith("SET ") else line
