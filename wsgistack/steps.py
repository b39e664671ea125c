"""Components that look at a request before the application and at the response after it, without a frame each.

A component that only changes the environ, adds fields, or wants to know how it ended is a *step*:

    enter(environ, passage) -> None, or what answers instead of everything further inside
    at_end                     called with the passage when the response is over; None where it does not care

Alone it is a WSGI middleware by means of `Steps((self,))`; a stack runs all steps that follow upon each
other by one Steps: one start_response and one body for all of them, instead of one each.  What a client
sees is the same, in the same order.  PEP 3333
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, WSGIApplication

__all__ = ["Fused", "Instead", "Passage", "Step", "Steps", "steps_of"]

Instead = Callable[[StartResponse], Iterable[bytes]]


class Passage:
    """One request on its way through steps, and the body of its response where one of them waits for the end.

    *status*: three digits, "500" of an application that raised before it answered.  *cache_status*: the
    field of that name.  *sent*: bytes of the body.  *began_ns*: of the clock of Steps; *took_us*: known
    at the end.  *request_id*: what the response is to carry, unless the application says another one.
    """

    __slots__ = (
        "_body",
        "_ends",
        "_fields",
        "_start_response",
        "_write",
        "began_ns",
        "cache_status",
        "clock",
        "environ",
        "request_id",
        "sent",
        "started_at",
        "status",
        "took_us",
    )

    _body: Iterable[bytes]
    _write: Callable[[bytes], object]
    took_us: int
    started_at: float  # seconds since the epoch, where a step wants to know it

    def __init__(
        self, environ: Environ, start_response: StartResponse, ends: Ends, clock: Callable[[], int]
    ) -> None:
        self.environ = environ
        self._start_response = start_response
        self._ends = ends
        self._fields: Headers | None = None
        self.request_id = ""
        self.status = "500"
        self.cache_status = ""
        self.sent = 0
        self.clock = clock
        if ends:
            self.began_ns = clock()

    def add(self, fields: Headers) -> None:
        """Let the response have *fields* too, before those of steps further outside."""
        self._fields = fields if self._fields is None else fields + self._fields

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Pass on what the application says with what was added, and remember it."""
        self.status = status[:3]
        request_id = self.request_id
        for name, value in headers:
            if len(name) == 12:
                low = name.lower()
                if low == "cache-status":
                    self.cache_status = value
                elif low == "x-request-id":
                    request_id = ""
        if self._fields is not None:
            headers = [*headers, *self._fields]
        if request_id:
            headers = [*headers, ("X-Request-Id", request_id)]
        if exc_info is None:  # some servers take no None
            write = self._start_response(status, headers)
        else:
            write = self._start_response(status, headers, exc_info)
        if not self._ends:
            return write
        self._write = write
        return self._count

    def _count(self, data: bytes) -> object:
        self.sent += len(data)
        return self._write(data)

    def watch(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return what the server gets for *body*: the very same where nobody waits for the end."""
        if not self._ends:
            return body
        self._body = body
        return self

    def __iter__(self) -> Iterator[bytes]:
        """Go on by one step for each step of the body."""
        for block in self._body:
            self.sent += len(block)
            yield block

    def close(self) -> None:
        """Close the body and tell the steps, the innermost first; a second call does nothing."""
        ends, self._ends = self._ends, ()
        if not ends:
            return
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._tell(ends)

    def failed(self, ends: Ends) -> None:
        """Tell those of *ends* that there will be no body."""
        self._ends = ()
        if ends:
            self._tell(ends)

    def leave(self, ends: Ends) -> None:
        """Let only *ends* be told: the steps further inside were not entered."""
        self._ends = ends

    def _tell(self, ends: Ends) -> None:
        self.took_us = (self.clock() - self.began_ns) // 1000
        told = iter(ends)
        try:
            for end in told:
                end(self)
        finally:
            others = tuple(told)
            if others:  # one of them raised
                self._tell(others)


Ends = tuple[Callable[[Passage], object], ...]


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
                    passage.leave(ends)
                    return passage.watch(instead(passage.start_response))
            ends = self._ends
            return passage.watch(app(environ, passage.start_response))
        except BaseException:
            passage.failed(ends)
            raise


def _ends_of(steps: Sequence[Step]) -> Ends:
    ends = [step.at_end for step in reversed(steps)]
    return tuple([end for end in ends if end is not None])


class Fused:
    """A WSGI application: several steps around *app*."""

    def __init__(self, steps: Sequence[Step], app: WSGIApplication) -> None:
        self._steps = Steps(steps)
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._steps.run(self._app, environ, start_response)


def steps_of(layers: Sequence[object]) -> Sequence[Step]:
    """Return the steps that *layers*, the outermost first, begin with, each directly around the next."""
    steps: list[Step] = []
    for layer in layers:
        if not getattr(layer, "is_step", False) or (steps and getattr(steps[-1], "app", None) is not layer):
            break
        steps.append(layer)  # type: ignore[arg-type]  # is_step says so
    return steps
