"""The nodes and the ring that places keys on them, as one snapshot; and who stands in for a node that is away.

    on_down     a read                              a write
    miss        finds nothing                       is dropped, and noted as dirty
    gutter      asks the next node of the ring      goes there, for a short time at most
    rehash      asks the next node of the ring      goes there
    replicate   asks the second node of the key     goes to the other node of the two

What goes past a node is noted in its journal first, so that the node serves nothing of what it
missed; see prober.  A node in use may have to lose something, too: what it took in the stead of
another one, or kept before the ring changed.  It is not asked for such a key until that is removed.
"""

from __future__ import annotations

import threading
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from wsgistack import forks
from wsgistack.errors import ConfigurationError
from wsgistack.registry import find_hint
from wsgistack.store.memcached.addresses import DEFAULT_PORT, Address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.lanes import Lanes
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.past import Past
from wsgistack.store.memcached.prober import Prober
from wsgistack.store.memcached.watch import Watch
from wsgistack.store.ring import LiveRing, Member, Ring, build

__all__ = ["NOBODY", "POLICIES", "Cluster", "Snapshot", "Target"]

POLICIES = ("gutter", "miss", "rehash", "replicate")
COPIES = 2
MOST_GONE = 16  # nodes that left and may join again
NOBODY = Address("nobody.invalid", DEFAULT_PORT)  # RFC 2606 §2; the only node while none is known
MOST_KNOWN = 20_000  # keys: about 3 MB


class Snapshot(NamedTuple):
    """A ring and its nodes, in the order of its members."""

    ring: Ring
    nodes: tuple[Node, ...]
    known: dict[bytes, Node]  # the owners of keys that were asked for, at most MOST_KNOWN
    past: Past = Past()

    def owner(self, key: bytes) -> Node:
        """Return the node of *key*."""
        node = self.known.get(key)
        if node is None:
            node = self.nodes[0] if len(self.nodes) == 1 else self.nodes[self.ring.place(key)]
            if not self.past.rings:
                self.know(key, node)
        return node

    def keepers(self, key: bytes) -> list[Node]:
        """Return the nodes that keep *key* when all are well."""
        return [self.nodes[place] for place in self.ring.places(key, self.past.copies)]

    def know(self, key: bytes, node: Node) -> None:
        """Remember the owner of *key*, which holds nothing of it from before; it is asked at once from now on."""
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        self.known[key] = node


