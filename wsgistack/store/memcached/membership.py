"""Which nodes a ring has: told, planned and changed while it works."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from wsgistack.errors import ConfigurationError, UnknownName
from wsgistack.registry import find_nearest
from wsgistack.store.memcached.addresses import LARGEST_WEIGHT, Address, parse_address
from wsgistack.store.memcached.cluster import NOBODY, Cluster
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.pauses import pause

__all__ = ["Membership", "MovePlan"]

SAMPLE = 20_000
PORTION = 500  # keys placed between two turns of the loop: about half a millisecond


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What would move: *share* of all keys, and of it what each node gives, by its name."""

    share: float
    per_node: dict[str, float]


class Membership:
    """The nodes of one cluster.  Changes are made off the loop and take effect when they are done."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._wanted = {node.name: node.address for node in cluster.nodes()}

    def report(self) -> list[dict[str, Any]]:
        """Return one dict per node, in the order of the ring."""
        return [_report(node) for node in self._cluster.nodes() if node.address is not NOBODY]

    def add(self, server: Any) -> None:
        """Add one node; its share of the keys moves to it, nothing else moves."""
        self._check_told()
        address = parse_address(server)
        if address.name in self._wanted:
            raise ConfigurationError(f"{address.name} is in the ring already; set_weight changes its share")
        self._change({**self._wanted, address.name: address})

    def remove(self, server: Any) -> None:
        """Remove one node; its keys move to the others, nothing else moves."""
        name = self._find(server)
        if len(self._wanted) == 1:
            raise ConfigurationError(f"{name} is the only node of the ring")
        self._change({other: address for other, address in self._wanted.items() if other != name})

    def set_weight(self, server: Any, weight: int) -> None:
        """Change the share of one node."""
        name = self._find(server)
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 < weight <= LARGEST_WEIGHT:
            raise ConfigurationError(f"{name}: {weight!r} is not a weight from 1 to {LARGEST_WEIGHT}")
        self._change({**self._wanted, name: replace(self._wanted[name], weight=weight)})

    def plan_add(self, server: Any) -> MovePlan:
        """Return what would move if *server* joined, from a sample of 20,000 keys (to about 1 %)."""
        before, after = self._cluster.plan(parse_address(server), lambda: pause(0))
        moved: Counter[str] = Counter()
        for start in range(0, SAMPLE, PORTION):
            keys = [b"sample:%d" % number for number in range(start, start + PORTION)]
            pairs = zip(before.placing.place_many(keys), after.placing.place_many(keys), strict=True)
            moved.update(
                before.members[old].address for old, new in pairs if before.members[old] != after.members[new]
            )
            pause(0)
        per_node = {name: count / SAMPLE for name, count in sorted(moved.items())}
        return MovePlan(sum(moved.values()) / SAMPLE, per_node)

    def _check_told(self) -> None:
        if self._cluster.watch is not None:
            raise ConfigurationError(
                f"the nodes of this ring are those that {self._cluster.watch.names} tells"
            )

    def _find(self, server: Any) -> str:
        self._check_told()
        name = parse_address(server).name
        if name not in self._wanted:
            names = ", ".join(self._wanted)
            text = f"{name} is not in the ring; it has {names}"
            raise UnknownName(text, met=name, nearest=find_nearest(name, self._wanted))
        return name

    def _change(self, wanted: dict[str, Address]) -> None:
        self._cluster.change(wanted.values())
        self._wanted = wanted


def _report(node: Node) -> dict[str, Any]:
    counters = node.counters
    return {
        "node": node.name,
        "weight": node.weight,
        "state": node.state,
        "reason": node.reason if node.state != "up" else "",
        "calls": counters.calls,
        "hits": counters.hits,
        "misses": counters.misses,
        "writes": counters.writes,
        "p50_us": round(counters.latency.percentile(0.5) * 1_000_000, 1),
        "p99_us": round(counters.latency.percentile(0.99) * 1_000_000, 1),
        "patience_us": round(node.patience.seconds * 1_000_000),
        "timeouts": counters.timeouts,
        "failures": counters.failures,
        "refused": counters.refused,
        "outages": counters.outages,
        "restarts": counters.restarts,
        "connects": counters.connects,
        "dirty": len(node.journal),
    }
