"""The nodes and the ring that places keys on them, as one snapshot; and who stands in for a node that is away.

    on_down     a read                              a write
    miss        finds nothing                       is dropped, and noted as dirty
    gutter      asks the next node of the ring      goes there, for a short time at most
    rehash      asks the next node of the ring      goes there
    replicate   asks the second node of the key     goes to the other node of the two

What goes past a node is noted in its journal first, so that the node serves nothing of what it
missed; see prober.
"""

from __future__ import annotations

import threading
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wsgistack import forks
from wsgistack.errors import ConfigurationError
from wsgistack.registry import find_hint
from wsgistack.store.memcached.addresses import DEFAULT_PORT, Address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.lanes import Lanes
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.prober import Prober
from wsgistack.store.memcached.watch import Watch
from wsgistack.store.ring import LiveRing, Member, Ring, build

__all__ = ["NOBODY", "POLICIES", "Cluster", "Snapshot", "Target"]

POLICIES = ("gutter", "miss", "rehash", "replicate")
COPIES = 2
NOBODY = Address("nobody.invalid", DEFAULT_PORT)  # RFC 2606 §2; the only node while none is known
MOST_KNOWN = 20_000  # keys: about 3 MB


class Snapshot(NamedTuple):
    """A ring and its nodes, in the order of its members."""

    ring: Ring
    nodes: tuple[Node, ...]
    known: dict[bytes, Node]  # the owners of keys that were asked for, at most MOST_KNOWN

    def owner(self, key: bytes) -> Node:
        """Return the node of *key*."""
        node = self.known.get(key)
        if node is None:
            node = self.nodes[0] if len(self.nodes) == 1 else self.nodes[self.ring.place(key)]
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[key] = node
        return node


class Target(NamedTuple):
    """Where a write goes; *is_stand_in*: that node does not own the key."""

    node: Node
    is_stand_in: bool


