"""One request that the application is to answer, and all that happens on its behalf."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from wsgistack.cache.answers import (
    AfterResponse,
    Changes,
    Drop,
    Fetch,
    Invalidation,
    Keep,
    Pass,
    Refetch,
    Refresh,
    Serve,
    Trip,
    Validate,
)
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.freshness import NOTHING_TOLD
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.page import Page, Reply
from wsgistack.cache.rules import Rule
from wsgistack.cache.run import Captured, Run, Then, close_body, send_reply
from wsgistack.cache.shelf import Place, Shelf
from wsgistack.http.request import RequestView
from wsgistack.wsgi import Environ, EnvironRequest, ExcInfo, Headers, StartResponse, WSGIApplication

__all__ = ["Visit", "Works"]

log = logging.getLogger("wsgistack.cache")


@dataclass(slots=True)
class Works:
    """What all visits of one cache share.  *find_place*: the place of an absolute URL, None for none."""

    app: WSGIApplication
    engine: PageCacheEngine
    shelf: Shelf
    now: Callable[[], float]
    largest: int
    find_place: Callable[[str, Place], Place | None]
    refreshing: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Visit:
    """A request at *place*; *environ* is what the application is to see."""

    __slots__ = ("_asked_at", "_environ", "_request", "_rule", "_sent", "_works", "place")

    def __init__(
        self, works: Works, environ: Environ, request: RequestView, place: Place, rule: Rule | None
    ) -> None:
        self._works = works
        self._environ = environ
        self._request = request
        self._rule = rule
        self._sent: Fetch | Validate | Pass = Pass("bypass")
        self._asked_at = 0.0
        self.place = place

    def serve(self, decision: Serve, start_response: StartResponse) -> Iterable[bytes]:
        """Answer by what is stored; what is to be fetched anew is fetched when the reply was sent."""
        body = send_reply(decision.reply, start_response)
        refresh = decision.refresh
        return body if refresh is None else Then(body, lambda: self._refresh(refresh))

    def send(self, sent: Fetch | Validate | Pass, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer, and return what goes to the client."""
        works = self._works
        self._sent, self._asked_at = sent, works.now()
        environ = self._environ if isinstance(sent, Pass) else _changed(self._environ, sent.changes)
        run = Run(self, start_response, works.largest)
        body: Iterable[bytes] = ()
        blocks: Iterator[bytes] | None = None
        try:
            body = works.app(environ, run.start)
            if run.answer is None:  # start_response is called when the first block is asked for
                iterator = iter(body)
                first = next(iterator, None)
                blocks = iterator if first is None else chain((first,), iterator)
        except Exception:
            close_body(body)
            reply = run.stand_in()
            if reply is None:
                raise
            return send_reply(reply, start_response)
        return self._go_on(run, body, blocks, environ, start_response)

    def _go_on(
        self,
        run: Run,
        body: Iterable[bytes],
        blocks: Iterator[bytes] | None,
        environ: Environ,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Do what was decided when the application called start_response."""
        answer = run.answer
        if isinstance(answer, Keep):
            why = _why_only_pass(answer, body, environ, self._works.largest)
            if not why:
                return Captured(run, answer, body, iter(body) if blocks is None else blocks)
            run.refuse_to_keep(why)
        elif isinstance(answer, Refetch):
            close_body(body)
            return self.send(answer.fetch, start_response)
        reply = answer.reply if isinstance(answer, Serve | Refresh) else None
        if isinstance(reply, Reply):
            close_body(body)
            return send_reply(reply, start_response)
        if answer is not None and not run.is_sent:
            run.send_head()
        return body if blocks is None else Chained(body, blocks)

    def judge(self, head: ResponseHead) -> AfterResponse:
        """Return what to do with the response, and do to the shelf what cannot wait."""
        works, rule = self._works, self._rule
        trip = Trip(
            self._request,
            self._sent,
            self.place.target.url,
            self._asked_at,
            NOTHING_TOLD if rule is None else rule.told,
            () if rule is None else tuple(rule.tags),
        )
        answer = works.engine.on_response(trip, head, works.now())
        if isinstance(answer, Refresh):
            if answer.page is None:
                works.shelf.forget(self.place)
            else:
                works.shelf.put(self.place, answer.page, asked_at=self._asked_at)
        elif isinstance(answer, Keep | Drop) and answer.invalidates is not None:
            self._invalidate(answer.invalidates)
        return answer

    def stand_in(self) -> Reply | None:
        """Return a stale reply for an application that failed, and say so in the log."""
        works = self._works
        serve = works.engine.on_failure(self._request, self._sent, works.now())
        if serve is None:
            return None
        log.warning("origin_failed", extra={"url": self.place.target.url}, exc_info=sys.exc_info())
        return serve.reply

    def keep(self, page: Page) -> None:
        """Store a page that is complete."""
        self._works.shelf.put(self.place, page, asked_at=self._asked_at)

    def _invalidate(self, worthless: Invalidation) -> None:
        self._works.shelf.forget(self.place)
        for url in worthless.urls[1:]:
            place = self._works.find_place(url, self.place)
            if place is not None:
                self._works.shelf.forget(place)

    def _refresh(self, sent: Fetch | Validate) -> None:
        """Fetch the page anew, for nobody; one at a time for each key."""
        works, text = self._works, self.place.key.text
        with works.lock:
            if text in works.refreshing:
                return
            works.refreshing.add(text)
        try:
            self._in_background().send_to_nobody(sent)
        except Exception:
            log.warning("refresh_failed", extra={"url": self.place.target.url}, exc_info=True)
        finally:
            with works.lock:
                works.refreshing.discard(text)

    def _in_background(self) -> Visit:
        environ = dict(self._environ)
        environ.update({"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO()})
        for name in ("CONTENT_LENGTH", "CONTENT_TYPE", "wsgi.early_hints", "wsgi.input_terminated"):
            environ.pop(name, None)
        return Visit(self._works, environ, EnvironRequest(environ), self.place, self._rule)

    def send_to_nobody(self, sent: Fetch | Validate) -> None:
        """Let the application answer a request that nobody waits for."""
        body = self.send(sent, _to_nobody)
        try:
            for _ in body:
                pass
        finally:
            close_body(body)


class Chained:
    """A body of which the first block was taken already."""

    __slots__ = ("_blocks", "_body")

    def __init__(self, body: Iterable[bytes], blocks: Iterator[bytes]) -> None:
        self._body: Iterable[bytes] | None = body
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close the application's body, once."""
        body, self._body = self._body, None
        if body is not None:
            close_body(body)


def _changed(environ: Environ, changes: Changes) -> Environ:
    if not changes:
        return environ
    made = dict(environ)
    for name, value in changes.items():
        variable = "HTTP_" + name.upper().replace("-", "_")
        if value is None:
            made.pop(variable, None)
        else:
            made[variable] = value
    return made


def _why_only_pass(keep: Keep, body: Iterable[bytes], environ: Environ, largest: int) -> str:
    """Return why a body is better left alone, "" if it is not: a server sends a file by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        return "file"
    announced = keep.head.field("content-length")
    return "too-large" if announced and announced.isdecimal() and int(announced) > largest else ""


def _to_nobody(
    status: str, headers: Headers, exc_info: ExcInfo | None = None, /
) -> Callable[[bytes], object]:
    if exc_info is not None and exc_info[1] is not None:
        raise exc_info[1].with_traceback(exc_info[2])
    return lambda block: None
