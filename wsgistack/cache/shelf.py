"""Where pages lie: one value for a URL, or a list of what it varies by and a value for each variant.

A look at a page that does not vary is one round trip, at one that does two.  What is read is checked
(entry) and remembered in its read form as long as the store gives the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import NamedTuple

from wsgistack.cache.entry import Entry, Variants, open_entry, open_variants, pack
from wsgistack.cache.freshness import Terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.keys import Key, Target, make_key
from wsgistack.cache.page import Page
from wsgistack.cache.vary import Selecting, selecting_of
from wsgistack.errors import StoreError
from wsgistack.store.base import Store

__all__ = ["Found", "Place", "Shelf"]

MOST_SETS = 4  # of names that one URL varies by at the same time
LONGEST_S = 30 * 86_400.0
MEMO_ITEMS = 1024
MEMO_BYTES = 16 * 1024 * 1024
MEMO_LARGEST = 256 * 1024


class Place(NamedTuple):
    """Where the pages of a request lie: what is asked for, and the other dimensions of the key."""

    target: Target
    dimensions: Selecting = ()

    @property
    def key(self) -> Key:
        """The key of the URL."""
        return make_key(self.target, self.dimensions)


class Found(NamedTuple):
    """The pages that fit a request; *has_variants*: there are some that do not."""

    pages: Sequence[Page]
    has_variants: bool = False


NOTHING = Found(())


class Shelf:
    """Pages in *store*.  A store that is in trouble holds nothing, and is told nothing.

    *reorders*: see vary.  *keep_s*: how long a page that can be validated is kept past its use.
    *secret*: see entry.
    """

    def __init__(self, store: Store, *, reorders: bool, keep_s: float, secret: bytes = b"") -> None:
        self._store = store
        self._reorders = reorders
        self._keep_s = keep_s
        self._secret = secret
        self._memo: dict[str, tuple[bytes, Page | Variants]] = {}
        self._memo_bytes = 0
        self._lock = threading.Lock()

    def find(self, place: Place, field: Callable[[str], str | None]) -> Found:
        """Return what is stored for *place* and fits the request whose fields *field* gives."""
        met = self._read(place.key)
        if met is None:
            return NOTHING
        if isinstance(met, Page):
            return Found((met,))
        pages = []
        for names in met.names:
            selecting = selecting_of(names, field, reorders=self._reorders)
            page = self._read(self._variant_key(place, met, selecting))
            if isinstance(page, Page) and page.selecting == selecting:
                pages.append(page)
        return Found(pages, has_variants=True)

    def put(self, place: Place, page: Page, *, asked_at: float) -> bool:
        """Store *page*; return whether it was."""
        key = place.key
        if page.selecting:
            variants = self._with_names(place, page, asked_at)
            key = self._variant_key(place, variants, page.selecting)
        entry = Entry(
            key.full,
            place.target.url,
            page.head.status,
            page.head.reason,
            page.head.fields,
            page.body,
            asked_at,
            _numbers(page.terms),
            page.selecting,
            tuple([(tag, 0) for tag in page.tags]),
        )
        raw = pack(entry, secret=self._secret)
        if raw is None:
            return False
        has_validator = page.etag is not None or page.head.field("last-modified") is not None
        ttl_s = page.terms.longest_s + (self._keep_s if has_validator else 0.0)
        return self._write(key, raw, ttl_s)

    def forget(self, place: Place) -> None:
        """Remove every page of a URL, variants included: what they lie under is not found any more."""
        with suppress(StoreError):  # a store in trouble holds nothing; `guarded` counts it
            self._store.delete(place.key.text)

    def _with_names(self, place: Place, page: Page, now: float) -> Variants:
        """Return the sets of names that the URL varies by, the page's first; stores them when that is new."""
        names = tuple([name for name, _ in page.selecting])
        met = self._read(place.key)
        if isinstance(met, Variants):
            if met.names[:1] == (names,):
                return met
            others = tuple([one for one in met.names if one != names])
            variants = Variants(met.key, (names, *others)[:MOST_SETS], met.generation)
        else:
            # The generation is part of the variants' keys: what lay there before is not found any more.
            variants = Variants(place.key.full, (names,), int(now * 1_000_000))
        raw = pack(variants, secret=self._secret)
        if raw is not None:
            self._write(place.key, raw, LONGEST_S)
        return variants

    def _variant_key(self, place: Place, variants: Variants, selecting: Selecting) -> Key:
        dimensions = (*place.dimensions, ("variants", str(variants.generation)))
        return make_key(place.target, dimensions, selecting)

    def _write(self, key: Key, raw: bytes, ttl_s: float) -> bool:
        try:
            self._store.set(key.text, raw, min(max(ttl_s, 1.0), LONGEST_S))
        except StoreError:
            return False
        return True

    def _read(self, key: Key) -> Page | Variants | None:
        try:
            raw = self._store.get(key.text)
        except StoreError:
            return None
        if raw is None:
            return None
        known = self._memo.get(key.text)
        if known is not None and (known[0] is raw or known[0] == raw):
            return known[1]
        met = self._open(raw, key)
        if met is not None and len(raw) <= MEMO_LARGEST:
            self._remember(key.text, raw, met)
        return met

    def _open(self, raw: bytes, key: Key) -> Page | Variants | None:
        entry = open_entry(raw, key.full, secret=self._secret)
        if entry is None:
            return open_variants(raw, key.full, secret=self._secret)
        terms = _terms(entry.terms)
        if terms is None:
            return None
        head = ResponseHead(entry.status, entry.reason, entry.fields)
        return Page(head, terms, entry.selecting, tuple([tag for tag, _ in entry.tags]), entry.body)

    def _remember(self, text: str, raw: bytes, met: Page | Variants) -> None:
        with self._lock:
            old = self._memo.pop(text, None)
            self._memo_bytes += len(raw) - (0 if old is None else len(old[0]))
            self._memo[text] = (raw, met)
            while len(self._memo) > MEMO_ITEMS or self._memo_bytes > MEMO_BYTES:
                first = next(iter(self._memo))
                self._memo_bytes -= len(self._memo.pop(first)[0])


def _numbers(terms: Terms) -> tuple[float | None, ...]:
    return tuple([None if number is None else float(number) for number in astuple(terms)])


def _terms(numbers: tuple[float | None, ...]) -> Terms | None:
    received_at, initial_age, lifetime, asks_always, never_stale, *graces = numbers
    others = (received_at, initial_age, asks_always, never_stale, *graces)
    if any(number is None for number in others):
        return None
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
