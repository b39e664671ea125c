"""The pools: which nodes they have, how these are, and where their names lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from wsgistack.balancer.address import parse_member
from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.health_book import HealthBook, Members
from wsgistack.balancer.health_settings import refuse_contradictions
from wsgistack.balancer.lookups import Lookup, Lookups
from wsgistack.balancer.model import Node, NodefileRead, Pool, Resolved
from wsgistack.balancer.nodefile import parse_nodefile
from wsgistack.balancer.outside import Files, Stats
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.roster import Entry, Member, Roster
from wsgistack.balancer.slots import Slots
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest
from wsgistack.settings import Value

__all__ = ["Pools", "Standing"]


class Standing(NamedTuple):
    """A node within a pool: *origin* is the entry that it comes from, its own address for itself."""

    address: str
    pool: str
    health: str
    weight: int
    most: int
    backup: bool
    draining: bool
    origin: str


@dataclass(slots=True)
class _Pool:
    name: str
    slot: int
    settings: dict[str, Value]
    roster: Roster = field(default_factory=Roster)
    left_out: int = 0  # nodes for which the scoreboard has no row
    is_stale: bool = False  # the entries changed: members follow when somebody looks

    def weight(self, member: Member) -> int:
        return self._number("node_weight") if member.weight is None else member.weight

    def most(self, member: Member) -> int:
        return self._number("node_max_connections") if member.most is None else member.most

    def view(self) -> Members:
        members = self.roster.members
        draining = frozenset(address for address, member in members.items() if member.draining)
        return Members(self.name, self.settings, members, draining)

    def _number(self, key: str) -> int:
        value = self.settings[key]
        assert isinstance(value, int)
        return value


class Pools:
    """All pools by name, in the order of their creation."""

    def __init__(self, stats: Stats, files: Files) -> None:
        self._stats = stats
        self._files = files
        self._slots = Slots(stats)
        self._pools: dict[str, _Pool] = {}
        self.health = HealthBook()
        self._lookups = Lookups()

    def __contains__(self, name: object) -> bool:
        return name in self._pools

    def names(self) -> list[str]:
        """Return all names in the order of creation."""
        return list(self._pools)

    def create(self, name: str) -> None:
        """Make an empty pool; the name is free, the caller has seen to it."""
        slots = {pool.slot for pool in self._pools.values()}
        free = next(n for n in range(len(slots) + 1) if n not in slots)
        self._pools[name] = _Pool(name, free, POOL_SETTINGS.defaults())

    def delete(self, name: str) -> None:
        """Take a pool away with its nodes; nobody uses it, the caller has seen to it."""
        self._get(name)
        del self._pools[name]
        self.health.forget_pool(name)
        self._lookups.retain(self.hosts())

    def set(self, name: str, key: str, text: str) -> None:
        """Set one of the pool's settings from text."""
        value = POOL_SETTINGS.parse(key, text)
        if not POOL_SETTINGS.get(key).available:
            return
        pool = self._pools[name]
        refuse_contradictions(pool.settings | {key: value})
        if key == "nodefile":
            self._set_nodefile(pool, str(value))
        if key == "health_check" and value != pool.settings[key]:
            self.health.forget_checks(name)
        pool.settings[key] = value

    def check(self, name: str) -> None:
        """Raise CommandError if there is no pool of that name."""
        self._get(name)

    def settings(self, name: str) -> dict[str, Value]:
        """Return a copy of the pool's settings."""
        return dict(self._pools[name].settings)

    # Members.

    def add(self, name: str, entry: Entry) -> None:
        """Put a node into a pool; one that is there moves to the end and counts from 0 again."""
        pool = self._get(name)
        handed = 0
        if entry.name is None:
            self._take_row(str(entry.address))
            handed = self._handed(str(entry.address))
        pool.roster.put(entry, handed)
        pool.is_stale = True

    def remove(self, name: str, address_text: str) -> None:
        """Take a node out of a pool; an absent one is no error.

        One that a name or the nodefile brings is refused: it would come back.
        """
        pool = self._get(name)
        address = str(parse_member(address_text))
        roster = self._refresh(pool)
        if address not in roster.own:
            if address in roster.filed:
                where = f"stands in the nodefile {pool.settings['nodefile']}"
                raise CommandError(f"{address} {where}: take it out there, or drain it here")
            if address in roster.members:
                origin = roster.members[address].origin
                raise CommandError(f"{address} comes from {origin}: remove that, or drain the node")
        roster.drop(address)
        pool.is_stale = True

    def arrange(self, name: str, addresses: Sequence[str]) -> None:
        """Put those entries first, in that order."""
        pool = self._get(name)
        pool.roster.arrange(addresses)
        pool.is_stale = True

    def drain(self, name: str, address_text: str, *, may_come: bool) -> None:
        """Give a node, or all nodes of a name, no new requests; *may_come*: also one that is not there."""
        pool = self._get(name)
        address = str(parse_member(address_text))
        if not may_come:
            self._must_have(pool, address)
        pool.roster.drained.add(address)
        pool.is_stale = True

    def undrain(self, name: str, address_text: str) -> None:
        """Give it requests again."""
        pool = self._get(name)
        address = str(parse_member(address_text))
        self._must_have(pool, address)
        member = self._refresh(pool).members.get(address)
        if member and member.origin != address and member.origin in pool.roster.drained:
            raise CommandError(f"{address} drains because {member.origin} does: undrain that")
        pool.roster.drained.discard(address)
        pool.is_stale = True

    def members(self, name: str) -> list[tuple[str, int, int]]:
        """Return (address, weight, requests handed to it since it was added) in order."""
        pool = self._get(name, "pool '{}' does not exist")
        return [
            (m.address, pool.weight(m), self._handed(m.address) - m.handed_before)
            for m in self._refresh(pool).members.values()
        ]

    def is_empty(self, name: str) -> bool:
        """Tell whether a pool has no member, nor a name that may lead to some."""
        return not any(self._pools[name].roster.entries())

    def entries(self, name: str) -> list[Entry]:
        """Return what commands put into a pool, in order; what a nodefile holds is not among it."""
        return list(self._pools[name].roster.own.values())

    def drained(self, name: str) -> list[str]:
        """Return the addresses that drain, sorted."""
        return sorted(self._pools[name].roster.drained)

    def rows(self) -> dict[str, int]:
        """Return {address: row of the scoreboard} of all that have one, removed nodes too."""
        return dict(self._slots.rows())

    def states(self, address: str) -> list[tuple[str, str]]:
        """Return (pool, health) for each pool that has the node; "unchecked" without checks."""
        return [(one.pool, one.health) for one in self.standings(address)]

    def standings(self, address: str) -> list[Standing]:
        """Return what the node is in each pool that has it."""
        found = []
        for pool in self._current():
            member = pool.roster.members.get(address)
            if member is not None:
                found.append(
                    Standing(
                        address=address,
                        pool=pool.name,
                        health=self.health.get(pool.name, address).state,
                        weight=pool.weight(member),
                        most=pool.most(member),
                        backup=member.backup,
                        draining=member.draining,
                        origin=member.origin,
                    )
                )
        return found

    def publish(self) -> dict[str, Pool]:
        """Return all pools as values."""
        return {
            p.name: Pool(
                p.name, p.slot, dict(p.settings), tuple(self._nodes(p)), self.health.admits(p.view())
            )
            for p in self._current()
        }

    def views(self) -> list[Members]:
        """Return all pools as health sees them."""
        return [pool.view() for pool in self._current()]

    def view(self, name: str) -> Members | None:
        """Return one of them, None if there is no pool of that name."""
        pool = self._pools.get(name)
        if pool is None:
            return None
        self._refresh(pool)
        return pool.view()

    # Discovery.

    def hosts(self) -> list[str]:
        """Return what has to be looked up, sorted: host names, and srv: with the names of SRV records."""
        return sorted({name for pool in self._pools.values() for name in pool.roster.names()})

    def lookup(self, name: str) -> Lookup:
        """Return what is known of a name."""
        return self._lookups.get(name)

    def export(self) -> dict[str, Any]:
        """Return what was observed as JSON, for a successor: rows of the scoreboard, health, names."""
        names = {
            name: [asdict(record) for record in records] for name, records in self._lookups.records().items()
        }
        return {"rows": self.rows(), "health": self.health.export(), "names": names}

    def restore(self, exported: Mapping[str, Any]) -> None:
        """Know rows and health again that `export` returned; before any pool has a node."""
        self._slots.restore(exported.get("rows", {}))
        self.health.restore(exported.get("health", []))

    def restore_names(self, exported: Mapping[str, Any]) -> None:
        """Let the names lead where they led; once the pools have their entries."""
        hosts = self.hosts()
        for name, records in exported.get("names", {}).items():
            if name in hosts:
                self._lookups.restore(name, tuple(Record(**record) for record in records))
        for pool in self._pools.values():
            pool.is_stale = True

    def left_out(self) -> dict[str, int]:
        """Return {pool: how many of its nodes there is no room for}, of pools with such nodes."""
        return {pool.name: pool.left_out for pool in self._current() if pool.left_out}

    def nodefiles(self) -> list[str]:
        """Return the paths of all nodefiles, sorted."""
        return sorted({str(p.settings["nodefile"]) for p in self._pools.values()} - {""})

    def absorb_name(self, fact: Resolved, now: float) -> bool:
        """Take in a look-up's answer; return whether the name leads elsewhere now.

        An empty one changes nothing: the last good answer stays.
        """
        if fact.name not in self.hosts():
            return False
        changed = self._lookups.absorb(fact, now)
        if changed:
            for pool in self._pools.values():
                if fact.name in pool.roster.names():
                    pool.is_stale = True
                    self._refresh(pool)  # so that a node that left is seen to leave
        return changed

    def absorb_nodefile(self, fact: NodefileRead) -> bool:
        """Take in a nodefile that changed; return whether any pool has other nodes now.

        A file without any node changes nothing: it is more often broken than meant.
        """
        entries = {str(entry.address): entry for entry in parse_nodefile(fact.text)[0]}
        if not entries:
            return False
        changed = False
        for pool in self._pools.values():
            if pool.settings["nodefile"] == fact.path and pool.roster.filed != entries:
                pool.roster.filed = dict(entries)
                pool.is_stale = changed = True
                self._refresh(pool)
        return changed

    def _set_nodefile(self, pool: _Pool, path: str) -> None:
        roster = pool.roster
        if not path:  # as Perlbal: the file is not followed any more, its nodes stay
            roster.own |= {key: entry for key, entry in roster.filed.items() if key not in roster.own}
            roster.filed = {}
        else:
            try:
                text = self._files.read(path)
            except OSError as error:
                where = "" if path.startswith("/") else " (seen from where the balancer was started)"
                raise CommandError(f"nodefile {path}: {error.strerror or error}{where}") from None
            roster.filed = {str(entry.address): entry for entry in parse_nodefile(text)[0]}
        pool.is_stale = True

    # Parts of the above.

    def _get(self, name: str, text: str = "Pool '{}' not found") -> _Pool:
        if name not in self._pools:
            nearest = find_nearest(name, self._pools)
            raise CommandError(text.format(name), met=name, nearest=nearest, because=name)
        return self._pools[name]

    def _must_have(self, pool: _Pool, address: str) -> None:
        choices = list(self._refresh(pool).choices())
        if address not in choices and address not in pool.roster.drained:
            nearest = find_nearest(address, choices)
            raise CommandError(f"pool '{pool.name}' has no node {address}", met=address, nearest=nearest)

    def _handed(self, address: str) -> int:
        return self._stats.node(self._slots[address])["handed"]

    def _current(self) -> Iterator[_Pool]:
        """Yield all pools, each with the members that follow from its entries."""
        for pool in self._pools.values():
            self._refresh(pool)
            yield pool

    def _refresh(self, pool: _Pool) -> Roster:
        """Return the roster with its members; nodes for which there is no room are left out."""
        if not pool.is_stale:
            return pool.roster
        pool.is_stale = False
        planned = pool.roster.plan(self._lookups.records())
        count = len(planned)
        for address in [a for a in planned if a not in pool.roster.members]:
            try:
                self._take_row(address, besides=planned)
            except CommandError:
                del planned[address]
        pool.left_out = count - len(planned)
        pool.roster.expand(planned, self._handed)
        self._lookups.retain(self.hosts())
        return pool.roster

    def _take_row(self, address: str, *, besides: Iterable[str] = ()) -> None:
        loser = self._slots.take(address, in_use=lambda: self._addresses_in_use().union(besides))
        if loser is not None:
            self.health.forget(loser)

    def _addresses_in_use(self) -> frozenset[str]:
        return frozenset(address for pool in self._current() for address in pool.roster.members)

    def _nodes(self, pool: _Pool) -> Iterator[Node]:
        verdicts = self.health.judge(pool.view())
        # A ring is made of the weights: were they changed for a trial, keys of the others would move.
        keyed = ALGORITHMS.get(str(pool.settings["balance_method"])).keyed
        some_on_trial = not keyed and any(verdict.on_trial for verdict in verdicts.values())
        for address, member in pool.roster.members.items():
            verdict = verdicts[address]
            yield Node(
                address=address,
                slot=self._slots[address],
                weight=verdict.share_of(pool.weight(member), some_on_trial=some_on_trial),
                up=verdict.up,
                connect=address,
                backup=member.backup,
                max_connections=verdict.most_of(pool.most(member)),
                draining=member.draining,
                warm_from=verdict.warm_from,
            )
