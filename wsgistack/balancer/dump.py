"""A blueprint as the commands that bring it back, in Perlbal's layout.

What is dumped can be replayed: SERVER and DEFAULT come first, a service's settings are those
that differ from what its role will have given it, and fields are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wsgistack.balancer.blueprint import Blueprint, PoolPlan, ServicePlan
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.services import given_with
from wsgistack.cache.texts import TEXTS
from wsgistack.settings import Value

__all__ = ["cache_lines", "dump", "field_lines", "limit_lines", "pool_lines", "service_lines"]


def dump(blueprint: Blueprint) -> list[str]:
    """Return the lines; an empty one closes each block."""
    lines = list(_server_lines(blueprint.server))
    defaults = blueprint.defaults
    lines += [f"DEFAULT {key} = {SERVICE_SETTINGS.show(key, defaults[key])}" for key in sorted(defaults)]
    if lines:
        lines.append("")
    for name, pool in blueprint.pools.items():
        lines += [f"CREATE POOL {name}", *(f"  {line}" for line in pool_lines(name, pool)), ""]
    for name, settings in blueprint.limits.items():
        lines += [f"CREATE LIMIT {name}", *(f"  {line}" for line in limit_lines(settings)), ""]
    for name, settings in blueprint.caches.items():
        lines += [f"CREATE CACHE {name}", *(f"  {line}" for line in cache_lines(settings)), ""]
    for name, service in blueprint.services.items():
        lines += [f"CREATE SERVICE {name}"]
        lines += [f"  {line}" for line in service_lines(name, service, defaults)]
        lines += [f"ENABLE {name}", ""] if service.enabled else [""]
    return lines


def _server_lines(server: Mapping[str, Value]) -> Iterator[str]:
    # The number of workers depends on the machine when nobody set it, so it is always said.
    for row in SERVER_SETTINGS:
        if row.name in server and (row.name == "workers" or server[row.name] != row.default):
            yield f"SERVER {row.name} = {row.kind.show(server[row.name])}"


def pool_lines(name: str, pool: PoolPlan) -> Iterator[str]:
    """Yield what follows CREATE POOL; SET means the pool by the context."""
    for row in POOL_SETTINGS:
        if row.available and pool.settings[row.name] != row.default:
            yield f"SET {row.name} = {row.kind.show(pool.settings[row.name])}"
    for entry in pool.entries:
        yield f"POOL ADD {name} {entry}"
    for address in sorted(pool.drained):
        yield f"POOL DRAIN {name} {address}"


def limit_lines(settings: Mapping[str, Value]) -> Iterator[str]:
    """Yield what follows CREATE LIMIT; SET means the limit by the context."""
    for row in LIMIT_SETTINGS:
        if settings[row.name] != row.default:
            yield f"SET {row.name} = {row.kind.show(settings[row.name])}"


def cache_lines(settings: Mapping[str, Value]) -> Iterator[str]:
    """Yield what follows CREATE CACHE; SET means the cache by the context."""
    for row in TEXTS:
        if settings[row.name] != row.default:
            yield f"SET {row.name} = {row.kind.show(settings[row.name])}"


def service_lines(name: str, service: ServicePlan, defaults: Mapping[str, Value]) -> Iterator[str]:
    """Yield what lies between CREATE SERVICE and ENABLE; SET means the service by the context."""
    if service.role is not None:
        yield f"SET role = {service.role}"
    if service.listen:
        yield f"SET listen = {', '.join(service.listen)}"
    if service.pool is not None:
        yield f"SET pool = {service.pool}"
    if service.split is not None:
        yield f"SET split = {service.split}"
    if service.limits:
        yield f"SET limit = {', '.join(service.limits)}"
    if service.cache is not None:
        yield f"SET cache = {service.cache}"
    given = given_with(defaults, service.role)
    for key, value in sorted(service.settings.items()):
        if value != given[key] or key in service.chosen:
            yield f"SET {key} = {SERVICE_SETTINGS.show(key, value)}"
    yield from field_lines(name, service)


def field_lines(name: str, service: ServicePlan) -> Iterator[str]:
    """Yield the HEADER lines of a service."""
    for field in service.remove:
        yield f"HEADER {name} REMOVE {field}"
    for field, value in service.insert:
        yield f"HEADER {name} INSERT {field}: {value}"
