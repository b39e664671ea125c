"""What a fork leaves behind: a child has all of the memory, and only the thread that forked.

A server may fork at any moment, while other threads answer requests.  In the child a lock that one of
them held is never released, what it guarded may be half changed, and what somebody was at is never
done.  Who owns such things registers, and is told in the child before its code goes on:

    def __init__(self):
        self._lock = Lock()
        self._entries = {}
        forks.register(self)

    def forked(self):
        if forks.is_held(self._lock):
            self._entries = {}
        self._lock = Lock()

Locks are made anew rather than released: the one who holds it may be the forking thread itself, whose
`with` releases the old one.  Nothing is said over connections of the parent, only our copies closed.

The same goes for a module that another thread was importing: the child has half of it, for good, and
whoever asks for it there waits for a lock that nobody holds, or fails.  So nothing is imported by a
request: what is not needed before the first one is imported by `load` when a component is made.

Taking all locks before a fork was considered: it would wait for whoever sleeps with one, for ever
where two threads take two of them in different orders, and costs the parent.
"""

from __future__ import annotations

import logging
import os
import weakref
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from wsgistack.errors import ConfigurationError

__all__ = ["Owner", "is_held", "load", "register"]

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who is told of forks; hashable by its identity, and forgotten with its last reference."""

    def forked(self) -> None:
        """Begin anew, in the child, where no other thread is."""
        ...


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


def register(owner: Owner) -> None:
    """Tell *owner* of each fork from now on, in the child.  Owners are told in no particular order."""
    _owners.add(owner)


def is_held(lock: Any) -> bool:
    """Return, in a child, whether another thread held *lock* when the process forked.

    Afterwards it is held in any case: make a new one.
    """
    return not lock.acquire(blocking=False)


def load(*modules: str) -> None:
    """Import *modules* now, so that no request does; what is not installed here is told by who needs it."""
    for module in modules:
        with suppress(ImportError, ConfigurationError):
            import_module(module)


def _tell() -> None:
    for owner in list(_owners):
        try:
            owner.forked()
        except Exception:  # the others must begin anew all the same
            log.exception("fork: %r did not begin anew", owner)


os.register_at_fork(after_in_child=_tell)
