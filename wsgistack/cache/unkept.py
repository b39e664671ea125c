"""Requests for pages that were not kept a moment ago: they go past the cache, but for a look at the head.

Most pages say nothing of a lifetime, so for most visitors there is nothing to look for and nothing to
keep.  The application sees such a request as it came, as it does one that is somebody's own; what it
answers is never stored, and so need not be made of what the key carries alone.  Where it says something
else now, the next request is one to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsgistack.cache.answers import Drop, Fetch, Keep, Trip
from wsgistack.cache.coalesce import Coalescer
from wsgistack.cache.codings import Codings
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.found import Place
from wsgistack.cache.guests import Guests
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.policy import TARGETS
from wsgistack.cache.rules import told_of
from wsgistack.cache.status import forwarded
from wsgistack.cache.voice import Voice
from wsgistack.cache.works import Works
from wsgistack.http.request import RequestView
from wsgistack.steps import Passage
from wsgistack.wsgi import Environ

__all__ = ["Unkept", "make_unkept"]

FETCH = Fetch("uri-miss", {})
KEPT_NEXT = forwarded("uri-miss", detail="not-kept-lately")


class Unkept:
    """What `shortcut.Passing` asks of such pages.  *view* makes of an environ what the engine asks."""

    __slots__ = ("_coalescer", "_engine", "_now", "_view", "alone", "clock", "is_usual")

    def __init__(
        self,
        engine: PageCacheEngine,
        coalescer: Coalescer[Any],
        view: Callable[[Environ], RequestView],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._coalescer = coalescer
        self._view = view
        self._now = now
        self.alone: Mapping[str, tuple[float, bool]] = coalescer.alone
        self.clock = coalescer.clock
        self.is_usual = engine.policy.targets is TARGETS

    def closely(self, passage: Passage, place: Place, voice: Voice) -> str:
        """Judge as if it were kept; what could have been will be, the next time.  Return what Cache-Status says."""
        now, status = self._now(), passage.head
        head = ResponseHead(int(status[:3]), status[4:], passage.headers)
        trip = Trip(
            self._view(passage.environ),
            FETCH,
            place.target.url,
            now,
            told_of(voice, None),
            voice.tags,
            voice.is_private,
            voice.why,
            voice.has_made_tag,
        )
        answer = self._engine.on_response(trip, head, now)
        if isinstance(answer, Keep):
            self._coalescer.forgive(place.key.text)
            return KEPT_NEXT
        assert isinstance(answer, Drop)  # nothing is stored that could answer, or be refreshed
        voice.too_late_for = place.target
        return answer.head.fields[-1][1]


def make_unkept(works: Works, visitors: Guests | Codings) -> Unkept | None:
    """Return what lets requests pass, None where each is to be looked at all the same."""
    if works.coalescer is None or works.verification is not None or works.audit is not None:
        return None
    view = visitors.plain if isinstance(visitors, Guests) else visitors.see
    return Unkept(works.engine, works.coalescer, view, works.now)