class Target(NamedTuple):
    """Where a write goes; *is_stand_in*: that node does not own the key, but for *owner*, which has returned so often."""

    node: Node
    is_stand_in: bool
    owner: Node | None = None
    returns: int = 0


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
        self.prober = Prober(connect_timeout_s=connect_timeout_s, find_node=self.find, owe=self.owe)
        self.watch: Watch | None = None
        if discover_s:
            wait_s = timeout_s + connect_timeout_s
            self.watch = Watch(addresses, every_s=discover_s, timeout_s=wait_s, use=self.change)
            addresses = self.watch.look() or [NOBODY]
        self._limits = {"limit_s": timeout_s, "least_s": min(least_timeout_s, timeout_s)}
        self._change = threading.Lock()
        self._changed_at = 0.0
        self._live = LiveRing(layout, [_member(address) for address in addresses])
        self._nodes = {address.name: self._make_node(address) for address in addresses}
        self._gone: dict[str, Node] = {}
        past = Past(COPIES if on_down == "replicate" else 1)
        self.snapshot = Snapshot(self._live.ring, tuple(self._nodes.values()), {}, past)
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
        if not owner.may_read:
            return self._find_stand_in(snapshot, key, owner)
        return owner if self._is_rid(snapshot, key, owner, keeps=True) else None

    def find_writers(self, key: bytes, *, builds: bool = False) -> list[Target]:
        """Return the nodes that a write of *key* goes to, noting those that it goes past.

        *builds*: the write depends on what is there, so a node must be fit to be read.
        """
        snapshot = self.snapshot
        if self.watch is not None:
            self.watch.start()
        if self.policy == "replicate":
            nodes = snapshot.keepers(key)
            return [Target(node, False) for node in nodes if self._takes(snapshot, node, key, builds, None)]
        owner = snapshot.owner(key)
        returns = owner.returns  # before anybody is chosen in its stead
        stand_in = None if owner.may_read else self._find_stand_in(snapshot, key, owner)
        if self._takes(snapshot, owner, key, builds, stand_in):
            return [Target(owner, False)]
        return [] if stand_in is None else [Target(stand_in, True, owner, returns)]

    def check_late(self, snapshot: Snapshot, key: bytes, target: Target) -> None:
        """Have what *target* was written removed again, if it is not the one to ask for *key* any more.

        *snapshot*: that by which it was chosen.  What was removed from it since may have been there
        before the write was.
        """
        owner, now = target.owner, self.snapshot
        if (owner is not None and owner.returns != target.returns) or (
            now is not snapshot and target.node not in now.keepers(key)
        ):
            self.owe(target.node.name, [key])

    def owe(self, name: str, keys: list[bytes], everything: bool = False) -> None:
        """Have *keys* removed from the node of that name, which may have left, before it is asked for them."""
        node = self._nodes.get(name) or self._gone.get(name)
        if node is not None:
            node.owe(keys, everything=everything)
            if self._nodes.get(name) is node:
                self.prober.tidy(node)

    def _takes(self, snapshot: Snapshot, node: Node, key: bytes, builds: bool, stand_in: Node | None) -> bool:
        """Return whether *node* takes the write; else it is noted there, and where a copy is that gets older."""
        if node.may_read:
            return not builds or self._is_rid(snapshot, key, node, keeps=True)
        if node.may_write and not builds:
            return True
        if node.may_write:  # returning: the key is made dirty by what is not written here
            with node.lock:
                node.journal.add([key])
            return False
        self._revive(node)
        name = None if stand_in is None else stand_in.name
        if not node.divert([key], name):
            return True
        for other in node.journal.copies_of(key):
            if other != name:
                self.owe(other, [key])
        if self.policy in ("gutter", "rehash"):
            self._pass(snapshot, key, node, stand_in)
        return False

    def _pass(self, snapshot: Snapshot, key: bytes, owner: Node, stand_in: Node | None) -> None:
        """Note a write on the nodes before *stand_in*, which would be asked if they came back sooner than *owner*."""
        for place in snapshot.ring.places(key):
            node = snapshot.nodes[place]
            if node is stand_in:
                return
            if node is not owner and not node.may_read:
                node.owe([key])

    def _is_rid(self, snapshot: Snapshot, key: bytes, node: Node, *, keeps: bool, since: float = 0.0) -> bool:
        """Return whether *node* is rid of what *key* was; if not, it will be.

        *keeps*: its place is there.  *since*: what it took before that time is not to be believed.
        """
        if snapshot.known.get(key) is node:
            return True
        if not node.journal.holds(key):
            removed_at = node.settled.get(key)
            if removed_at is None:
                is_rid = not since and not snapshot.past.may_hold(key, node.name, keeps=keeps)
            else:
                is_rid = removed_at >= since
            if is_rid:
                if keeps and node is snapshot.owner(key):
                    snapshot.know(key, node)
                return True
            node.owe([key])
        self.prober.tidy(node)
        return False

    def _find_stand_in(self, snapshot: Snapshot, key: bytes, owner: Node) -> Node | None:
        owner.counters.refused += 1
        if not owner.may_write:
            self._revive(owner)  # the one at work may have died with its thread, or with a fork
        if self.policy == "miss" or owner.may_write:  # returning: a stand-in is behind the node already
            return None
        keeps = self.policy == "replicate"
        shifted_at = self._changed_at
        for place in snapshot.ring.places(key, COPIES if keeps else len(snapshot.nodes)):
            node = snapshot.nodes[place]
            if node is owner:
                continue
            if node.may_read:
                # Others may have stood in, in this outage: what another process wrote here before is noted there alone.
                is_other = shifted_at > owner.breaker.opened_at and not keeps
                since = shifted_at if is_other else 0.0
                return node if self._is_rid(snapshot, key, node, keeps=keeps, since=since) else None
            shifted_at = max(shifted_at, node.breaker.up_since)
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
            old = self.snapshot
            nodes = {address.name: self._find_or_make(address) for address in addresses}
            gone = [node for name, node in self._nodes.items() if name not in nodes]
            self._remember(nodes, gone)
            self._nodes = nodes
            past = old.past.then(old.ring, tuple(node.name for node in old.nodes))
            new = Snapshot(ring, tuple(nodes.values()), {}, past)
            self._disown_copies(old, new)
            for node in nodes.values():
                node.settled = {}
            self._changed_at = time.monotonic()
            self.snapshot = new
        for node in gone:
            for lane in self.lanes.all():
                lane.forget(node)

    def _remember(self, nodes: Mapping[str, Node], gone: Iterable[Node]) -> None:
        """Keep what is owed to nodes that left: they may join again, with what they hold."""
        kept = [*(node for node in self._gone.values() if node.name not in nodes), *gone]
        self._gone = {node.name: node for node in kept[-MOST_GONE:] if node.address is not NOBODY}

    def _disown_copies(self, old: Snapshot, new: Snapshot) -> None:
        """Have those copies removed in time of which nobody will think when their node returns.

        A copy that is the latest, on the node that keeps the key from now on, stays.
        """
        for node in old.nodes:
            if node.journal.has_copies:
                with node.lock:
                    copies, is_away = node.journal.list_copies(), not node.may_write
                for key, name in copies:
                    keepers = new.keepers(key)
                    if node not in keepers and not (is_away and keepers[0].name == name):
                        self.owe(name, [key])

    def _find_or_make(self, address: Address) -> Node:
        node = self._nodes.get(address.name) or self._gone.get(address.name)
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
        for node in [*self._nodes.values(), *self._gone.values()]:
            node.lock = allocate_lock()
            node.journal.forked()
        self.prober.stop()
        if self.watch is not None:
            self.watch.stop()
            self.snapshot = self.snapshot._replace(known={})  # so that the next request starts it
        self._live.forked()


def _member(address: Address) -> Member:
    if address.path:
        return Member(address.path, 0, address.weight)
    return Member(address.host, address.port, address.weight)
