"""The caches as the configuration has them, and the services that have one.

A cache whose store stays the same keeps its pages when other settings of it change.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from wsgistack.balancer.split import FIELD
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.signs import KEYED_FIELDS
from wsgistack.cache.texts import TEXTS, arguments
from wsgistack.keeper.edge import Edge
from wsgistack.keeper.origin import Origin
from wsgistack.keeper.ready import Ready
from wsgistack.keeper.server import Server, Tell
from wsgistack.settings import Value
from wsgistack.store.base import Store
from wsgistack.store.memory import MemoryStore
from wsgistack.store.url import make_store

__all__ = ["Cache", "Caches"]

Wire = Mapping[str, Any]  # JSON, see balancer/model.Snapshot


class Cache:
    """One cache: its settings, the middleware, and how requests were answered."""

    def __init__(
        self,
        settings: Mapping[str, Value],
        app: Origin,
        *,
        store: Store,
        counts: Counter[str],
        ready: Ready | None,
        now: Callable[[], float],
        buckets: frozenset[str] = frozenset(),
    ) -> None:
        self.settings = settings
        self.store = store
        self.counts = counts
        self.buckets = buckets
        keyed = {**KEYED_FIELDS, FIELD: buckets}  # also without buckets: a first one leaves pages their keys
        given = {**arguments(settings), "keyed_fields": keyed, "store": store, "now": now}
        self.pages = PageCache(app, **given)
        self.pages.set_plain(FIELD)
        if ready is not None:
            self.pages.witness = ready
            self.pages.shelf.on_change = ready.changed
            self.pages.purges.on_changes.append(ready.clear)

    def look_for_purges(self) -> None:
        """Learn what others purged who share the store: pages in the ready table ask no more."""
        if self.store.shared:
            self.pages.purges.read()


class Caches:
    """All of them.  *make_ready()* gives a cache its share of the ready table, None where there is none."""

    def __init__(
        self,
        *,
        make_ready: Callable[[], Ready | None],
        later: Callable[[Callable[[], None]], object],
        tell: Tell,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.by_name: dict[str, Cache] = {}
        self.servers: dict[int, Server] = {}  # by the number of the service
        self._make_ready = make_ready
        self._later = later
        self._tell = tell
        self._now = now
        self._origin = Origin()

    def apply(self, snapshot: Wire) -> str:
        """Do what *snapshot* says; return what went wrong with it, "" if nothing did."""
        problems = []
        used = {one["cache"] for one in snapshot["services"].values() if one["cache"]}
        buckets: dict[str, set[str]] = {name: set() for name in used}
        for one in snapshot["services"].values():
            if one["cache"]:
                buckets[one["cache"]] |= _buckets_of(one)
        for name in list(self.by_name):
            if name not in used:
                self._end(self.by_name.pop(name), kept=None)
        for name in sorted(used):
            try:
                settings = _read_settings(snapshot["caches"][name]["settings"])
                self._renew(name, settings, frozenset(buckets[name]))
            except Exception as error:  # noqa: BLE001 - of a store of any kind; the others go on
                problems.append(f"cache {name}: {error}")
        self._serve(snapshot)
        return "; ".join(problems)

    def _renew(self, name: str, settings: dict[str, Value], buckets: frozenset[str]) -> None:
        old = self.by_name.get(name)
        if old is not None and (old.settings, old.buckets) == (settings, buckets):
            return
        is_same = old is not None and all(
            old.settings[key] == settings[key] for key in ("store", "max_bytes")
        )
        store = old.store if old is not None and is_same else _make_store(settings)
        counts: Counter[str] = Counter() if old is None else old.counts
        ready = self._make_ready()
        made = Cache(
            settings, self._origin, store=store, counts=counts, ready=ready, now=self._now, buckets=buckets
        )
        self.by_name[name] = made
        if ready is not None:
            ready.clear()
        if old is not None:
            self._end(old, kept=store)

    def _end(self, cache: Cache, *, kept: Store | None) -> None:
        witness = cache.pages.witness
        cache.pages.witness = None
        if isinstance(witness, Ready):
            witness.clear()
        if cache.store is not kept:
            cache.store.close()

    def _serve(self, snapshot: Wire) -> None:
        folder = snapshot["folder"]
        wanted = {one["slot"]: one for one in snapshot["services"].values() if one["cache"] in self.by_name}
        for slot in [slot for slot in self.servers if slot not in wanted]:
            self.servers.pop(slot).stop()
            self._origin.forget(f"{folder}/i{slot}")
        for slot, service in wanted.items():
            edge = self._make_edge(slot, service, folder)
            if slot in self.servers:
                self.servers[slot].change(edge)
            else:
                self.servers[slot] = Server(f"{folder}/k{slot}", edge, self._tell)
                self.servers[slot].start()

    def _make_edge(self, slot: int, service: Wire, folder: str) -> Edge:
        cache = self.by_name[service["cache"]]
        return Edge(
            cache.pages,
            service=slot,
            inner=f"{folder}/i{slot}",
            tells_peers=not service["settings"]["blind_proxy"],
            counts=cache.counts,
            later=self._later,
            buckets=_buckets_of(service),
        )

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return sum(server.running for server in self.servers.values())

    def leave(self) -> None:
        """Take no new connections."""
        for server in self.servers.values():
            server.stop()

    def close(self) -> None:
        """Close connections and stores, when nothing runs any more."""
        self._origin.close()
        for name in list(self.by_name):
            self._end(self.by_name.pop(name), kept=None)


def _buckets_of(service: Wire) -> set[str]:
    """Return the buckets of a service's split."""
    split = service.get("split")
    return {share["pool"] for share in split["shares"]} if split else set()


def _make_store(settings: Mapping[str, Value]) -> Store:
    url, size = str(settings["store"]), settings["max_bytes"]
    assert isinstance(size, int)
    return make_store(url) if url else MemoryStore(size)


def _read_settings(shown: Mapping[str, Any]) -> dict[str, Value]:
    """Return settings as they were before JSON made lists of their tuples."""
    return {
        row.name: tuple(shown[row.name]) if isinstance(shown[row.name], list) else shown[row.name]
        for row in TEXTS
    }
