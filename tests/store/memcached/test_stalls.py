"""A process or a machine that stood still does not blame the node for it: both ways, on a clock of numbers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from wsgistack.store.memcached import channel, links, plain, requests, talks
from wsgistack.store.memcached.addresses import parse_address
from wsgistack.store.memcached.calls import expect
from wsgistack.store.memcached.links import Link
from wsgistack.store.memcached.nodes import Node

FOUND = b"VA 5 f0 O%d\r\nfound\r\n"


class Clock:
    """Stands where a module has `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Script:
    """A blocking socket that receives what is told: bytes, or nothing within so many seconds."""

    def __init__(self, clock: Clock, story: Sequence[bytes | float]) -> None:
        self._clock = clock
        self._story = iter(story)
        self.is_closed = False

    def recv(self, _: int) -> bytes:
        event = next(self._story)
        if isinstance(event, bytes):
            self._clock.now += 0.01
            return event
        self._clock.now += event
        raise BlockingIOError

    def shutdown(self, _: int) -> None:
        raise OSError

    def close(self) -> None:
        self.is_closed = True


def make_node() -> Node:
    return Node(parse_address("127.0.0.1:11211"), limit_s=0.2, least_s=0.2, on_away=lambda node: None)


@pytest.mark.parametrize(
    ("story", "failure"),
    [
        pytest.param([0.05, 0.05, 0.05, FOUND], None, id="an answer in time"),
        pytest.param([0.05, 0.05, 0.05, 0.05], "timeout", id="no answer"),
        pytest.param([3.0, 0.05, 0.05, 0.05, FOUND], None, id="a stall at once"),
        pytest.param([0.05, 0.05, 0.05, 3.0, FOUND], None, id="a stall at the end"),
        pytest.param([3.0] * 8, "timeout", id="nothing but stalls"),
        pytest.param([FOUND[:9], 3.0, FOUND[9:]], None, id="a stall between portions"),
        pytest.param([b"", 3.0], "lost", id="the end"),
        pytest.param([b"V", *[0.05, b"A", 0.05, b" "] * 4], "timeout", id="an answer that never gets whole"),
    ],
)
def test_a_thread_that_stood_still_looks_again(
    story: list[bytes | float], failure: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(plain, "time", clock)
    node, call = make_node(), requests.get(b"key")
    told = [one.replace(b"%d", b"%d" % call.opaque) if isinstance(one, bytes) else one for one in story]
    sock: Any = Script(clock, told)
    connection = talks.Connection(sock, 0.2)
    expect(connection.replies, call)
    connection.calls.append(call)
    call.started_at = clock.now
    plain.Plain(connect_timeout_s=1)._finish(plain.Pool(node, 1), connection)
    assert call.failure == failure
    assert node.may_read == (failure is None)


class Loop:
    """An event loop that only notes what is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.due_at = 0.0
        self.callbacks: list[tuple[Any, ...]] = []

    def timer(self, seconds: float) -> Any:
        self.due_at = self._clock.now + seconds
        return SimpleNamespace(start=lambda *_, **__: None, stop=lambda: None, close=lambda: None)

    def run_callback(self, *callback: Any) -> None:
        self.callbacks.append(callback)


@pytest.mark.parametrize(
    "make", [requests.get, lambda key: requests.delete_many([key])], ids=["read", "write"]
)
def test_greenlets_that_stood_still_wait_as_long_as_without(
    make: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stall of 3 s in the midst of a patience of 0.2 s; the silence around it is what counts."""
    clock = Clock()
    monkeypatch.setattr(links, "time", clock)
    monkeypatch.setattr(channel, "time", clock)
    monkeypatch.setattr(links, "Channel", channel.Channel)  # the compiled one has no clock but the kernel's
    loop, node = Loop(clock), make_node()
    link = Link(SimpleNamespace(loop=loop), node, 1.0, lambda node, call: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        link.channel.open(ours)
        link.channel.submit(make(b"key"))
        silent_s = 0.0
        while node.may_write:
            late_s = 3.0 if 0.1 < silent_s < 0.115 else 0.0
            silent_s += loop.due_at - clock.now
            clock.now = loop.due_at + late_s
            link._on_tick()
    assert node.reason == "timeout"
    assert silent_s == pytest.approx(0.2, abs=0.02)
    assert clock.now == pytest.approx(103.2, abs=0.02)
