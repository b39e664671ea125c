"""Requests for pages that were not kept a moment ago: they go past the cache, but for a look at the head.

Most pages say nothing of a lifetime, so for most visitors there is nothing to look for and nothing to
keep.  The application sees such a request as it came, as it does one that is somebody's own; what it
answers is never stored, and so need not be made of what the key carries alone.  Where it says something
else now, the next request is one to be kept.
"""

from __future__ import annotations

from collections.abc import Callable
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
from wsgistack.cache.shortcut import OfKind, Verdict
from wsgistack.cache.status import forwarded, refused
from wsgistack.cache.storing import TELLING
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.cache.works import Works
from wsgistack.http.request import RequestView
from wsgistack.steps import Passage
from wsgistack.wsgi import Environ

__all__ = ["Unkept", "make_unkept"]

FETCH = Fetch("uri-miss", {})
NOTHING_SAID = refused("uri-miss", "no-lifetime")
KEPT_NEXT = forwarded("uri-miss", detail="not-kept-lately")
# What a component may have said without changing whether a page that says no lifetime is kept.
OF_NO_MATTER: tuple[dict[str, object], ...] = ({}, {"has_made_tag": True})
OF_THE_REQUEST = ("HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL")


class Unkept:
    """Lets plain GETs pass and says so in Cache-Status.  *view* makes of an environ what the engine asks."""

    __slots__ = ("_coalescer", "_engine", "_is_usual", "_now", "_view")

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
        self._is_usual = engine.policy.targets is TARGETS

    def takes(self, environ: Environ, passage: Passage, verdict: Verdict) -> bool:
        """Let a request pass, and have the head looked at when it comes; False for one to be looked at closer."""
        place = verdict.place if type(verdict) is OfKind else verdict
        if type(place) is not Place or self._coalescer.is_worth_a_look(place.key.text):
            return False
        environ[ENVIRON_KEY] = Voice()
        passage.mark_by(lambda passage: self._status_of(passage, place))
        return True

    def _status_of(self, passage: Passage, place: Place) -> str:
        """Return what Cache-Status says of a response."""
        environ, fields, voice = passage.environ, passage.fields, passage.environ.get(ENVIRON_KEY)
        if not isinstance(voice, Voice):  # what the application put there is nothing that could say something
            voice = Voice()
        if (
            self._is_usual
            and passage.head[:3] == "200"
            and vars(voice) in OF_NO_MATTER
            and TELLING.isdisjoint(fields)
            and len(fields) == len(passage.headers)
            and ("etag" not in fields or voice.has_made_tag)
            and "*" not in fields.get("vary", "")
            and OF_THE_REQUEST[0] not in environ
            and OF_THE_REQUEST[1] not in environ
        ):
            voice.too_late_for = place.target.url
            return NOTHING_SAID
        return self._closely(passage, place, voice)

    def _closely(self, passage: Passage, place: Place, voice: Voice) -> str:
        """Judge as if it were kept; what could have been will be, the next time."""
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
        voice.too_late_for = place.target.url
        return answer.head.fields[-1][1]


def make_unkept(works: Works, visitors: Guests | Codings) -> Unkept | None:
    """Return what lets requests pass, None where each is to be looked at all the same."""
    if works.coalescer is None or works.verification is not None or works.audit is not None:
        return None
    view = visitors.plain if isinstance(visitors, Guests) else visitors.see
    return Unkept(works.engine, works.coalescer, view, works.now)
