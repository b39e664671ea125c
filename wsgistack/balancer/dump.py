"""The configuration as the commands that bring it back, in Perlbal's layout.

What is dumped can be replayed: SERVER and DEFAULT come first, a service's settings are those
that differ from what its role will have given it, and fields are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wsgistack.balancer.model import Service
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.services import Services
from wsgistack.settings import Value

__all__ = ["dump"]


def dump(server: Mapping[str, Value], pools: Pools, services: Services) -> list[str]:
    """Return the lines; an empty one closes each block."""
    lines = list(_server_lines(server))
    defaults = services.defaults()
    lines += [f"DEFAULT {key} = {SERVICE_SETTINGS.show(key, defaults[key])}" for key in sorted(defaults)]
    if lines:
        lines.append("")
    for name in pools.names():
        lines += [f"CREATE POOL {name}", *(f"  {line}" for line in _pool_lines(pools, name)), ""]
    for name, service in services.publish().items():
        lines += [f"CREATE SERVICE {name}", *(f"  {line}" for line in _service_lines(service, services))]
        lines += [f"ENABLE {name}", ""] if service.enabled else [""]
    return lines


def _server_lines(server: Mapping[str, Value]) -> Iterator[str]:
    # The number of workers depends on the machine when nobody set it, so it is always said.
    for row in SERVER_SETTINGS:
        if row.name in server and (row.name == "workers" or server[row.name] != row.default):
            yield f"SERVER {row.name} = {row.kind.show(server[row.name])}"


def _pool_lines(pools: Pools, name: str) -> Iterator[str]:
    settings = pools.settings(name)
    for row in POOL_SETTINGS:
        if row.available and settings[row.name] != row.default:
            yield f"SET {row.name} = {row.kind.show(settings[row.name])}"
    for entry in pools.entries(name):
        yield f"POOL ADD {name} {entry}"
    for address in pools.drained(name):
        yield f"POOL DRAIN {name} {address}"


def _service_lines(service: Service, services: Services) -> Iterator[str]:
    if service.role is not None:
        yield f"SET role = {service.role}"
    if service.listen:
        yield f"SET listen = {', '.join(service.listen)}"
    if service.pool is not None:
        yield f"SET pool = {service.pool}"
    given, chosen = services.given(service.role), services.chosen(service.name)
    for name, value in sorted(service.settings.items()):
        if value != given[name] or name in chosen:
            yield f"SET {name} = {SERVICE_SETTINGS.show(name, value)}"
    for name in service.remove:
        yield f"HEADER {service.name} REMOVE {name}"
    for name, value in service.insert:
        yield f"HEADER {service.name} INSERT {name}: {value}"
