"""One request on its way: its bytes, what will answer it, and who waits for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wsgistack.store.memcached.replies import Answer

if TYPE_CHECKING:
    from wsgistack.store.memcached.wire import Replies

__all__ = [
    "BARE",
    "BULK_BYTES",
    "FIRST_OPAQUE",
    "LAST_OPAQUE",
    "LINES",
    "QUIET",
    "STATS",
    "VALUES",
    "Call",
    "Wait",
    "expect",
]

VALUES, LINES, STATS, QUIET, BARE = "values", "lines", "stats", "quiet", "bare"
BULK_BYTES = 65_536  # a request or an answer above this goes over a connection for large ones
# Of the requests of a single value (`singles`).  Apart from those of `requests`, so that no two calls
# on their way have the same number.
FIRST_OPAQUE, LAST_OPAQUE = 2_000_000, 9_999_999


class Wait:
    """Somebody who waits for several calls: how many are missing, and how to wake the waiter.

    *wake* is None once nobody waits any more; the answers that come then go nowhere.
    """

    __slots__ = ("missing", "wake")

    def __init__(self, missing: int, wake: Callable[[], object] | None) -> None:
        self.missing = missing
        self.wake = wake


class Call:
    """One request.  It ends once: with an `answer`, or with a `failure` (a word of nodes.FAILURES).

    *kind* and *count* tell the reader of replies what to expect, *keys* which values may come.
    *verb* and *words* say the same as *payload* to a server without the meta protocol.
    *is_fatal*: the payload holds data, which would be read as commands if it were refused.
    """

    __slots__ = (
        "answer",
        "count",
        "failure",
        "is_bulk",
        "is_fatal",
        "keys",
        "kind",
        "opaque",
        "payload",
        "started_at",
        "verb",
        "wait",
        "wake",
        "words",
    )

    def __init__(
        self,
        payload: bytes,
        kind: str,
        verb: str,
        words: tuple[Any, ...],
        *,
        keys: list[bytes],
        count: int = 1,
        opaque: int = 0,
        is_fatal: bool = False,
    ) -> None:
        self.payload = payload
        self.kind = kind
        self.verb = verb
        self.words = words
        self.keys = keys
        self.count = count
        self.opaque = opaque
        self.is_fatal = is_fatal
        self.is_bulk = False
        self.answer: Answer | None = None
        self.failure: str | None = None
        self.wait: Wait | None = None
        self.wake: Callable[[], object] | None = None  # of somebody who waits for this call alone
        self.started_at = 0.0

    @property
    def is_over(self) -> bool:
        """True once there is an answer or a failure."""
        return self.answer is not None or self.failure is not None

    def finish(self, answer: Answer | None, failure: str | None) -> None:
        """End the call, once, and wake who waits when nothing else is missing."""
        if self.answer is not None or self.failure is not None:
            return
        self.answer = answer
        self.failure = failure
        if self.wake is not None:
            wake, self.wake = self.wake, None
            wake()
            return
        wait = self.wait
        if wait is not None:
            self.wait = None
            wait.missing -= 1
            if not wait.missing and wait.wake is not None:
                wake, wait.wake = wait.wake, None
                wake()


def expect(replies: Replies, call: Call) -> None:
    """Tell the reader of a connection what will answer *call*."""
    if call.kind is LINES:
        replies.expect_lines(call.count, call.opaque, call.is_fatal)
    elif call.kind is VALUES:
        replies.expect_values(call.keys)
    elif call.kind is BARE:
        replies.expect_bare(call.keys)
    elif call.kind is QUIET:
        replies.expect_quiet(call.count, call.opaque)
    else:
        replies.expect_stats()
