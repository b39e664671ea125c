"""What all calls of a connection pass through, plain and compiled: every answer to its own call, whatever happens."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from greenlet import GreenletExit, greenlet

from tests.store.memcached.channels import Stage, answer_to
from wsgistack.store.memcached import channel, channel_cy, links, requests
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.wire import Call

TWINS = [channel, channel_cy]
SEEDS = 8


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
