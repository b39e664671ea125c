"""The pools: which nodes they have, how these are, and where their names lead."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from wsgistack.balancer.address import Address, parse_address
from wsgistack.balancer.health_book import HealthBook, make_check
from wsgistack.balancer.model import HealthCheck, Node, Pool, ProbeResult, Resolved
from wsgistack.balancer.outside import Stats
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.slots import Slots
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest
from wsgistack.settings import Value

__all__ = ["HEAVIEST", "Pools"]

HEAVIEST = 256  # as HAProxy


@dataclass(slots=True)
class _Member:
    address: Address
    weight: int
    handed_before: int  # requests handed to the address before it was (last) added here


@dataclass(slots=True)
class _Pool:
    name: str
    slot: int
    settings: dict[str, Value]
    members: dict[str, _Member] = field(default_factory=dict)


class Pools:
    """All pools by name, in the order of their creation."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._slots = Slots(stats)
        self._pools: dict[str, _Pool] = {}
        self._health = HealthBook()
        self._numeric: dict[str, str] = {}  # host name -> last good numeric host

    def __contains__(self, name: object) -> bool:
        return name in self._pools

    def names(self) -> list[str]:
        """Return all names in the order of creation."""
        return list(self._pools)

    def create(self, name: str) -> None:
        """Make an empty pool; the name is free, the caller has seen to it."""
        self._pools[name] = _Pool(name, len(self._pools), POOL_SETTINGS.defaults())

    def set(self, name: str, key: str, text: str) -> None:
        """Set one of the pool's settings from text."""
        value = POOL_SETTINGS.parse(key, text)
        if not POOL_SETTINGS.get(key).available:
            return
        self._pools[name].settings[key] = value
        if key == "health_check":
            for address in self._pools[name].members:
                self._health.forget(name, address)

    def settings(self, name: str) -> dict[str, Value]:
        """Return a copy of the pool's settings."""
        return dict(self._pools[name].settings)

    def add(self, name: str, address_text: str, *, weight: int = 1) -> None:
        """Put a node into a pool; one that is there moves to the end and counts from 0 again."""
        pool = self._get(name)
        address = parse_address(address_text, default_port=80)
        text = str(address)
        loser = self._slots.take(text, in_use=self._addresses_in_use)
        if loser is not None:
            self._forget(loser)
        pool.members.pop(text, None)
        pool.members[text] = _Member(address, weight, self._handed(text))

    def remove(self, name: str, address_text: str) -> None:
        """Take a node out of a pool; an absent one is no error."""
        pool = self._get(name)
        pool.members.pop(str(parse_address(address_text, default_port=80)), None)

    def members(self, name: str) -> list[tuple[str, int, int]]:
        """Return (address, weight, requests handed to it since it was added) in order."""
        pool = self._get(name, "pool '{}' does not exist")
        return [(a, m.weight, self._handed(a) - m.handed_before) for a, m in pool.members.items()]

    def rows(self) -> dict[str, int]:
        """Return {address: row of the scoreboard} of all that have one, removed nodes too."""
        return dict(self._slots.rows())

    def states(self, address: str) -> list[tuple[str, str]]:
        """Return (pool, health) for each pool that has the node; "unchecked" without checks."""
        return [
            (pool.name, self._health.get(pool.name, address).state)
            for pool in self._pools.values()
            if address in pool.members
        ]

    def publish(self) -> dict[str, Pool]:
        """Return all pools as values."""
        return {
            p.name: Pool(p.name, p.slot, dict(p.settings), tuple(self._nodes(p)))
            for p in self._pools.values()
        }

    def checks(self) -> list[tuple[str, str, HealthCheck]]:
        """Return (pool, address, check) of every node that can be checked now."""
        found = []
        for pool in self._pools.values():
            for text, member in pool.members.items():
                check = self._check(pool, member.address)
                if check is not None:
                    found.append((pool.name, text, check))
        return found

    def due(self, name: str, address: str, now: float) -> float | None:
        """Return in how many seconds that node's check is due, None when it has none."""
        pool = self._pools.get(name)
        member = pool.members.get(address) if pool else None
        check = self._check(pool, member.address) if pool and member else None
        if check is None:
            return None
        return self._health.get(name, address).due(check, now)

    def hosts(self) -> list[str]:
        """Return the host names that have to be looked up, sorted."""
        found = {
            m.address.host
            for p in self._pools.values()
            for m in p.members.values()
            if m.address.kind == "name"
        }
        return sorted(found)

    def absorb_probe(self, fact: ProbeResult, now: float) -> bool:
        """Take in a check's result; return whether the node went up or down.

        A late one about a node that left is dropped.
        """
        pool = self._pools.get(fact.pool)
        member = pool.members.get(fact.address) if pool else None
        check = self._check(pool, member.address) if pool and member else None
        if check is None:
            return False
        return self._health.absorb_check(fact.pool, fact.address, fact.ok, check, now)

    def absorb_name(self, fact: Resolved) -> bool:
        """Take in a look-up's answer; return whether the name leads elsewhere now.

        An empty one changes nothing: the last good answer stays.
        """
        name = fact.name.lower()
        if name not in self.hosts() or not fact.addresses or self._numeric.get(name) in fact.addresses:
            return False  # no move without need
        self._numeric[name] = fact.addresses[0]
        return True

    def _get(self, name: str, text: str = "Pool '{}' not found") -> _Pool:
        if name not in self._pools:
            nearest = find_nearest(name, self._pools)
            raise CommandError(text.format(name), met=name, nearest=nearest, because=name)
        return self._pools[name]

    def _handed(self, address: str) -> int:
        return self._stats.node(self._slots[address])["handed"]

    def _addresses_in_use(self) -> Collection[str]:
        return {address for pool in self._pools.values() for address in pool.members}

    def _forget(self, address: str) -> None:
        for name in self._pools:
            self._health.forget(name, address)

    def _nodes(self, pool: _Pool) -> Iterator[Node]:
        verdicts = self._health.judge(pool.name, pool.settings, pool.members)
        for text, member in pool.members.items():
            verdict = verdicts[text]
            yield Node(
                address=text,
                slot=self._slots[text],
                weight=member.weight,
                up=verdict.up,
                connect=self._connect(member.address),
                warm_from=verdict.warm_from,
            )

    def _connect(self, address: Address) -> str | None:
        if address.kind != "name":
            return str(address)
        host = self._numeric.get(address.host)
        if host is None:
            return None
        return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"

    def _check(self, pool: _Pool, address: Address) -> HealthCheck | None:
        return make_check(pool.settings, self._connect(address))
