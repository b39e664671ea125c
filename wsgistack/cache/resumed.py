"""A reply that stops in the middle is gone on with, out of another answer to the same request.

Who follows a page has sent its head and some blocks when its maker stops.  Another answer may bring the rest
where it is the same so far, its fields and every byte: then the client has exactly that other answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from wsgistack.cache.coalesce import Left
from wsgistack.cache.run import close_body
from wsgistack.wsgi import ExcInfo, Headers, StartResponse

__all__ = ["gone_on"]

# What differs from one answer to the next and says nothing of the body.
NOT_COMPARED = frozenset(("age", "cache-status", "date", "server-timing", "x-request-id", "x-runtime"))


def gone_on(
    status: str, fields: Headers, blocks: Iterator[bytes], again: Callable[[StartResponse], Iterable[bytes]]
) -> Iterator[bytes]:
    """Yield *blocks*, which are sent behind that head; if they stop (Left), the rest of what *again* answers.

    Left where that is another answer: what was sent cannot be taken back.
    """
    sent: list[bytes] = []
    try:
        for block in blocks:
            sent.append(block)
            yield block
    except Left as left:
        why = str(left)
    else:
        return
    announced = next((value for name, value in fields if name.lower() == "content-length"), "")
    if not announced.isdecimal() or sum(map(len, sent)) < int(announced):
        yield from _rest(_compared(status, fields), b"".join(sent), again, why)


def _rest(
    head: object, sent: bytes, again: Callable[[StartResponse], Iterable[bytes]], why: str
) -> Iterator[bytes]:
    """Yield what *again* answers behind *head* and *sent*."""
    heads: list[object] = []
    written: list[bytes] = []

    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
        if exc_info is not None and exc_info[1] is not None:  # the head was sent long ago
            raise exc_info[1].with_traceback(exc_info[2])
        heads.append(_compared(status, headers))
        return written.append

    body, at = again(start), 0
    try:
        for given in chain(body, (b"",)):
            block = b"".join((*written, given))
            written.clear()
            if block and heads != [head]:
                raise Left(f"{why}; another answer has another head")
            known = block[: len(sent) - at]
            if not sent.startswith(known, at):
                raise Left(f"{why}; another answer has another body")
            at += len(known)
            if len(block) > len(known):
                yield block[len(known) :]
    finally:
        close_body(body)
    if at < len(sent) or heads != [head]:
        raise Left(f"{why}; another answer is shorter")


def _compared(status: str, fields: Headers) -> object:
    """Return what must be the same in two heads."""
    told = [(name.lower(), value) for name, value in fields]
    # A moment that says the same as max-age, which counts (RFC 9111 §5.3), is another one each time.
    is_aged = any(name == "cache-control" and "max-age" in value.lower() for name, value in told)
    left_out = NOT_COMPARED | {"expires"} if is_aged else NOT_COMPARED
    return status, sorted(field for field in told if field[0] not in left_out)
