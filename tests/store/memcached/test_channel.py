"""What all calls of a connection pass through, plain and compiled: every answer to its own call, whatever happens."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from greenlet import GreenletExit, getcurrent, greenlet

from wsgistack.store.memcached import channel, channel_cy, links, requests
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.wire import Call

TWINS = [channel, channel_cy]
SEEDS = 8


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
            run_callback=lambda call, *words: self.callbacks.append((call, words)), _callbacks=self.callbacks
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


@pytest.fixture(params=TWINS, ids=["plain", "compiled"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(request.param)
    yield made
    made.near.close()
    made.far.close()


@pytest.fixture
def opened(stage: Stage) -> Stage:
    stage.channel.open(stage.near)
    return stage


def answer_to(call: Call) -> bytes:
    """Return what a server answers: the key as the value."""
    return b"VA %d f0 O%d\r\n%b\r\n" % (len(call.keys[0]), call.opaque, call.keys[0])


def test_the_first_call_leaves_at_once_and_those_behind_it_together(opened: Stage) -> None:
    calls = [requests.get(b"%d" % number) for number in range(4)]
    for call in calls:
        opened.channel.submit(call)
    assert opened.sent() == [calls[0].payload]
    opened.turn()
    assert opened.sent() == [b"".join(call.payload for call in calls[1:])]
    assert opened.told == ["watch"]


def test_what_those_ask_for_who_were_answered_leaves_together(opened: Stage) -> None:
    first, second = requests.get(b"a"), requests.get(b"b")
    more = [requests.get(b"c"), requests.get(b"d")]
    for call, next_ in zip((first, second), more, strict=True):
        call.wake = lambda next_=next_: opened.channel.submit(next_)
        opened.channel.submit(call)
    opened.turn()
    opened.sent()
    opened.far.send(answer_to(first) + answer_to(second))
    opened.channel.read()
    assert opened.sent() == [more[0].payload + more[1].payload]


def test_without_a_socket_calls_wait_for_one(stage: Stage) -> None:
    calls = [requests.get(b"a"), requests.get(b"b")]
    for call in calls:
        stage.channel.submit(call)
    stage.channel.read()
    stage.channel.flush()
    assert stage.told == ["connect_soon", "watch", "connect_soon"]
    assert (len(stage.channel), stage.channel.calls()) == (2, calls)
    stage.channel.open(stage.near)
    assert stage.sent() == [calls[0].payload + calls[1].payload]


def test_answers_are_those_of_their_calls_and_are_noted(opened: Stage) -> None:
    seen: list[Any] = []
    calls = [requests.get(b"a"), requests.get_many([b"b"]), requests.line(b"mn")]
    for call in calls:
        opened.ask(call, seen)
    opened.turn()
    opened.far.send(answer_to(calls[0]) + b"VALUE b 0 1\r\nB\r\nEND\r\nM")
    opened.channel.read()
    assert [type(answer) for answer in seen] == [list, list]
    opened.far.send(b"N\r\n")
    opened.channel.read()
    assert seen[0] == [Reply(b"VA", b"a")] and seen[1][0].value == b"B" and seen[2] == [Reply(b"MN", b"")]
    assert (len(opened.channel), opened.node.counters.calls) == (0, 3)
    assert opened.node.counters.latency.percentile(1.0) > 0
    assert opened.node.patience.seconds < 1.0


def test_who_stops_waiting_leaves_the_answer_to_nobody(opened: Stage) -> None:
    seen: list[Any] = []
    calls = [requests.get(b"a"), requests.get(b"b")]
    first, _ = [opened.ask(call, seen) for call in calls]
    opened.turn()
    first.throw(GreenletExit)
    assert calls[0].wake is None
    opened.far.send(answer_to(calls[0]) + answer_to(calls[1]))
    opened.channel.read()
    assert seen == [[Reply(b"VA", b"b")]]
    assert calls[0].answer == [Reply(b"VA", b"a")]


def test_who_raises_when_woken_stops_nobody_else(opened: Stage) -> None:
    seen: list[Any] = []
    calls = [requests.get(b"a"), requests.get(b"b")]

    def raises() -> None:
        raise LookupError("mine")

    calls[0].wake = raises
    opened.channel.submit(calls[0])
    opened.ask(calls[1], seen)
    opened.turn()
    opened.far.send(answer_to(calls[0]) + answer_to(calls[1]))
    opened.channel.read()
    assert [str(error) for error in opened.errors] == ["mine"]
    assert seen == [[Reply(b"VA", b"b")]]


@pytest.mark.parametrize(
    ("said", "failure"), [(b"", "lost"), (b"nonsense\r\n", "garbage"), (b"VA 1 f0 O1\r\nx\r\n", "garbage")]
)
def test_a_server_that_goes_or_talks_nonsense_is_told_to_the_owner(
    opened: Stage, said: bytes, failure: str
) -> None:
    call = requests.get(b"a")
    call.opaque += 5
    opened.channel.submit(call)
    if said:
        opened.far.send(said)
    else:
        opened.far.close()
    opened.channel.read()
    assert opened.told == ["watch", (failure, opened.near)]
    assert call.is_over is False


def test_a_send_that_fails_is_told_in_the_next_turn_of_the_loop(opened: Stage) -> None:
    opened.far.close()
    opened.channel.submit(requests.get(b"a"))
    assert opened.told == ["watch"]
    opened.turn()
    assert opened.told == ["watch", ("lost", opened.near)]


@pytest.mark.parametrize("twin", TWINS)
def test_what_the_kernel_does_not_take_waits_and_counts(twin: ModuleType) -> None:
    stage = Stage(twin, socket.SOCK_STREAM)
    stage.channel.open(stage.near)
    call = requests.store("set", b"a", bytes(4_000_000), 0, 0)
    stage.channel.submit(call)
    assert stage.told == ["watch", "wait_for_room"]
    assert stage.channel.is_full and 0 < stage.channel.out_bytes < len(call.payload)
    came = b""
    while stage.channel.out_bytes:
        came += b"".join(stage.sent())
        stage.channel.flush()
    came += b"".join(stage.sent())
    assert came == call.payload
    assert stage.told == ["watch", "wait_for_room", "all_sent"]
    assert stage.channel.is_full is False
    stage.near.close()
    stage.far.close()


def test_it_is_full_with_more_calls_than_that(opened: Stage) -> None:
    calls = [requests.get(b"%d" % number) for number in range(4)]
    for call in calls[:3]:
        opened.channel.submit(call)
    assert opened.channel.is_full is False
    opened.channel.submit(calls[3])
    assert opened.channel.is_full is True
    opened.channel.has_parked = True
    opened.turn()
    opened.far.send(answer_to(calls[0]))
    opened.channel.read()
    assert (opened.channel.is_full, opened.told) == (False, ["watch", "unpark"])


def test_what_is_detached_forgets_everything_but_the_calls(opened: Stage) -> None:
    call, next_ = requests.get(b"a"), requests.get(b"b")
    opened.channel.submit(call)
    opened.far.send(answer_to(call)[:7])
    opened.channel.read()
    assert opened.channel.detach() is opened.near
    assert (opened.channel.sock, opened.channel.out_bytes) == (None, 0)
    assert (opened.channel.take(), opened.channel.take(), len(opened.channel)) == ([call], [], 0)
    opened.channel.submit(next_)
    opened.channel.open(opened.near)
    opened.far.send(answer_to(next_))
    opened.channel.read()
    assert next_.answer == [Reply(b"VA", b"b")]


def test_a_greenlet_that_is_answered_may_take_the_channel_apart(opened: Stage) -> None:
    calls = [requests.get(b"a"), requests.get(b"b"), requests.get(b"c")]
    taken: list[Call] = []

    def take_apart() -> None:
        opened.channel.detach()
        taken.extend(opened.channel.take())

    calls[0].wake = take_apart
    for call in calls:
        opened.channel.submit(call)
    opened.turn()
    opened.far.send(answer_to(calls[0]) + answer_to(calls[1]))
    opened.channel.read()
    assert taken == [calls[2]]
    assert calls[1].answer == [Reply(b"VA", b"b")]


def answered_at_once(stage: Stage) -> bool:
    """Return whether an answer that is there is found without a turn of the loop; in the end it is found."""
    seen: list[Any] = []
    call = requests.get(b"key")
    stage.far.send(answer_to(call))
    stage.ask(call, seen)
    at_once = bool(seen)
    if not at_once:
        stage.channel.read()
    assert seen == [[Reply(b"VA", b"key")]]
    return at_once


def test_an_answer_that_is_there_at_once_costs_no_turn_of_the_loop(opened: Stage) -> None:
    assert answered_at_once(opened)
    assert (len(opened.channel), opened.node.counters.calls, len(opened.sent())) == (0, 1, 1)
    assert opened.node.counters.latency.percentile(1.0) > 0


def test_an_answer_that_is_there_is_left_to_the_loop_while_it_is_the_turn_of_others(opened: Stage) -> None:
    opened.loop.run_callback(lambda: None)
    assert not answered_at_once(opened)
    opened.turn()
    assert answered_at_once(opened)


def test_the_loop_has_its_turn_among_many_answers_that_are_there_at_once(opened: Stage) -> None:
    found = [answered_at_once(opened) for _ in range(70)]
    assert [number for number, at_once in enumerate(found) if not at_once] == [32, 65]


def test_a_server_that_is_far_is_looked_at_now_and_then(opened: Stage) -> None:
    seen: list[Any] = []
    for number in range(8):
        call = requests.get(b"%d" % number)
        opened.ask(call, seen)
        assert len(seen) == number
        opened.far.send(answer_to(call))
        opened.channel.read()
    found = [answered_at_once(opened) for _ in range(66)]
    assert [number for number, at_once in enumerate(found) if at_once] == [63, 64, 65]


@pytest.mark.parametrize("twin", TWINS)
def test_who_lost_the_processor_by_looking_does_so_now_and_then_only(twin: ModuleType) -> None:
    stage = Stage(twin, late_glance_s=0.0)
    stage.channel.open(stage.near)
    assert [answered_at_once(stage) for _ in range(3)] == [True, False, False]
    stage.near.close()
    stage.far.close()


def test_of_those_who_are_answered_together_the_last_one_looks_at_once(opened: Stage) -> None:
    calls = [requests.get(b"a"), requests.get(b"b")]
    next_ = requests.get(b"c")
    seen: list[Any] = []

    def ask_again() -> None:
        opened.far.send(answer_to(next_))
        opened.ask(next_, seen)

    calls[1].wake = ask_again
    for call in calls:
        opened.channel.submit(call)
    opened.turn()
    opened.far.send(answer_to(calls[0]) + answer_to(calls[1]))
    opened.channel.read()
    assert seen == [[Reply(b"VA", b"c")]]


@pytest.mark.parametrize(
    ("said", "failure"), [(b"", "lost"), (b"nonsense\r\n", "garbage")], ids=["the end", "nonsense"]
)
def test_what_is_found_at_once_and_is_no_answer_is_told_by_the_loop(
    opened: Stage, said: bytes, failure: str
) -> None:
    seen: list[Any] = []
    if said:
        opened.far.send(said)
    else:
        opened.far.shutdown(socket.SHUT_WR)
    opened.ask(requests.get(b"a"), seen)
    assert (opened.told, seen) == (["watch"], [])
    opened.channel.read()
    opened.turn()
    assert (opened.told, seen) == (["watch", (failure, opened.near)], [])


def test_a_part_of_an_answer_that_is_there_at_once_is_kept(opened: Stage) -> None:
    seen: list[Any] = []
    call = requests.get(b"a")
    opened.far.send(answer_to(call)[:5])
    opened.ask(call, seen)
    assert seen == []
    opened.far.send(answer_to(call)[5:])
    opened.channel.read()
    assert seen == [[Reply(b"VA", b"a")]]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_answer_goes_astray_in_any_portions_and_with_any_who_give_up(opened: Stage, seed: int) -> None:
    dice = random.Random(seed)
    given_up: set[bytes] = set()
    got: dict[bytes, Any] = {}
    asking: dict[bytes, greenlet] = {}
    owed = b""

    def ask(key: bytes) -> None:
        call = requests.get(key)
        opened.channel.carry(call)
        got[key] = call.answer

    for number in range(400):
        match dice.randrange(4):
            case 0 | 1 if len(opened.channel) < 50:
                key = b"key:%d" % number
                asking[key] = greenlet(ask)
                asking[key].switch(key)
            case 2 if waiting := [key for key in asking if not asking[key].dead]:
                key = dice.choice(waiting)
                given_up.add(key)
                asking[key].throw(GreenletExit)
            case _:
                opened.turn()
                for line in b"".join(opened.sent()).split(b"\r\n")[:-1]:
                    words = line.split(b" ")
                    owed += b"VA %d f0 %b\r\n%b\r\n" % (len(words[1]), words[-1], words[1])
                cut = dice.randrange(len(owed) + 1)
                if cut:
                    opened.far.send(owed[:cut])
                    owed = owed[cut:]
                    opened.channel.read()
    assert len(got) > 20 and len(given_up) > 20
    assert not given_up & set(got), seed
    assert all(answer == [Reply(b"VA", key)] for key, answer in got.items()), seed
    assert opened.errors == []


def test_the_compiled_one_is_used_where_it_is_there() -> None:
    assert links.Channel is channel_cy.Channel
