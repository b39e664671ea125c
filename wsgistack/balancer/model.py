"""What the control plane knows, as values: nodes, pools, services, and the snapshot of them all.

A snapshot is immutable and versioned; `as_wire` is what the plane applies and the channel
carries.  Facts are what the control plane is told; Fact is their union.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wsgistack.balancer.address_list import AddressList
from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.cache import Cache
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.ring import Ring, make_ring
from wsgistack.balancer.split import Rule
from wsgistack.balancer.throttle import throttle_as_wire
from wsgistack.settings import Value

__all__ = [
    "Fact",
    "HealthCheck",
    "News",
    "Node",
    "NodefileRead",
    "Pool",
    "ProbeResult",
    "Resolved",
    "Service",
    "Snapshot",
]

Wire = dict[str, Any]  # JSON


def _as_json(settings: Mapping[str, Value]) -> Wire:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}


@dataclass(frozen=True, slots=True)
class Node:
    """One member of a pool.

    *slot* is its row of the scoreboard, one per address, whatever pools it is in.  *connect*
    is a numeric address or unix:/path, None for a node that cannot be picked: its address is not known.
    *backup*: used only when no other node can be.  *max_connections*: requests in flight over
    all workers, 0 for any number.  *draining*: takes only requests that stick to it.
    *warm_from*: when it came back (epoch seconds) and its slow start began, None when there is none.
    """

    address: str
    slot: int
    weight: int
    up: bool
    connect: str | None
    backup: bool = False
    max_connections: int = 0
    draining: bool = False
    warm_from: float | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes in the order in which they were added, and all settings of pool_settings.

    *admits*: per cent of the requests that are let through, less than 100 while its breaker is open.
    """

    name: str
    slot: int
    settings: Mapping[str, Value]
    nodes: tuple[Node, ...]
    admits: int = 100

    def as_wire(self) -> Wire:
        """Return it as the plane wants it."""
        wire = {
            "slot": self.slot,
            "algorithm": self.settings["balance_method"],
            "settings": _as_json(self.settings),
            "admits": self.admits,
            "nodes": [asdict(node) for node in self.nodes],
        }
        if ALGORITHMS.get(str(self.settings["balance_method"])).keyed:
            wire["ring"] = self.ring().as_wire()
        return wire

    def ring(self) -> Ring:
        """Return the ring of all members: who is down keeps its points, so that its keys come back to it."""
        return make_ring(tuple((node.address, node.weight) for node in self.nodes))


@dataclass(frozen=True, slots=True)
class Service:
    """A service; *role* is None until it is set, *settings* holds every service setting.

    *insert* and *remove* change a request's fields on the way to a node: removals first.
    *tokens* are what a sticky cookie says for each node of the pool, empty without such cookies.
    *limits* name those that its requests must have room under, *cache* the one that answers them.
    *split* sends a share of the visitors to other pools: *split_key* draws and signs, *split_tokens* are
    the sticky ones by pool, *cells* the counters of its buckets, also of those that are gone.
    """

    name: str
    slot: int
    role: str | None
    enabled: bool
    pool: str | None
    listen: tuple[str, ...]
    settings: Mapping[str, Value]
    insert: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]
    tokens: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    cache: str | None = None
    split: Rule | None = None
    split_key: bytes = b""
    split_tokens: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cells: Mapping[str, int] = field(default_factory=dict)

    @property
    def pools(self) -> list[str]:
        """All pools that its requests may go to."""
        return [*filter(None, [self.pool]), *(self.split.pools if self.split else ())]

    def as_wire(self) -> Wire:
        """Return it as the plane wants it."""
        split = self.split
        return {
            "slot": self.slot,
            "role": self.role,
            "enabled": self.enabled,
            "pool": self.pool,
            "listen": list(self.listen),
            "settings": _as_json(self.settings),
            "insert": [list(pair) for pair in self.insert],
            "remove": list(self.remove),
            "tokens": dict(self.tokens),
            "limits": list(self.limits),
            "throttle": throttle_as_wire(self.name, self.settings),
            "cache": self.cache,
            "split": split and split.as_wire(self.split_key, self.settings, self.split_tokens, self.cells),
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment; *version* grows by one with each change, from 0 (nothing).

    *folder*: where this balancer's processes have sockets between each other, "" for nowhere.
    *lists*: the networks of each file that a service names.
    """

    version: int = 0
    server: Mapping[str, Value] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    caches: Mapping[str, Cache] = field(default_factory=dict)
    folder: str = ""
    lists: Mapping[str, AddressList] = field(default_factory=dict)

    def inner(self) -> set[tuple[str, str]]:
        """Return (service, address) of each place where the keeper asks for what its cache does not have."""
        cached = {name: service for name, service in self.services.items() if service.cache and self.folder}
        return {(name, f"unix:{self.folder}/i{service.slot}") for name, service in cached.items()}

    def as_wire(self) -> Wire:
        """Return the JSON object that is sent to the workers."""
        return {
            "version": self.version,
            "server": _as_json(self.server),
            "pools": {name: pool.as_wire() for name, pool in self.pools.items()},
            "services": {name: service.as_wire() for name, service in self.services.items()},
            "limits": {name: limit.as_wire() for name, limit in self.limits.items()},
            "caches": {name: cache.as_wire() for name, cache in self.caches.items()},
            "folder": self.folder,
            "lists": {path: found.wire for path, found in self.lists.items()},
        }


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How the node *node* of the pool *pool* is asked whether it works.

    *kind* is one of the family in checks/, *settings* are the pool's; *node* is a numeric address or
    unix:/path.
    """

    kind: str
    pool: str
    node: str
    settings: Mapping[str, Value]

    def text(self, name: str) -> str:
        """Return a setting as text."""
        return str(self.settings[name])

    def number(self, name: str) -> float:
        """Return a setting that is a number or a time in seconds."""
        value = self.settings[name]
        assert isinstance(value, int | float)
        return value


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A check of *address* for *pool* ended; *detail* says why it failed.

    *refused*: it failed because nobody is there, and the system said so at once.
    """

    pool: str
    address: str
    ok: bool
    detail: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """What *name* leads to now: a host name, or srv: and the name of SRV records.

    No *records*: the look-up failed, and *detail* says why.  *dropped* records of the answer were not
    followed to their addresses: it had too many.
    """

    name: str
    records: tuple[Record, ...]
    detail: str = ""
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class NodefileRead:
    """The nodefile at *path* holds *text* now."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ListRead:
    """A file of networks that services name holds these now."""

    found: AddressList


Fact = ProbeResult | Resolved | NodefileRead | ListRead


@dataclass(frozen=True, slots=True)
class News:
    """What the log should tell: an event and its fields; *level* is "info" or "warn"."""

    level: str
    event: str
    fields: Mapping[str, object]
