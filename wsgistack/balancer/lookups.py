"""What the names led to when they were last looked up; the last good answer stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from wsgistack.balancer.discovery import Record, follow
from wsgistack.balancer.model import Resolved

__all__ = ["Lookup", "Lookups"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One name: the *records* that hold, and what the last answer said.

    *answered_at*: when it last led somewhere, None for never.  *detail*: why the last look-up
    failed, "" if it did not.  *kept*, *dropped*: see discovery.Followed.
    """

    name: str
    records: tuple[Record, ...] = ()
    answered_at: float | None = None
    detail: str = ""
    kept: int = 0
    dropped: int = 0


class Lookups:
    """All names that somebody wrote, by what they are looked up by."""

    def __init__(self) -> None:
        self._known: dict[str, Lookup] = {}

    def get(self, name: str) -> Lookup:
        """Return what is known of a name; one that was never looked up leads nowhere."""
        return self._known.get(name, Lookup(name))

    def records(self) -> dict[str, tuple[Record, ...]]:
        """Return {name: the records that hold}."""
        return {name: lookup.records for name, lookup in self._known.items()}

    def restore(self, name: str, records: tuple[Record, ...]) -> None:
        """Let a name lead where it led in the balancer before, until it is looked up."""
        self._known[name] = Lookup(name, records)

    def retain(self, names: Collection[str]) -> None:
        """Forget all names but *names*."""
        for name in self._known.keys() - set(names):
            del self._known[name]

    def absorb(self, fact: Resolved, now: float) -> bool:
        """Take in an answer; return whether the name leads elsewhere now."""
        before = self.get(fact.name)
        if not fact.records:
            self._known[fact.name] = replace(before, detail=fact.detail or "no address")
            return False
        after = follow(before.records, fact.records)
        self._known[fact.name] = Lookup(
            fact.name, after.records, now, kept=after.kept, dropped=after.dropped + fact.dropped
        )
        return after.records != before.records
