"""Bodies that a page cache gives to servers in the place of an application's own.  PEP 3333"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain

from wsgistack.cache.answers import Keep
from wsgistack.cache.page import WHOLE_BODIES
from wsgistack.cache.run import Run, close_body

__all__ = ["Captured", "Chained", "Hopeful", "Then", "begin"]


def begin(run: Run, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Return *blocks* once the head is there: the application may give empty ones before it calls start_response."""
    for block in blocks:
        if block or run.head is not None:
            return chain((block,), blocks)
    return blocks


class Captured:
    """The body of a response that is kept, block by block as the application gives it."""

    __slots__ = ("_blocks", "_body", "_run")

    def __init__(self, run: Run, keep: Keep, body: Iterable[bytes], blocks: Iterator[bytes]) -> None:
        self._run = run
        self._body: Iterable[bytes] | None = body
        run.is_measured = isinstance(body, WHOLE_BODIES)
        self._blocks = blocks if run.is_sent or not keep.before else chain((keep.before,), blocks)

    def __iter__(self) -> Captured:
        return self

    def __next__(self) -> bytes:
        run = self._run
        run.go_on()
        try:
            block = next(self._blocks, None)
        except Exception:
            reply = run.stand_in()
            if reply is None:
                raise
        else:
            reply = run.instead
        if reply is not None:
            run.send_instead(reply)
            self._blocks = iter(())
            return reply.body
        if not run.is_sent:
            run.send_head()
        if block is None:
            run.finish()
            raise StopIteration
        run.add(block)
        if run.is_complete:
            run.finish()  # a client that reads slowly keeps nobody waiting for what is there
        return block

    def close(self) -> None:
        """Close the application's body, once; first take the rest if others wait for it."""
        body, self._body = self._body, None
        if body is None:
            return
        try:
            with suppress(Exception):
                while self._run.is_followed:
                    next(self)
        finally:
            self._run.over()
            close_body(body)


class Chained:
    """A body that is read by way of *blocks*."""

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


class Hopeful(Chained):
    """The body of a response that is not kept, whose head waits for its first block: something could stand in for it."""

    __slots__ = ("_run",)

    def __init__(self, run: Run, body: Iterable[bytes]) -> None:
        super().__init__(body, iter(body))
        self._run = run

    def __iter__(self) -> Iterator[bytes]:
        run = self._run
        try:
            first = next(self._blocks, b"")
        except Exception:
            reply = run.stand_in()
            if reply is None:
                raise
        else:
            reply = run.instead
        if reply is not None:
            run.send_instead(reply)
            yield reply.body
            return
        if not run.is_sent:
            run.send_head()
        yield first
        yield from self._blocks


class Then:
    """A whole reply; *afterwards* is called once, when the server closes it."""

    __slots__ = ("_afterwards", "_blocks")

    def __init__(self, blocks: list[bytes], afterwards: Callable[[], None]) -> None:
        self._blocks = blocks
        self._afterwards: Callable[[], None] | None = afterwards

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def close(self) -> None:
        """Do what is to be done afterwards."""
        afterwards, self._afterwards = self._afterwards, None
        if afterwards is not None:
            afterwards()
