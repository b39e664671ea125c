"""Asking a configuration endpoint which nodes there are, in the background.

No request waits for it.  The nodes that were told last stay until others are told; the endpoint
itself is never asked for data.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from wsgistack.errors import ConfigurationError, Unreadable
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.dialogue import open_socket
from wsgistack.store.memcached.endpoint import OLD_QUESTION, QUESTION, Book, Configuration, read_answer
from wsgistack.store.memcached.hubs import find_hub

__all__ = ["Watch"]

PORTION = 65_536
FIRST_WAIT_S = 1.0  # after a failure, doubled by each
HURRY_S = 5.0  # between two looks because a node failed
STEP_S = 1.0  # a look that is wanted sooner waits no longer
LOST_S = 10.0  # a watch that was not heard of for so long died with its thread or hub

log = logging.getLogger("wsgistack.store.memcached")


class Watch:
    """Looks every *every_s* seconds; *use* is told the nodes when they change."""

    def __init__(
        self,
        endpoints: Sequence[Address],
        *,
        every_s: float,
        timeout_s: float,
        use: Callable[[Sequence[Address]], object],
    ) -> None:
        self.polls = self.failures = 0
        self.trouble = ""
        self._endpoints = list(endpoints)
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._use = use
        self._book = Book()
        self._failed = 0  # in a row
        self._epoch = 0
        self._heard_at = -LOST_S
        self._due_at = 0.0
        self._hurried_at = -HURRY_S

    @property
    def version(self) -> int | None:
        """The version of the nodes in use; None while nobody told any."""
        return None if self._book.last is None else self._book.last.version

    @property
    def names(self) -> str:
        """The endpoints, as text."""
        return ", ".join(endpoint.name for endpoint in self._endpoints)

    def look(self) -> tuple[Address, ...] | None:
        """Ask now, by the sockets of the running code; return other nodes than before, or None."""
        self.polls += 1
        sockets = _find_sockets()
        troubles = []
        for endpoint in self._endpoints:
            try:
                found = _ask(endpoint, sockets, self._timeout_s)
            except (OSError, Unreadable) as error:
                troubles.append(f"{endpoint.name}: {error}")
                continue
            self._failed = 0
            self.trouble = ""
            self._due_at = time.monotonic() + self._every_s
            return self._book.take(found)
        self._failed += 1
        self.failures += 1
        self.trouble = "; ".join(troubles)
        wait_s = min(FIRST_WAIT_S * 2 ** min(self._failed - 1, 10), self._every_s)
        self._due_at = time.monotonic() + wait_s
        log.warning("discovery-failed", extra={"trouble": self.trouble})
        return None

    def start(self) -> None:
        """Begin to look, unless somebody does; costs little where somebody does."""
        now = time.monotonic()
        if now - self._heard_at < LOST_S:
            return
        self._heard_at = now
        if find_hub() is not None:
            import gevent

            gevent.spawn(self._go_on, self._epoch, gevent.sleep)
        else:
            arguments = (self._epoch, time.sleep)
            threading.Thread(target=self._go_on, args=arguments, name="discovery", daemon=True).start()

    def hurry(self) -> None:
        """Look soon: a node failed, and may have been replaced."""
        now = time.monotonic()
        if now - self._hurried_at >= HURRY_S:
            self._hurried_at = self._due_at = now

    def stop(self) -> None:
        """Let it end; `start` begins again."""
        self._epoch += 1
        self._heard_at = -LOST_S

    def _go_on(self, epoch: int, sleep: Callable[[float], object]) -> None:
        while epoch == self._epoch:
            self._heard_at = now = time.monotonic()
            left_s = self._due_at - now
            if left_s > 0:
                sleep(min(left_s, STEP_S))
                continue
            nodes = self.look()
            if nodes is not None and epoch == self._epoch:
                self._tell(nodes)

    def _tell(self, nodes: Sequence[Address]) -> None:
        try:
            self._use(nodes)
        except ConfigurationError as error:  # more nodes than a ring takes
            self.failures += 1
            self.trouble = str(error)
            log.warning("discovery-failed", extra={"trouble": self.trouble})


def _find_sockets() -> Any:
    if find_hub() is not None:
        from gevent import socket as gevent_socket

        return gevent_socket
    import socket

    return socket


def _ask(endpoint: Address, sockets: Any, timeout_s: float) -> Configuration:
    """Return what *endpoint* says; OSError or Unreadable if that is nothing."""
    refusals = []
    for question in (QUESTION, OLD_QUESTION):
        sock = open_socket(endpoint, sockets, timeout_s)
        try:
            found = _exchange(sock, question, timeout_s)
        finally:
            sock.close()
        if isinstance(found, Configuration):
            return found
        refusals.append(found)
    raise Unreadable(f"it knows of no cluster ({', '.join(refusals)})")


def _exchange(sock: Any, question: bytes, timeout_s: float) -> Configuration | str:
    deadline = time.monotonic() + timeout_s
    sock.settimeout(timeout_s)
    sock.sendall(question)
    data = b""
    while (found := read_answer(data)) is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no whole answer in time")
        sock.settimeout(left_s)
        portion = sock.recv(PORTION)
        if not portion:
            raise ConnectionResetError("closed in the middle of an answer")
        data += portion
    return found
