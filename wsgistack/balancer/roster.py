"""Who belongs to one pool: the entries that somebody wrote, and the nodes that follow from them.

An entry is an address, or a name that leads to any number of nodes; each of these is a node like
one that was written.  Entries come by command or from the pool's nodefile; a node that several
entries lead to belongs to the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wsgistack.balancer.address import Address
from wsgistack.balancer.discovery import Record

__all__ = ["Entry", "Member", "Roster"]

Names = Mapping[str, tuple[Record, ...]]  # what the names led to last


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody wrote; None for *weight* or *most* (requests in flight): the pool's default."""

    address: Address
    weight: int | None = None
    most: int | None = None
    backup: bool = False

    def __str__(self) -> str:
        """Return it as POOL ADD and a nodefile take it."""
        words = [str(self.address)]
        words += [f"weight={self.weight}"] if self.weight is not None else []
        words += [f"max={self.most}"] if self.most is not None else []
        words += ["backup"] if self.backup else []
        return " ".join(words)

    @property
    def name(self) -> str | None:
        """What has to be looked up for it: a host name, or srv: and a name; None for nothing."""
        if self.address.kind == "srv":
            return str(self.address)
        return self.address.host if self.address.kind == "name" else None


@dataclass(frozen=True, slots=True)
class Member:
    """A node: *origin* is the key of its entry; None for *weight* or *most*: the pool's default.

    *handed_before*: requests handed to the address before it became a member here.
    """

    address: str
    origin: str
    weight: int | None
    most: int | None
    backup: bool
    draining: bool
    handed_before: int


@dataclass(slots=True)
class Roster:
    """Entries by their address, in order, those of commands first; `expand` makes the members.

    *drained* holds addresses of entries and nodes; one that no member has is kept, because the
    name that leads to it may not have been looked up yet.
    """

    own: dict[str, Entry] = field(default_factory=dict)
    filed: dict[str, Entry] = field(default_factory=dict)  # of the nodefile
    drained: set[str] = field(default_factory=set)
    members: dict[str, Member] = field(default_factory=dict)
    _handed: dict[str, int] = field(default_factory=dict)  # of those that were put and are no members yet

    def put(self, entry: Entry, handed: int = 0) -> None:
        """Add an entry by command; one that is there moves to the end and is a new one.

        *handed*: requests handed to its address until now, if it is one.
        """
        key = str(entry.address)
        self.drop(key)
        self.own[key] = entry
        self._handed[key] = handed

    def drop(self, key: str) -> None:
        """Take an entry out; an absent one is no error."""
        self.own.pop(key, None)
        self.drained.discard(key)
        for address in [a for a, m in self.members.items() if m.origin == key]:
            del self.members[address]
            self.drained.discard(address)

    def arrange(self, keys: Iterable[str]) -> None:
        """Put those entries of commands first, in that order."""
        first = {key: self.own[key] for key in keys if key in self.own}
        self.own = first | self.own

    def entries(self) -> Iterator[Entry]:
        """Yield all entries: what a command wrote hides the nodefile's of the same address."""
        yield from self.own.values()
        yield from (entry for key, entry in self.filed.items() if key not in self.own)

    def names(self) -> set[str]:
        """Return what has to be looked up."""
        return {entry.name for entry in self.entries() if entry.name is not None}

    def plan(self, names: Names) -> dict[str, tuple[Entry, Record | None]]:
        """Return the nodes to be, in order: {address: its entry and, of a name, its record}."""
        planned: dict[str, tuple[Entry, Record | None]] = {}
        for entry in self.entries():
            if entry.name is None:
                planned.setdefault(str(entry.address), (entry, None))
            else:
                for record in names.get(entry.name, ()):
                    planned.setdefault(_place(record, entry.address.port), (entry, record))
        return planned

    def expand(
        self, planned: Mapping[str, tuple[Entry, Record | None]], handed: Callable[[str], int]
    ) -> None:
        """Make the members that *planned* says; *handed(address)* counts for those that are new."""
        for address in self.members.keys() - planned.keys():
            self.drained.discard(address)  # whoever gets that address next is somebody else
        self.members = {
            address: self._member(address, entry, record, handed)
            for address, (entry, record) in planned.items()
        }
        self._handed.clear()

    def _member(
        self, address: str, entry: Entry, record: Record | None, handed: Callable[[str], int]
    ) -> Member:
        key = str(entry.address)
        known = self.members.get(address)
        weight = entry.weight
        if weight is None and record is not None and record.weight:
            weight = record.weight
        return Member(
            address=address,
            origin=key,
            weight=weight,
            most=entry.most,
            backup=entry.backup or (record is not None and record.backup),
            draining=not self.drained.isdisjoint((address, key)),
            handed_before=known.handed_before if known else self._handed.get(address, handed(address)),
        )

    def choices(self) -> Iterable[str]:
        """Return what can be drained: entries and nodes, each once, in order."""
        return dict.fromkeys([*(str(entry.address) for entry in self.entries()), *self.members])


def _place(record: Record, port: int) -> str:
    host = f"[{record.host}]" if ":" in record.host else record.host
    return f"{host}:{record.port or port}"
