"""Calls over connections that rest, plain and compiled: what is done in one go, and what is left to others."""

from __future__ import annotations

import functools
import math
import socket
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import PATIENT
from tests.store.memcached.stage import run_as
from tools.real_memcached import Memcached, running
from wsgistack.store.memcached import plain, requests, talks, talks_cy
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.memcached.wire import Call

TWINS = [talks, talks_cy]
both = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


def in_a_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test where no hub can be, whatever ran in pytest's own thread before."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        run_as("threads", functools.partial(test, **fixtures))

    return run


class Rest:
    """Where the one connection of a node rests; *far* is the server's end, which reads nothing by itself."""

    def __init__(self, twin: ModuleType, number: int) -> None:
        self.node = Node(Address(f"10.0.0.{number}", 11211), limit_s=1000.0, on_away=lambda node: None)
        near, self.far = socket.socketpair()
        self.connection = twin.Connection(near, 0.0)
        self.connection.rested_at = (
            time.monotonic() + 1000
        )  # it rests for no time, however slow this machine is
        self.resting = [self.connection]
        self.interrupted: list[Any] = []
        self.waiting = 0
        self.let = 0

    def let_in(self) -> None:
        self.let += 1

    def close(self) -> None:
        self.connection.sock.close()
        self.far.close()


class Stage:
    """Two nodes with a connection each."""

    def __init__(self, twin: ModuleType) -> None:
        self.twin = twin
        self.one, self.two = Rest(twin, 1), Rest(twin, 2)
        self.rests = {rest.node: rest for rest in (self.one, self.two)}
        self.under_way: dict[Node, Any] = {}

    def talk(self, *pairs: tuple[Rest, Call], due_at: float = math.inf) -> tuple[int, bytes]:
        """Make calls; return what talk does."""
        found = self.twin.talk(
            self.rests, [(rest.node, call) for rest, call in pairs], self.under_way, due_at
        )
        return found[0], found[1]


