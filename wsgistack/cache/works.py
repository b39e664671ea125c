"""What all visits of one cache share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from wsgistack import forks
from wsgistack.cache.answers import Invalidation
from wsgistack.cache.audit import Audit
from wsgistack.cache.bans import Ban
from wsgistack.cache.coalesce import Coalescer
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.found import Place
from wsgistack.cache.page import Page
from wsgistack.cache.purge import Purges
from wsgistack.cache.shelf import Shelf
from wsgistack.cache.telling import tell
from wsgistack.cache.verification import Verification
from wsgistack.errors import StoreError
from wsgistack.wsgi import WSGIApplication

__all__ = ["Works"]


@dataclass(slots=True, eq=False, weakref_slot=True)
class Works:
    """The parts of a cache.

    *find_places*: where the pages of an absolute URL lie, for all kinds of visitors.
    """

    app: WSGIApplication
    engine: PageCacheEngine
    shelf: Shelf
    now: Callable[[], float]
    largest: int
    find_places: Callable[[str], list[Place]]
    purges: Purges
    coalescer: Coalescer[Page] | None
    verification: Verification | None = None
    audit: Audit | None = None
    refreshing: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        forks.register(self)
        if self.coalescer is not None:
            self.purges.on_changes.append(self.coalescer.begin_anew)

    def forked(self) -> None:
        """Forget which pages are being refreshed: who is at it stays in the parent."""
        self.refreshing = set()
        self.lock = threading.Lock()

    def invalidate(self, place: Place, worthless: Invalidation) -> None:
        """Make worthless what a change of *place* does: pages of URLs, and of groups on its origin."""
        url = place.target.url
        places = [one for other in worthless.urls for one in self.find_places(other)]
        seen = place.target.seen
        if seen is not None:  # what the application names lies behind the same mount point
            places += [Place(one.target._replace(seen=seen), one.dimensions) for one in places]
        self.shelf.forget([place, *places])
        if self.coalescer is not None:
            self.coalescer.begin_anew([one.key.text for one in (place, *places)])
        if worthless.groups:
            origin = "/".join(url.split("/", 3)[:3])
            try:
                self.purges.add([Ban(tag=group, origin=origin) for group in worthless.groups])
            except StoreError:
                tell("invalidation_failed", url=url, exc_info=True)
