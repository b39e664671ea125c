"""The dialogue of telnet: lines come in, replies go out; no socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from wsgistack.balancer.admin.access import Granted, Refused
from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.language.replies import Error, Ok, Quit, Reply, Shutdown, encode
from wsgistack.balancer.language.session import LineBuffer, Overlong, Session

__all__ = ["Perform", "converse"]

Perform = Callable[[str, Session], Reply]  # returns everything but an Ask, raises nothing

AUTH = re.compile(r"\s*auth\s+(\S+)\s*", re.IGNORECASE)
AUTH_FIRST = "a token is needed here: say auth TOKEN first"


def converse(chunks: Iterable[bytes], door: Door, perform: Perform, *, peer: str = "") -> Iterator[bytes]:
    """Yield what to write to what *chunks* bring, until the dialogue with *peer* is over."""
    session = Session(peer=peer)
    verdict = door.enter(None)
    for line in _lines(chunks):
        if isinstance(line, Overlong):
            yield _refuse(line.text)
            return
        if shown := AUTH.fullmatch(line):
            verdict = door.enter(shown[1])
            if isinstance(verdict, Granted):
                yield encode(Ok(), verbose=True)
                continue
        if isinstance(verdict, Refused):
            yield _refuse(verdict.text if shown or verdict.retry_after_s else AUTH_FIRST)
            return
        session.readonly = verdict.readonly or door.is_readonly
        reply = perform(line, session)
        yield encode(reply, verbose=session.verbose)
        if isinstance(reply, Quit) or (isinstance(reply, Shutdown) and not reply.graceful):
            return


def _refuse(text: str) -> bytes:
    return encode(Error(text), verbose=True)


def _lines(chunks: Iterable[bytes]) -> Iterator[str | Overlong]:
    buffer = LineBuffer()
    for data in chunks:
        yield from buffer.feed(data)
