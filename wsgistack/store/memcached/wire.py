"""The reader of replies that is used: the compiled one where it was built, else the plain one."""

from __future__ import annotations

from wsgistack.store.memcached.replies import Answer, Item, Reply

try:
    from wsgistack.store.memcached.replies_cy import Replies
except ImportError:  # there was no C compiler: the same answers, about half as fast
    from wsgistack.store.memcached.replies import Replies  # type: ignore[assignment]  # its twin

__all__ = ["Answer", "Item", "Replies", "Reply"]
