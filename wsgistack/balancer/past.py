"""What balancers before us counted: their scoreboard while they drain, numbers once they are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

__all__ = ["Past", "Pasts"]

# Of those who live: nothing of them is left when they are gone.
GAUGES = {
    "in_flight": 0,
    "open": 0,
    "connecting": 0,
    "client_connections": 0,
    "waiting": 0,
    "held": 0,
    "queue": {},
}

Counts = Mapping[str, Any]
Row = TypeVar("Row", bound=Mapping[str, Any])


class Past:
    """Counters by row of our scoreboard, of nodes, of services, or of limits.

    *counted* is what `export` returned to the balancer before us, under our rows; *read* gives a row
    of its scoreboard by our number, and is asked until `settle`.
    """

    def __init__(
        self, counted: Mapping[int, Counts] | None = None, read: Callable[[int], Counts] | None = None
    ) -> None:
        self._counted = {slot: _mended(counts) for slot, counts in (counted or {}).items()}
        self._read = read
        self._forgotten: set[int] = set()

    def add(self, slot: int, counts: Row) -> Row:
        """Return *counts* with what was counted before."""
        total: Counts = counts
        for part in (self._counted.get(slot), self._before(slot)):
            if part:
                total = _sum(total, part)
        return cast(Row, {key: total[key] for key in counts})

    def follow(
        self, rows: Mapping[str, int], named: Mapping[str, Any], read: Callable[[int], Counts] | None
    ) -> None:
        """Go on from what `export_named` told of the balancer before us.

        *rows* says where names are in our scoreboard; *read* gives a row of the other by its own number.
        """
        theirs = {rows[name]: one["row"] for name, one in named.items() if name in rows}
        self._counted = {rows[name]: _mended(one["counted"]) for name, one in named.items() if name in rows}
        self._read = (lambda slot: read(theirs[slot]) if slot in theirs else {}) if read else None
        self._forgotten = set()

    def forget(self, slot: int) -> None:
        """Forget a row, because it is given to somebody else."""
        self._counted.pop(slot, None)
        self._forgotten.add(slot)

    def settle(self, slots: Iterable[int]) -> None:
        """Keep the numbers of the balancer before us, which is gone, and ask its scoreboard no more."""
        self._counted = self.export(slots)
        self._read = None

    def export(self, slots: Iterable[int]) -> dict[int, Counts]:
        """Return it as what JSON can carry, for the next one; what the one before us counts from now on is not in it."""
        found = {slot: self._settled(slot) for slot in slots}
        return {slot: counts for slot, counts in found.items() if counts}

    def export_named(self, rows: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """Return it by name, with the row that each has here: the next one gives out rows anew."""
        return {name: {"row": slot, "counted": self._settled(slot)} for name, slot in rows.items()}

    def _settled(self, slot: int) -> Counts:
        counted, before = self._counted.get(slot, {}), self._before(slot)
        if before and any(before.values()):
            counted = _sum(counted, before)
        return {**counted, **GAUGES} if counted else counted

    def _before(self, slot: int) -> Counts | None:
        return self._read(slot) if self._read and slot not in self._forgotten else None


@dataclass(slots=True)
class Pasts:
    """The past of everything that is counted."""

    nodes: Past = field(default_factory=Past)
    services: Past = field(default_factory=Past)
    limits: Past = field(default_factory=Past)


def _sum(first: Counts, second: Counts) -> dict[str, Any]:
    return {
        **first,
        **{key: _plus(key, first[key], value) if key in first else value for key, value in second.items()},
    }


def _plus(key: str, first: Any, second: Any) -> Any:
    match first:
        case dict():
            both = {name: _plus(key, first.get(name), second.get(name)) for name in first | second}
            return dict(sorted(both.items())) if key == "responsecodes" else both
        case list():  # by bucket; of another version there may be others
            return [a + b for a, b in zip(first, second, strict=True)] if len(first) == len(second) else first
        case tuple():  # (length, seconds of the oldest)
            return (first[0] + second[0], max(first[1], second[1])) if second else first
        case None:
            return second
        case _:
            return max(first, second or 0) if key.startswith("last") else first + (second or 0)


def _mended(counts: Counts) -> Counts:
    """Return it with numbers for statuses and their classes: JSON knows no such keys."""
    numbered = {
        key: {int(code): count for code, count in counts[key].items()}
        for key in ("responsecodes", "responses")
        if key in counts
    }
    return {**counts, **numbered}
