"""What a store has for the page cache, read: checked (entry), and judged by the purges (bans)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsgistack.cache.bans import Ledger
from wsgistack.cache.entry import Variants, open_entry, open_variants
from wsgistack.cache.freshness import Terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.keys import Key
from wsgistack.cache.page import Page

__all__ = ["Stored", "open_stored"]

LATEST = 253_402_300_799.0  # the last second that a date can say: 9999-12-31


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store has, read: a page (None: purged, softly purged ones are old), or names of fields.

    *generation*: of the page.  *serial*: of the purges by which *met* was judged.
    """

    raw: bytes
    opened: Page | Variants
    url: str
    generation: int
    serial: int
    met: Page | Variants | None

    @property
    def tags(self) -> tuple[str, ...]:
        """See bans.Subject."""
        return self.opened.tags if isinstance(self.opened, Page) else ()

    @property
    def received_at(self) -> float:
        """See bans.Subject."""
        return self.opened.terms.received_at if isinstance(self.opened, Page) else 0.0

    def field(self, name: str) -> str | None:
        """See bans.Subject."""
        return self.opened.head.field(name) if isinstance(self.opened, Page) else None

    def judged(self, ledger: Ledger) -> Stored:
        """Return the same as it is by what *ledger* says."""
        if not isinstance(self.opened, Page):
            return replace(self, serial=ledger.serial)
        verdict = ledger.judge(self, self.generation)
        met: Page | None = self.opened
        if verdict is not None and verdict.is_gone:
            met = None
        elif verdict is not None and verdict.old_at is not None:
            terms = self.opened.terms
            age = terms.age(verdict.old_at)
            met = replace(self.opened, terms=replace(terms, lifetime_s=min(terms.lifetime_s or 0.0, age)))
        return replace(self, serial=ledger.serial, met=met)


def open_stored(raw: bytes, key: Key, *, secret: bytes = b"") -> Stored | None:
    """Return what *raw* holds under *key*, not judged yet; None for anything else."""
    entry = open_entry(raw, key.full, secret=secret)
    if entry is None:
        variants = open_variants(raw, key.full, secret=secret)
        return None if variants is None else Stored(raw, variants, "", 0, 0, variants)
    terms = _terms(entry.terms)
    if terms is None or not 200 <= entry.status <= 999:
        return None
    head = ResponseHead(entry.status, entry.reason, entry.fields)
    page = Page(head, terms, entry.selecting, entry.tags, entry.body)
    return Stored(raw, page, entry.url, entry.generation, 0, page)


def _terms(numbers: tuple[float | None, ...]) -> Terms | None:
    received_at, initial_age, lifetime, asks_always, never_stale, *graces = numbers
    others = (received_at, initial_age, asks_always, never_stale, *graces)
    if any(number is None for number in others):
        return None
    if any(number is not None and not 0 <= number <= LATEST for number in numbers):
        return None  # whoever wrote that is not us
    revalidate, error, down = graces
    return Terms(
        received_at=received_at or 0.0,
        initial_age_s=initial_age or 0.0,
        lifetime_s=lifetime,
        asks_always=bool(asks_always),
        never_stale=bool(never_stale),
        while_revalidate_s=revalidate or 0.0,
        if_error_s=error or 0.0,
        if_down_s=down or 0.0,
    )
