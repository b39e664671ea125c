"""One request on its way through the components around an application that share a frame.

A component is a *step* if all that it does is one of these:

    enter(environ, passage) -> None, or what answers instead of everything further inside
    at_end                     called with the passage when the response is over; None where it does not care

and, asked for in `enter`, of which a frame has one each: `passage.settle`, which sees the whole response
before its head is sent, and `passage.shape`, which changes its head and may recode its blocks.

`wsgistack.passage_cy` is the compiled twin of this module; `steps` picks one.  PEP 3333
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from wsgistack.wsgi import (
    EARLY,
    Environ,
    ExcInfo,
    Headers,
    StartResponse,
    WSGIApplication,
    answer_early,
)

__all__ = ["Front", "Fused", "Instead", "Passage", "Recoding", "Step", "Steps"]

log = logging.getLogger(__name__)

Instead = Callable[[StartResponse], Iterable[bytes]]


class Recoding(Protocol):
    """What becomes of the blocks of one body."""

    def take(self, block: bytes, /) -> bytes:
        """Return what is to be sent for a block, as much as can be."""
        ...

    def last(self) -> bytes:
        """Return what is still to be sent when nothing more comes, b"" for nothing."""
        ...


class Passage:
    """One request on its way through steps, and the body of its response where that is not the application's own.

    *head*, *headers*: as the application said them, the list our own; *fields*: the same by lower-case
    name, of several the last.  *status*: three digits, "500" of an application that raised before it
    answered, or said something else.  *cache_status*: the field of that name.  *sent*: bytes of the body.  *began_ns*: of the
    clock of Steps; *took_us*: known at the end.  *request_id*: what the response is to carry, unless the
    application says another one.

    *settle(passage, rest)*: asked with the blocks to come, all or but the first few, before the head is
    sent; returns what is sent for them, *rest* itself if that is unchanged.  *shape(passage)*: may change
    head and headers and set *recoding* when the head is sent.
    """

    __slots__ = (
        "_about",
        "_added",
        "_body",
        "_cached",
        "_ends",
        "_is_away",
        "_is_held",
        "_is_open",
        "_is_sent",
        "_marker",
        "_rest",
        "_start_response",
        "_write",
        "began_ns",
        "cache_status",
        "clock",
        "environ",
        "fields",
        "head",
        "headers",
        "recoding",
        "request_id",
        "sent",
        "settle",
        "shape",
        "started_at",
        "status",
        "took_us",
    )

    head: str
    headers: Headers
    fields: dict[str, str]
    took_us: int
    started_at: float  # seconds since the epoch, where a step wants to know it
    _body: Iterable[bytes]
    _rest: Iterable[bytes]
    _write: Callable[[bytes], object]

    def __init__(
        self, environ: Environ, start_response: StartResponse, ends: Ends, clock: Callable[[], int]
    ) -> None:
        self.environ = environ
        self._start_response = start_response
        self._ends = ends
        self._added: Headers | None = None
        self._cached = ""
        self._marker: Callable[[Passage, Any], str] | None = None
        self._is_held = self._is_sent = self._is_away = False
        self._is_open = True
        self.settle: Callable[[Passage, Iterable[bytes]], Iterable[bytes]] | None = None
        self.shape: Callable[[Passage], object] | None = None
        self.recoding: Recoding | None = None
        self.request_id = ""
        self.status = "500"
        self.cache_status = ""
        self.sent = 0
        self.clock = clock
        if ends:
            self.began_ns = clock()

    def add(self, fields: Headers) -> None:
        """Let the response have *fields* too, before those of steps further outside."""
        self._added = fields if self._added is None else fields + self._added

    def mark(self, field: tuple[str, str]) -> None:
        """Let it have *field*, its Cache-Status, too."""
        self._cached = field[1]
        self.add([field])

    def mark_by(self, marker: Callable[[Passage, Any], str], about: object) -> None:
        """Let it have such a field whose value *marker* makes of the head, as it is before anybody shapes it.

        It is called with this passage and *about*.
        """
        self._marker, self._about = marker, about
        self.add([LATER])

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Take what the application says, and pass it on with what was added unless somebody is to settle it."""
        if self._is_held and exc_info is None:  # a server would say so
            raise AssertionError("start_response was called twice")
        if self._is_sent and (exc_info is None or self.sent):  # the server raises: what was sent stands
            if exc_info is None:
                return self._start_response(status, headers)
            return self._start_response(status, headers, exc_info)
        self.head = status
        self.headers = headers = [*headers]
        self.fields = {name.lower(): value for name, value in headers}
        if self.settle is not None and not self._is_sent:
            self._is_held = True
            return self._write_block
        self._send(exc_info)
        return self._write if self.recoding is None and not self._ends else self._write_block

    def _send(self, exc_info: ExcInfo | None = None) -> None:
        self._is_held, self._is_sent = False, True
        if self._marker is not None:
            self._cached = self._marker(self, self._about)
        if self.shape is not None and not self._is_away:
            self.recoding = None
            self.shape(self)
        status, headers, fields = self.head, self.headers, self.fields
        self.status = _digits_of(status[:3])
        self.cache_status = self._cached or fields.get("cache-status", "")
        if self._added is not None:
            headers += [field if field is not LATER else (LATER[0], self._cached) for field in self._added]
        if self.request_id and "x-request-id" not in fields:
            headers.append(("X-Request-Id", self.request_id))
        if exc_info is None:  # some servers take no None
            self._write = self._start_response(status, headers)
        else:
            self._write = self._start_response(status, headers, exc_info)

    def _write_block(self, data: bytes) -> object:
        if self._is_held:  # too late to settle anything
            self._send()
        if self.recoding is not None and data:
            data = self.recoding.take(data)
        self.sent += len(data)
        return self._write(data)

    @property
    def is_held(self) -> bool:
        """Whether the head can still be settled: nothing was written."""
        return self._is_held

    def watch(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return what the server gets for *body*: the very same where nobody wants anything else."""
        self._body = rest = body
        if self._is_held:
            try:
                rest = self._settle(body)
            except BaseException:
                close_body(body)  # the server never gets it
                raise
        is_late = not self._is_sent and (self.settle is not None or self.shape is not None)
        if self._ends or self.recoding is not None or rest is not body or is_late:
            self._rest = rest
            return self
        self._is_away = True
        return body

    def _settle(self, rest: Iterable[bytes]) -> Iterable[bytes]:
        if self.settle is not None:  # else who asked for it took that back
            rest = self.settle(self, rest)
        if self._is_held:
            self._send()
        return rest

    def __iter__(self) -> Iterator[bytes]:
        """Go on by one step for each step of the body."""
        rest = self._rest
        if not self._is_sent:
            rest = self._begin_late(iter(rest))
        for block in rest:
            recoding = self.recoding
            if recoding is not None and block:
                block = recoding.take(block)
            self.sent += len(block)
            yield block
        if self.recoding is not None:
            last = self.recoding.last()
            if last:
                self.sent += len(last)
                yield last

    def _begin_late(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Go on until the application has called start_response, and settle then."""
        for block in blocks:
            if self._is_held:
                yield from self._settle(chain((block,), blocks))
                return
            yield block
        if self._is_held:
            yield from self._settle([])

    def close(self) -> None:
        """Close the body and tell the steps, the innermost first; a second call does nothing."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            close_body(self._body)
        finally:
            self._tell(self._ends)

    def _fail(self, ends: Ends) -> None:
        """Tell those of *ends* that there will be no body."""
        self._is_open = False
        self._tell(ends)

    def _tell(self, ends: Ends) -> None:
        if not ends:
            return
        self.took_us = (self.clock() - self.began_ns) // 1000
        told = iter(ends)
        try:
            for end in told:
                try:
                    end(self)
                except Exception:  # noqa: BLE001 - whatever it is, the response is over
                    complain(end)
        finally:
            others = tuple(told)
            if others:  # one of them was ended itself
                self._tell(others)


LATER = ("Cache-Status", "")  # holds the place of a field whose value is not known yet
Ends = tuple[Callable[[Passage], object], ...]
_failed: set[str] = set()  # the steps that complained


def complain(end: object) -> None:
    """Log, once for each step, that it failed at the end of a response, as by what an application left in the environ.

    That is nobody's trouble: the server has sent everything.
    """
    owner = getattr(end, "asked", end)  # a method, where a step is Python's
    name = type(getattr(owner, "__self__", owner)).__qualname__
    if name not in _failed:
        _failed.add(name)
        log.exception("end_failed step=%s", name)


def _digits_of(status: str) -> str:
    is_one = type(status) is str and len(status) == 3 and status.isascii() and status.isdecimal()
    return status if is_one and status[0] != "0" else "500"


def close_body(body: Iterable[bytes]) -> None:
    """Close a body that has a close()."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


class Step(Protocol):
    """A component that needs no frame of its own."""

    def enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Take a request; what is returned answers it instead of everything further inside."""
        ...

    @property
    def at_end(self) -> Callable[[Passage], object] | None:
        """What is told when the response is over."""
        ...


class Steps:
    """What goes through *steps*, the outermost first, to an application.  Safe for any thread and greenlet.

    *clock*: nanoseconds.
    """

    def __init__(self, steps: Sequence[Step], *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        # Each with those outside of it, who are told of a response that comes from this step.
        self._enters = tuple([(step.enter, _ends_of(steps[:count])) for count, step in enumerate(steps)])
        self._ends = _ends_of(steps)
        self._clock = clock

    def run(self, app: WSGIApplication, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as *app* does, and as the steps want it."""
        ends = self._ends
        passage = Passage(environ, start_response, ends, self._clock)
        try:
            for enter, ends in self._enters:
                instead = enter(environ, passage)
                if instead is not None:
                    passage._ends = ends  # of those further inside none was entered
                    return passage.watch(instead(passage.start_response))
            ends = self._ends
            return passage.watch(app(environ, passage.start_response))
        except BaseException:
            passage._fail(ends)
            raise


class Fused:
    """A WSGI application: several steps around *app*."""

    __slots__ = ("_app", "_frame", "steps")

    def __init__(self, steps: Sequence[Step], app: WSGIApplication) -> None:
        self.steps = tuple(steps)
        self._frame = Steps(steps)
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse, /) -> Iterable[bytes]:
        """Answer a request."""
        return self._frame.run(self._app, environ, start_response)


class Front:
    """What a server calls: answers as *outermost* does, and in the way that this server needs."""

    def __init__(self, outermost: WSGIApplication) -> None:
        self._outermost = outermost

    def __call__(self, environ: Environ, start_response: StartResponse, /) -> Iterable[bytes]:
        """Answer a request."""
        if environ.get("SERVER_SOFTWARE") in EARLY:
            environ["wsgi.multiprocess"] = True  # so that workers look for each other
            return answer_early(self._outermost, environ, start_response)
        return self._outermost(environ, start_response)


def _ends_of(steps: Sequence[Step]) -> Ends:
    ends = [step.at_end for step in reversed(steps)]
    return tuple([end for end in ends if end is not None])