class Cluster:
    """All nodes of one MemcacheRing.  `snapshot` is read once per operation and never changed."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        layout: str,
        on_down: str,
        timeout_s: float,
        least_timeout_s: float,
        connect_timeout_s: float,
        discover_s: float = 0.0,
    ) -> None:
        """*discover_s*: *addresses* are not nodes but tell them, and are asked that often."""
        if on_down not in POLICIES:
            hint = find_hint(str(on_down), POLICIES)
            raise ConfigurationError(f"on_down: {on_down!r} is not one of {', '.join(POLICIES)}{hint}")
        self.policy = on_down
        self.lanes = Lanes(connect_timeout_s=connect_timeout_s)
        self.prober = Prober(connect_timeout_s=connect_timeout_s, find_node=self.find)
        self.watch: Watch | None = None
        if discover_s:
            wait_s = timeout_s + connect_timeout_s
            self.watch = Watch(addresses, every_s=discover_s, timeout_s=wait_s, use=self.change)
            addresses = self.watch.look() or [NOBODY]
        self._limits = {"limit_s": timeout_s, "least_s": min(least_timeout_s, timeout_s)}
        self._change = threading.Lock()
        self._live = LiveRing(layout, [_member(address) for address in addresses])
        self._nodes = {address.name: self._make_node(address) for address in addresses}
        self.snapshot = Snapshot(self._live.ring, tuple(self._nodes.values()), {})
        forks.register(self)

    def find(self, name: str) -> Node | None:
        """Return the node of that name, or None."""
        return self._nodes.get(name)

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        """Make all calls, in one round trip over all nodes; each is over afterwards."""
        self.lanes.current().run(pairs)

    # -- where ----------------------------------------------------------------------

    def find_reader(self, key: bytes) -> Node | None:
        """Return the node to ask for *key*, or None while there is none that may be believed."""
        snapshot = self.snapshot
        if self.watch is not None:
            self.watch.start()
        owner = snapshot.owner(key)
        return owner if owner.may_read else self._find_stand_in(snapshot, key, owner)

    def find_writers(self, key: bytes, *, builds: bool = False) -> list[Target]:
        """Return the nodes that a write of *key* goes to, noting those that it goes past.

        *builds*: the write depends on what is there, so a node must be fit to be read.
        """
        snapshot = self.snapshot
        if self.watch is not None:
            self.watch.start()
        if self.policy == "replicate":
            places = snapshot.ring.places(key, COPIES)
            nodes = [snapshot.nodes[place] for place in places]
            return [Target(node, False) for node in nodes if self._takes(node, key, builds, None)]
        owner = snapshot.owner(key)
        if owner.may_read:
            return [Target(owner, False)]
        stand_in = self._find_stand_in(snapshot, key, owner)
        if self._takes(owner, key, builds, stand_in):
            return [Target(owner, False)]
        return [] if stand_in is None else [Target(stand_in, True)]

    def _takes(self, node: Node, key: bytes, builds: bool, stand_in: Node | None) -> bool:
        """Return whether *node* takes the write; else it is noted there."""
        if node.may_read:
            return True
        if node.may_write and not builds:
            return True
        if node.may_write:  # returning: the key is made dirty by what is not written here
            with node.lock:
                node.journal.add([key])
            return False
        self._revive(node)
        return not node.divert([key], None if stand_in is None else stand_in.name)

    def _find_stand_in(self, snapshot: Snapshot, key: bytes, owner: Node) -> Node | None:
        owner.counters.refused += 1
        if not owner.may_write:
            self._revive(owner)  # the one at work may have died with its thread, or with a fork
        if self.policy == "miss" or owner.may_write:  # returning: a stand-in is behind the node already
            return None
        most = COPIES if self.policy == "replicate" else len(snapshot.nodes)
        for place in snapshot.ring.places(key, most):
            node = snapshot.nodes[place]
            if node is not owner and node.may_read:
                return node
        return None

    def _revive(self, node: Node) -> None:
        if node.address is not NOBODY:
            self.prober.start(node)

    def _away(self, node: Node) -> None:
        self.prober.start(node)
        if self.watch is not None:
            self.watch.hurry()

    # -- change ---------------------------------------------------------------------

    def nodes(self) -> list[Node]:
        """Return the nodes of the ring, in its order."""
        return list(self.snapshot.nodes)

    def change(self, addresses: Iterable[Address]) -> None:
        """Make a ring of *addresses* off the loop and use it once it is made."""
        wanted = list(addresses)
        members = [_member(address) for address in wanted]
        self._live.change(members, done=lambda ring: self._use(ring, wanted))

    def plan(self, address: Address, pause: Callable[[], None]) -> tuple[Ring, Ring]:
        """Return the ring of now and the one with *address* in it; *pause* lets others run meanwhile."""
        ring = self.snapshot.ring
        return ring, build(ring.layout, [*ring.members, _member(address)], pause=pause)

    def close(self) -> None:
        """Close all connections; a later call opens them again."""
        self.prober.stop()
        if self.watch is not None:
            self.watch.stop()
        for lane in self.lanes.all():
            lane.close()

    def _use(self, ring: Ring, addresses: Sequence[Address]) -> None:
        """Use *ring*, whose members *addresses* are, unless a newer one is made already.

        Only here nodes are made and forgotten, so that no change loses what another one asked for.
        """
        with self._change:
            if ring is not self._live.ring:
                return
            nodes = {address.name: self._find_or_make(address) for address in addresses}
            gone = [node for name, node in self._nodes.items() if name not in nodes]
            self._nodes = nodes
            self.snapshot = Snapshot(ring, tuple(nodes.values()), {})
        for node in gone:
            for lane in self.lanes.all():
                lane.forget(node)

    def _find_or_make(self, address: Address) -> Node:
        node = self._nodes.get(address.name)
        if node is None:
            return self._make_node(address)
        node.weight = address.weight
        return node

    def _make_node(self, address: Address) -> Node:
        node = Node(address, on_away=self._away, **self._limits)
        if address is NOBODY:
            node.may_read = node.may_write = False
            node.reason = "unknown"
        return node

    def forked(self) -> None:
        """Begin anew what threads of the parent were at: watching, probing, making a ring."""
        self._change = threading.Lock()
        for node in list(self._nodes.values()):
            node.lock = allocate_lock()
        self.prober.forked()
        if self.watch is not None:
            self.watch.stop()
            self.snapshot = self.snapshot._replace(known={})  # so that the next request starts it
        self._live.forked()


def _member(address: Address) -> Member:
    if address.path:
        return Member(address.path, 0, address.weight)
    return Member(address.host, address.port, address.weight)
