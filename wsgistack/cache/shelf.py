"""Where pages lie: one value for a URL, or a list of what it varies by and a value for each variant.

A look at a page that does not vary is one round trip, at one that does two.  What is stored replaces
what lay there when the application was asked, and nothing else (tickets).  What is read is checked
(entry), judged by the purges (bans), and remembered in its read form as long as the store gives the
same bytes and no purge is new.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from wsgistack import forks
from wsgistack.cache.bans import Ledger
from wsgistack.cache.entry import Entry, Variants, pack
from wsgistack.cache.forgotten import forgotten_of
from wsgistack.cache.found import Found, Place, general_place, search_key
from wsgistack.cache.keys import Key, known_keys
from wsgistack.cache.page import Page
from wsgistack.cache.purge import Purges
from wsgistack.cache.search import Variance, parse_variance, read_words
from wsgistack.cache.stored import Stored, open_stored
from wsgistack.cache.tickets import NO_HOLD, Hold, Ticket, hold, swap
from wsgistack.cache.vary import Selecting, selecting_of
from wsgistack.errors import StoreError, TooLarge
from wsgistack.store.base import Store
from wsgistack.store.guarded import Guarded

__all__ = ["Shelf"]

MOST_SETS = 4  # of names that one URL varies by at the same time
LONGEST_S = 30 * 86_400.0
MEMO_ITEMS = 1024
MEMO_BYTES = 16 * 1024 * 1024
MEMO_LARGEST = 256 * 1024


class Shelf:
    """Pages in *store*.  A store that is in trouble holds nothing, and is told nothing.

    *reorders*: see vary.  *keep_s*: how long a page that can be validated is kept past its use.
    *secret*: see entry.
    """

    def __init__(
        self, store: Store, *, purges: Purges, reorders: bool, keep_s: float, secret: bytes = b""
    ) -> None:
        self._store = store
        self._purges = purges
        self._reorders = reorders
        self._keep_s = keep_s
        self._secret = secret
        self._memo: dict[str, Stored] = {}
        self._memo_bytes = 0
        self.forgotten = forgotten_of(store)
        self.on_change: Callable[[Iterable[str]], None] | None = (
            None  # told the places that hold something else now
        )
        self._lock = threading.Lock()
        forks.register(self)

    @property
    def is_shared(self) -> bool:
        """True if other processes have the same pages."""
        return self._store.shared

    @property
    def is_down(self) -> bool:
        """True while the store is known to be in trouble: it is not tried, or did not take the last page."""
        store = self._store
        if not isinstance(store, Guarded):
            return False
        troubles = [store.trouble(operation) for operation in ("set", "add", "cas")]
        return store.is_down or any(not isinstance(trouble, TooLarge | None) for trouble in troubles)

    def find(self, place: Place, said: Callable[[str], str | None]) -> Found:
        """Return what is stored for *place* and fits the request whose fields *said* gives.

        Where nothing is: what a page of the same path, whose query means the same, is stored for.
        """
        key, serial_key, search = place.key, self._purges.serial_key, None
        if key.text in self._memo:
            raws = self._fetch((key.text, serial_key))
        else:  # probably a miss: what leads on then is asked for at once
            search = search_key(place)
            raws = self._fetch((key.text, serial_key, search.text))
        ledger = self._purges.learn(raws.get(serial_key))
        found = self._look(place, raws.get(key.text), said, ledger)
        if found.pages or found.has_variants:
            return found
        if search is None:
            search = search_key(place)
            raws = self._fetch((search.text,))
        generals = self._general_places(place, search, raws.get(search.text))
        holds: dict[str, Hold] = {}
        for general in generals:
            text = general.key.text
            raws = self._fetch((text,))
            other = self._look(general, raws.get(text), said, ledger, url=place.target.url)
            holds[text] = other.holds.get(text) or Hold(raw=other.raw)
            if other.pages or other.has_variants:
                return other._replace(generals=generals, holds=holds, raw=found.raw)
        return found._replace(generals=generals, holds=holds) if generals else found

    def _look(
        self,
        place: Place,
        raw: bytes | None,
        said: Callable[[str], str | None],
        ledger: Ledger,
        *,
        url: str = "",
    ) -> Found:
        """Return what fits of what the store has for *place*, which is *raw* or lies under what *raw* names.

        *url*: what is asked for where a page may be another URL's; it can be purged by either.
        """
        met = self._read(place.key, raw, ledger, url)
        if met is None:
            return Found((), generation=ledger.serial, raw=raw)
        if isinstance(met, Page):
            return Found((met,), generation=ledger.serial, raw=raw)
        pages = []
        sets = [selecting_of(names, said, reorders=self._reorders) for names in met.names]
        keys = [self._variant_key(place, met, selecting) for selecting in sets]
        raws = self._fetch([key.text for key in keys])
        for selecting, key in zip(sets, keys, strict=True):
            page = self._read(key, raws.get(key.text), ledger, url)
            if isinstance(page, Page) and page.selecting == selecting:
                pages.append(page)
        holds = {place.key.text: Hold(generation=met.generation)}
        return Found(pages, True, ledger.serial, len(sets), holds, raw=raw)

    def asking(self, place: Place, found: Found, there: Hold = NO_HOLD) -> Ticket:
        """Return what `put` is to know of the moment at which the application is asked for a page of *place*.

        *found*: what was a moment ago.  *there*: what lies there now, where the caller knows it.
        """
        ticket = Ticket(self.forgotten.moment)
        if self.is_shared:
            for one in (place, *found.generals):
                met = there if one is place else NO_HOLD
                if met == NO_HOLD:
                    met = found.holds.get(one.key.text, NO_HOLD)
                is_enough = met.token is not None or met.generation is not None
                ticket.holds[one.key.text] = met if is_enough else self.hold(one, found)
        return ticket

    def hold(self, place: Place, found: Found) -> Hold:
        """Return what lies at *place* now; *found*: what was there, or where it led, a moment ago."""
        is_empty = not found.pages and not found.has_variants
        there = hold(self._store, place.key.text, is_empty=is_empty)
        met = self._read(place.key, there.raw, self._purges.ledger)
        return Hold(generation=met.generation) if isinstance(met, Variants) else there

    def is_of_before(self, place: Place, moment: int | None) -> bool:
        """Tell whether a page for which the application was asked at *moment* may be of before a change.

        Its query may mean the same as another one by which the change was made.  Over a store that is
        shared, and before the application is asked (None), that is told by other means.
        """
        if moment is None or self.is_shared:
            return False
        return self.forgotten.is_worthless(search_key(place).text, moment)

    def may_put(self, place: Place, page: Page, ticket: Ticket) -> bool:
        """Tell whether *page* may be stored with *ticket*, as far as is known: it may lie where nobody looked."""
        if not self.is_shared:
            return True
        variance = parse_variance(page.head.field("no-vary-search") or "")
        general = None if variance is None else general_place(place, variance)
        return ticket.holds.get((general or place).key.text, NO_HOLD) != NO_HOLD

    def put(self, place: Place, page: Page, *, asked_at: float, generation: int, ticket: Ticket) -> bool:
        """Store *page*; return whether it was, and tell who wants to know.

        *generation*: of the look that led to the request, *ticket*: of when it was sent; what was purged
        or forgotten since is not stored.
        """
        if self.is_shared:
            is_stored, text = self._put(place, page, asked_at, generation, ticket)
        else:
            with self.forgotten.lock:  # nothing is forgotten between the look and the write
                is_stored, text = self._put(place, page, asked_at, generation, ticket)
        if text:
            self._tell((text,))
        return is_stored

    def _put(
        self, place: Place, page: Page, asked_at: float, generation: int, ticket: Ticket
    ) -> tuple[bool, str]:
        """Return whether the page was stored, and the key of the place where something changed."""
        # A purge that is not known here yet makes the page worthless when it is read.
        key, ledger = place.key, self._purges.ledger
        url = place.target.url
        if self.forgotten.is_worthless(key.text, ticket.number):
            return False, ""
        if (
            generation < ledger.serial
            and Stored(b"", page, url, generation, 0, page).judged(ledger).met is None
        ):
            return False, ""
        variance = parse_variance(page.head.field("no-vary-search") or "")
        general = None if variance is None else general_place(place, variance)
        if variance is not None and general is not None:
            if self.forgotten.is_worthless(search_key(place).text, ticket.number):  # by another query
                return False, ""
            self._tell_variance(place, variance, ledger)
            place, key = general, general.key
        there = ticket.holds.get(key.text, NO_HOLD)
        if page.selecting:
            variants = self._with_names(place, page, there, ledger)
            if variants is None:
                ticket.is_lost = general is None
                return False, ""
            key = self._variant_key(place, variants, page.selecting)
        entry = Entry(
            key.full,
            url,
            page.head.status,
            page.head.reason,
            page.head.fields,
            page.body,
            asked_at,
            page.terms.numbers,
            page.selecting,
            page.tags,
            generation,
        )
        raw = pack(entry, secret=self._secret)
        if raw is None:
            return False, ""
        has_validator = page.etag is not None or page.head.field("last-modified") is not None
        ttl_s = page.terms.longest_s + (self._keep_s if has_validator else 0.0)
        # A variant is found by the list above it, so what was there before does not matter.
        is_stored = self._write(key, raw, ttl_s) if page.selecting else self._replace(key, raw, ttl_s, there)
        ticket.is_lost = general is None and not is_stored
        return is_stored, place.key.text

    def forget(self, places: Iterable[Place]) -> None:
        """Remove every page of URLs, variants included: what they lie under is not found any more.

        What was asked for already is not stored any more, by nobody who shares the store.
        """
        searches = {place: search_key(place) for place in places}
        texts = [place.key.text for place in searches]
        # Before a look at what queries mean: who stores a page of the path is either done with that or too late.
        self.forgotten.add((*texts, *[search.text for search in searches.values()]))
        for place, search in searches.items():
            generals = self._general_places(place, search, self._fetch_one(search))
            texts += [general.key.text for general in generals]
        with suppress(StoreError):  # a store in trouble holds nothing; `guarded` counts it
            self._store.delete_many(texts)
        self._tell(texts)

    def _tell(self, texts: Iterable[str]) -> None:
        if self.on_change is not None:
            self.on_change(texts)

    def forked(self) -> None:
        """Remember nothing where a thread of the parent was in the middle of a change."""
        if forks.is_held(self._lock):
            self._memo, self._memo_bytes = {}, 0
        self._lock = threading.Lock()

    def _general_places(self, place: Place, search: Key, raw: bytes | None) -> list[Place]:
        """Return where pages lie whose queries mean the same as that of *place*, as far as pages have said so.

        *search*: the key under which that is written, *raw*: what lies there.
        """
        met = self._read(search, raw, self._purges.ledger)
        if not isinstance(met, Variants):
            return []
        variances = [variance for words in met.names if (variance := read_words(words)) is not None]
        generals = [general_place(place, variance) for variance in variances]
        return [general for general in generals if general is not None]

    def _tell_variance(self, place: Place, variance: Variance, ledger: Ledger) -> None:
        """Let all who look for a page of this path know which queries mean the same."""
        key, words = search_key(place), variance.words()
        met = self._read(key, self._fetch_one(key), ledger)
        known = met.names if isinstance(met, Variants) else ()
        if known[:1] != (words,):
            others = tuple([one for one in known if one != words])
            raw = pack(Variants(key.full, (words, *others)[:MOST_SETS]), secret=self._secret)
            if raw is not None:
                self._write(key, raw, LONGEST_S)

    def _fetch_one(self, key: Key) -> bytes | None:
        return self._fetch((key.text,)).get(key.text)

    def _with_names(self, place: Place, page: Page, there: Hold, ledger: Ledger) -> Variants | None:
        """Return the sets of names that the URL varies by, the page's first; stores them when that is new.

        *there*: what was there when the application was asked; None where it is another one now.
        """
        names = tuple([name for name, _ in page.selecting])
        is_shared, known = self.is_shared, there
        if not is_shared or there.generation is not None:
            known, met = self._names_now(place.key, ledger)
            if is_shared and (met is None or met.generation != there.generation):
                return None
            if met is not None:
                if met.names[:1] == (names,):
                    return met
                others = tuple([one for one in met.names if one != names])
                variants = Variants(met.key, (names, *others)[:MOST_SETS], met.generation)
                return variants if self._put_names(place.key, variants, known) else None
        # The generation is part of the variants' keys: what lay there before is not found any more.
        variants = Variants(place.key.full, (names,), int.from_bytes(os.urandom(8)))
        return variants if self._put_names(place.key, variants, known) else None

    def _names_now(self, key: Key, ledger: Ledger) -> tuple[Hold, Variants | None]:
        try:
            found = self._store.gets(key.text)
        except StoreError:
            found = None
        met = None if found is None else self._read(key, found.value, ledger)
        token = None if found is None else found.token
        return Hold(token), met if isinstance(met, Variants) else None

    def _put_names(self, key: Key, variants: Variants, there: Hold) -> bool:
        raw = pack(variants, secret=self._secret)
        return raw is not None and self._replace(key, raw, LONGEST_S, there)

    def _replace(self, key: Key, raw: bytes, ttl_s: float, there: Hold) -> bool:
        """Store *raw* in the place of what was *there*; return whether it was."""
        if not self.is_shared:  # what was forgotten since is known
            return self._write(key, raw, ttl_s)
        return there.token is not None and swap(self._store, key.text, raw, _bounded(ttl_s), there.token)

    def _variant_key(self, place: Place, variants: Variants, selecting: Selecting) -> Key:
        dimensions = (*place.dimensions, ("variants", str(variants.generation)))
        return known_keys[place.target, dimensions, selecting, "", "read"]  # make_key without its frame

    def _write(self, key: Key, raw: bytes, ttl_s: float) -> bool:
        try:
            self._store.set(key.text, raw, _bounded(ttl_s))
        except StoreError:
            return False
        return not isinstance(self._store, Guarded) or self._store.trouble("set") is None

    def _fetch(self, texts: Iterable[str]) -> dict[str, bytes]:
        try:
            return self._store.get_many(texts)
        except StoreError:
            return {}

    def _read(self, key: Key, raw: bytes | None, ledger: Ledger, url: str = "") -> Page | Variants | None:
        stored = None if raw is None else self._judge(key, raw, ledger)
        if stored is None:
            return None
        met = stored.met
        if url and isinstance(met, Page) and url != stored.url:
            return replace(stored, url=url, opened=met).judged(ledger).met
        return met

    def _judge(self, key: Key, raw: bytes, ledger: Ledger) -> Stored | None:
        stored = self._memo.get(key.text)
        if stored is None or (stored.raw is not raw and stored.raw != raw):
            stored = open_stored(raw, key, secret=self._secret)
            if stored is None:
                return None
        elif stored.serial == ledger.serial:
            return stored
        stored = stored.judged(ledger)
        if len(raw) <= MEMO_LARGEST:
            self._remember(key.text, stored)
        return stored

    def _remember(self, text: str, stored: Stored) -> None:
        with self._lock:
            old = self._memo.pop(text, None)
            self._memo_bytes += len(stored.raw) - (0 if old is None else len(old.raw))
            self._memo[text] = stored
            while len(self._memo) > MEMO_ITEMS or self._memo_bytes > MEMO_BYTES:
                first = next(iter(self._memo))
                self._memo_bytes -= len(self._memo.pop(first).raw)


def _bounded(ttl_s: float) -> float:
    return min(max(ttl_s, 1.0), LONGEST_S)
