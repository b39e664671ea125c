"""A channel without a hub: what its tests stand on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet

from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.wire import Call

__all__ = ["Stage", "answer_to"]


class Stage:
    """A channel whose owner, hub and loop only note what they are told; *far* is the server's end."""

    def __init__(
        self, twin: ModuleType, kind: int = socket.SOCK_SEQPACKET, late_glance_s: float = 1000.0
    ) -> None:
        self.told: list[Any] = []
        self.errors: list[BaseException] = []
        self.callbacks: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._greenlet = getcurrent()
        self.loop = SimpleNamespace(
            run_callback=lambda call, *words: self.callbacks.append((call, words)),
            _callbacks=self.callbacks,
            iteration=0,
        )
        self.node = Node(Address("10.0.0.1", 11211), limit_s=1.0, on_away=lambda node: None)
        self.near, self.far = socket.socketpair(socket.AF_UNIX, kind)
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.channel = twin.Channel(
            self, self.node, self, most_bytes=1000, most_calls=3, late_glance_s=late_glance_s
        )

    def switch(self) -> None:
        """Of the hub: let the test go on."""
        self._greenlet.switch()

    def handle_error(self, context: object, kind: object, error: BaseException, trace: object) -> None:
        self.errors.append(error)

    def connect_soon(self) -> None:
        self.told.append("connect_soon")

    def watch(self, seconds: float) -> None:
        self.told.append("watch")
        self.channel.is_watched = True

    def fail(self, failure: str, sock: object) -> None:
        self.told.append((failure, sock))

    def wait_for_room(self) -> None:
        self.told.append("wait_for_room")

    def all_sent(self) -> None:
        self.told.append("all_sent")

    def unpark(self) -> None:
        self.told.append("unpark")

    def turn(self) -> None:
        """Run what was left for the next turn of the loop."""
        callbacks = self.callbacks[:]
        self.callbacks.clear()
        for call, words in callbacks:
            call(*words)

    def sent(self) -> list[bytes]:
        """Return what came to the server, by sends."""
        found = []
        with suppress(BlockingIOError):
            while data := self.far.recv(1_000_000):
                found.append(data)
        return found

    def ask(self, call: Call, seen: list[Any]) -> greenlet:
        """Let a greenlet carry *call*, which notes what came of it in *seen*."""

        def work() -> None:
            self.channel.carry(call)
            seen.append(call.failure or call.answer)

        worker = greenlet(work)
        worker.switch()
        return worker


def answer_to(call: Call) -> bytes:
    """Return what a server answers: the key as the value."""
    return b"VA %d f0 O%d\r\n%b\r\n" % (len(call.keys[0]), call.opaque, call.keys[0])
