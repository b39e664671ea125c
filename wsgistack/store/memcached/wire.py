"""What is used on the wire: the compiled modules where they were built, else their plain twins."""

from __future__ import annotations

from wsgistack.store.memcached.replies import Answer, Item, Reply

try:
    from wsgistack.store.memcached.calls_cy import Call, Wait
except ImportError:  # there was no C compiler: the same, at several times the cost
    from wsgistack.store.memcached.calls import Call, Wait

try:
    from wsgistack.store.memcached.gauges_cy import Histogram, Patience
except ImportError:  # as above
    from wsgistack.store.memcached.gauges import Histogram, Patience

try:
    from wsgistack.store.memcached.replies_cy import Replies
except ImportError:  # as above
    from wsgistack.store.memcached.replies import Replies  # type: ignore[assignment]  # its twin

try:
    from wsgistack.store.memcached.storing_cy import write_stores
except ImportError:  # as above
    from wsgistack.store.memcached.storing import write_stores

__all__ = [
    "Answer",
    "Call",
    "Histogram",
    "Item",
    "Patience",
    "Replies",
    "Reply",
    "Wait",
    "write_stores",
]
