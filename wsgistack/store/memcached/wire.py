"""What is used on the wire: the compiled modules where they were built, else their plain twins."""

from __future__ import annotations

from wsgistack.store.memcached.replies import Answer, Item, Reply

try:
    from wsgistack.store.memcached.replies_cy import Replies
except ImportError:  # there was no C compiler: the same answers, a tenth as fast
    from wsgistack.store.memcached.replies import Replies  # type: ignore[assignment]  # its twin

try:
    from wsgistack.store.memcached.storing_cy import write_stores
except ImportError:  # as above
    from wsgistack.store.memcached.storing import write_stores

try:
    from wsgistack.store.memcached.batches_cy import collect, find_refused, sort_names, sort_values
except ImportError:  # as above
    from wsgistack.store.memcached.batches import collect, find_refused, sort_names, sort_values

__all__ = [
    "Answer",
    "Item",
    "Replies",
    "Reply",
    "collect",
    "find_refused",
    "sort_names",
    "sort_values",
    "write_stores",
]