@pytest.fixture(params=TWINS, ids=["plain", "compiled"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(request.param)
    yield made
    made.one.close()
    made.two.close()


def hit(call: Call) -> bytes:
    """Return what a server answers to a get: the key as the value."""
    return b"VA %d f0 O%d\r\n%b\r\n" % (len(call.keys[0]), call.opaque, call.keys[0])


def test_all_is_sent_and_answered_and_the_connections_rest_again(stage: Stage) -> None:
    calls = [requests.get(b"a"), requests.get(b"b"), requests.get_bare([b"c", b"d"])]
    stage.one.far.send(hit(calls[0]) + b"VALUE d 0 1\r\nD\r\nEND\r\n")
    stage.two.far.send(hit(calls[1]))
    pairs = [(stage.one, calls[0]), (stage.two, calls[1]), (stage.one, calls[2])]
    assert stage.talk(*pairs) == (3, b"")
    assert [call.answer for call in calls] == [[Reply(b"VA", b"a")], [Reply(b"VA", b"b")], [None, b"D"]]
    assert stage.one.far.recv(1000) == calls[0].payload + calls[2].payload
    assert stage.two.far.recv(1000) == calls[1].payload
    assert stage.under_way == {}
    assert (stage.one.resting, stage.two.resting) == ([stage.one.connection], [stage.two.connection])
    assert 0 < stage.one.connection.rested_at <= time.monotonic()
    assert (stage.one.node.counters.calls, stage.two.node.counters.calls) == (2, 1)
    assert stage.one.node.counters.latency.percentile(1.0) > 0
    assert stage.one.node.patience.seconds < 1000


def test_quiet_writes_and_statistics_are_answered_too(stage: Stage) -> None:
    write, stats = requests.store_many([(b"a", b"1", 0), (b"b", b"2", 0)], 0), requests.stats()
    stage.one.far.send(b"MN\r\nSTAT pid 7\r\nEND\r\n")
    assert stage.talk((stage.one, write), (stage.one, stats)) == (2, b"")
    assert (write.answer, stats.answer) == ([Reply(b"HD"), Reply(b"HD")], {b"pid": b"7"})


def test_who_waits_for_a_connection_is_told_of_one(stage: Stage) -> None:
    call = requests.line(b"mn")
    stage.one.far.send(b"MN\r\n")
    stage.one.waiting = 1
    stage.talk((stage.one, call))
    assert (stage.one.let, stage.two.let) == (1, 0)


def _down(rest: Rest) -> None:
    rest.node.may_write = False


def _classic(rest: Rest) -> None:
    rest.node.is_classic = True


def _rested_long(rest: Rest) -> None:
    rest.connection.rested_at = time.monotonic() - 1.0


LEFT: dict[str, Callable[[Rest], object]] = {
    "a node that is down": _down,
    "a node of the classic protocol": _classic,
    "a node without a connection that rests": lambda rest: rest.resting.clear(),
    "a connection that rested for long": _rested_long,
    "a node that still reads what was interrupted": lambda rest: rest.interrupted.append(None),
}


@pytest.mark.parametrize("name", LEFT)
def test_from_the_first_call_on_that_is_not_simple_all_is_left_to_others(stage: Stage, name: str) -> None:
    LEFT[name](stage.two)
    resting = list(stage.two.resting)
    calls = [requests.get(b"a"), requests.get(b"b"), requests.get(b"c")]
    stage.one.far.send(hit(calls[0]))
    pairs = [(stage.one, calls[0]), (stage.two, calls[1]), (stage.one, calls[2])]
    assert stage.talk(*pairs) == (1, b"")
    assert stage.one.far.recv(1000) == calls[0].payload
    assert list(stage.under_way) == [stage.one.node]
    assert list(stage.one.connection.calls) == [calls[0]]
    assert (stage.two.resting, stage.one.connection.rested_at) == (resting, 0.0)
    assert not any(call.is_over for call in calls)


def test_a_node_that_nobody_talked_to_yet_is_left_to_others(stage: Stage) -> None:
    del stage.rests[stage.one.node]
    assert stage.talk((stage.one, requests.get(b"a"))) == (0, b"")
    assert stage.under_way == {}


def test_what_the_kernel_does_not_take_is_told_and_nothing_is_sent_behind_it(stage: Stage) -> None:
    large, small = requests.store("set", b"a", bytes(8_000_000), 0, 0), requests.get(b"a")
    begun, rest = stage.talk((stage.one, large), (stage.one, small))
    assert begun == 1
    assert 0 < len(rest) < len(large.payload) and large.payload.endswith(rest)
    assert list(stage.one.connection.calls) == [large]


def test_a_connection_that_is_gone_is_left_to_whoever_sends_the_rest(stage: Stage) -> None:
    stage.one.far.close()
    call = requests.get(b"a")
    assert stage.talk((stage.one, call)) == (1, call.payload)
    assert call.is_over is False


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n"], ids=["the end", "nonsense"])
def test_a_server_that_goes_or_talks_nonsense_is_met_again_by_who_reads_on(stage: Stage, said: bytes) -> None:
    calls = [requests.get(b"a"), requests.get(b"b")]
    stage.one.far.send(hit(calls[0]) + said)
    stage.one.far.shutdown(socket.SHUT_WR)
    assert stage.talk((stage.one, calls[0]), (stage.one, calls[1])) == (2, b"")
    assert [call.is_over for call in calls] == [True, False]
    assert list(stage.under_way) == [stage.one.node]
    with pytest.raises(talks.Trouble, match="garbage" if said else "lost"):
        stage.one.connection.receive()


def test_more_than_was_asked_keeps_a_connection_from_resting(stage: Stage) -> None:
    call = requests.get(b"a")
    stage.one.far.send(hit(call) + b"more\r\n")
    assert stage.talk((stage.one, call)) == (1, b"")
    assert call.answer == [Reply(b"VA", b"a")]
    assert (list(stage.under_way), stage.one.resting) == ([stage.one.node], [])
    assert "nobody asked for" in str(stage.one.connection.replies.fault)


def test_an_answer_that_is_late_is_left_to_who_reads_on_and_stops_all_others(stage: Stage) -> None:
    calls = [requests.get(b"a"), requests.get(b"b")]
    stage.two.far.send(hit(calls[1]))
    due_at = time.monotonic() + 0.02
    assert stage.talk((stage.one, calls[0]), (stage.two, calls[1]), due_at=due_at) == (2, b"")
    assert (stage.one.connection.is_late, stage.two.connection.is_late) == (True, False)
    assert list(stage.under_way) == [stage.one.node, stage.two.node]
    assert stage.one.connection.limit_s <= 0.02
    assert stage.two.connection.receive() == 1


def test_a_value_in_portions_is_whole(stage: Stage) -> None:
    value = bytes(range(256)) * 600
    call = requests.get(b"a")
    stage.one.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
    stage.one.far.sendall(b"VA %d f0 O%d\r\n%b\r\n" % (len(value), call.opaque, value))
    assert stage.talk((stage.one, call)) == (1, b"")
    while stage.under_way:  # a machine that stood still leaves it to who reads on
        stage.one.connection.receive()
        stage.under_way.clear()
    assert call.answer == [Reply(b"VA", value)]


# -- the shortest way to a value ------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Memcached]:
    with running(1) as servers:
        yield servers[0]


@both
@in_a_thread
def test_a_thread_finds_a_plain_value_by_it_and_all_else_as_it_was_answered(
    twin: ModuleType, server: Memcached
) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    ring.set_many({"bytes": b"1", "text": "2"})
    ring.get("none")
    found = [
        twin.ask(ring._cluster, ring._made, ring._do.large, name)
        for name in ("bytes", "text", "none", "never")
    ]
    assert found[0] == b"1"
    assert [pair and pair[1].answer[0][:3] for pair in found[1:]] == [
        (b"VA", b"2", 16),
        (b"EN", None, 0),
        None,
    ]
    call = found[1][1]
    assert (call.verb, call.words, call.keys, call.count) == ("get", (None,), [b"text"], 1)
    assert (ring.nodes()[0]["hits"], ring.nodes()[0]["misses"]) == (1, 1)
    with pytest.raises(TypeError):
        twin.ask(ring._cluster, ring._made, ring._do.large, [])
    ring.close()


@both
@in_a_thread
def test_greenlets_and_large_values_and_nodes_that_are_down_have_none(
    twin: ModuleType, server: Memcached
) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    ring.set("key", b"value")

    def ask() -> Any:
        return twin.ask(ring._cluster, ring._made, ring._do.large, "key")

    assert ask() == b"value"
    assert run_as("greenlets", ask) is None
    ring._do.large.add(b"key")
    assert ask() is None
    ring._do.large.clear()
    (node,) = ring._cluster.nodes()
    node.may_read = False
    assert ask() is None
    ring.close()


@both
@in_a_thread
def test_get_goes_it(twin: ModuleType, server: Memcached, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    ring = MemcacheRing([server.address], **PATIENT)

    def ask(*words: Any) -> Any:
        asked.append(words[-1])
        return twin.ask(*words)

    monkeypatch.setattr(ring._cluster.lanes, "ask", ask)
    ring.set_many({"bytes": b"1", "text": "2"})
    assert [ring.get("bytes"), ring.get("text"), ring.get("none", 3), ring.get("none", 3)] == [
        b"1",
        "2",
        3,
        3,
    ]
    assert asked == ["bytes", "text", "none", "none"]
    assert ring.nodes()[0]["hits"] == 2 and ring.nodes()[0]["misses"] == 2
    ring.close()


def test_the_compiled_one_is_used_where_it_is_there() -> None:
    assert (plain.talk, plain.Connection) == (talks_cy.talk, talks_cy.Connection)
