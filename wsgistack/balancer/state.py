"""The state page: a picture as JSON, for `GET /admin/state`; pure.

Its keys are a promise: scripts and dashboards read them.  docs/monitoring.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.language.replies import Row
from wsgistack.balancer.model import Node, Pool, Service
from wsgistack.balancer.picture import Picture, ServiceCounts
from wsgistack.balancer.secrets import HIDDEN, SECRETS, is_secret_field
from wsgistack.settings import Value

__all__ = ["describe"]

Json = dict[str, Any]


def describe(picture: Picture, *, states: list[Row], silent: Iterable[int]) -> Json:
    """Return the page.  *states* is what the workers answered, *silent* names who did not."""
    snapshot = picture.snapshot
    return {
        "version": picture.version,
        "started_at": picture.started_at,
        "unready": picture.unready,
        "uptime_s": max(0.0, picture.now - picture.started_at),
        "snapshot": snapshot.version,
        "server": _settings(snapshot.server),
        "processes": [asdict(process) for process in picture.processes],
        "services": {
            name: _service(picture, service, states) for name, service in sorted(snapshot.services.items())
        },
        "limits": {
            name: {"settings": _settings(limit.settings), "counts": dict(picture.limits[name])}
            for name, limit in sorted(snapshot.limits.items())
        },
        "limit_table": picture.limit_table._asdict(),
        "caches": {
            name: {"settings": _settings(cache.settings)} for name, cache in sorted(snapshot.caches.items())
        },
        "pools": {name: _pool(picture, pool) for name, pool in sorted(snapshot.pools.items())},
        "nodes": {address: _counts(counts) for address, counts in sorted(picture.nodes.items())},
        "silent_workers": sorted(silent),
    }


def _settings(settings: Mapping[str, Value]) -> Json:
    """Return them as JSON; of a token only whether there is one."""
    return {
        key: bool(value) if key in SECRETS else list(value) if isinstance(value, tuple) else value
        for key, value in sorted(settings.items())
    }


def _service(picture: Picture, service: Service, states: list[Row]) -> Json:
    connections: dict[str, dict[str, int]] = {}
    for row in sorted(states, key=lambda row: (str(row["kind"]), str(row["state"]))):
        if row.get("service") == service.name:
            of_kind = connections.setdefault(str(row["kind"]), {})
            of_kind[str(row["state"])] = of_kind.get(str(row["state"]), 0) + int(row["count"])
    counts = picture.services[service.name]
    return {
        "role": service.role,
        "enabled": service.enabled,
        "listen": list(service.listen),
        "pool": service.pool,
        "split": str(service.split) if service.split else None,
        "limits": list(service.limits),
        "cache": service.cache,
        "settings": _settings(service.settings),
        "insert": [[name, HIDDEN if is_secret_field(name) else text] for name, text in service.insert],
        "remove": list(service.remove),
        "counts": _service_counts(counts)
        | {"buckets": {name: counts["buckets"][cell] for name, cell in service.cells.items()}},
        "queue": {name: {"count": n, "oldest_s": age} for name, (n, age) in counts["queue"].items()},
        "connections": connections,
    }


def _service_counts(counts: ServiceCounts) -> Json:
    shown = {key: value for key, value in counts.items() if key != "queue"}
    return shown | {"responses": {f"{kind}xx": n for kind, n in counts["responses"].items()}}


def _pool(picture: Picture, pool: Pool) -> Json:
    users = [s.name for s in picture.snapshot.services.values() if pool.name in s.pools]
    return {
        "settings": _settings(pool.settings),
        "services": sorted(users),
        "admits_percent": pool.admits,
        "nodes": [_node(node, picture.health[pool.name, node.address]) for node in pool.nodes],
    }


def _node(node: Node, health: NodeHealth) -> Json:
    found = asdict(node)
    del found["slot"]
    return found | {"health": health.state, "why": health.why, "ejections": health.ejected_times}


def _counts(counts: Mapping[str, Any]) -> Json:
    outcomes = counts["outcomes"]._asdict()
    codes = {str(code): n for code, n in sorted(counts["responsecodes"].items())}
    return dict(counts) | {"responsecodes": codes, "outcomes": outcomes}
