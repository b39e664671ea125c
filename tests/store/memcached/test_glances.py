"""An answer that is there at once costs no turn of the loop, plain and compiled; and when nobody looks for one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.store.memcached.channels import Stage, answer_to
from wsgistack.store.memcached import channel, channel_cy, requests
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.wire import Call

TWINS = [channel, channel_cy]


@pytest.fixture(params=TWINS, ids=["plain", "compiled"])
def opened(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(request.param)
    stage.channel.open(stage.near)
    yield stage
    stage.near.close()
    stage.far.close()


def answered_at_once(stage: Stage, call: Call | None = None) -> bool:
    """Return whether an answer that is there is found without a turn of the loop; in the end it is found."""
    seen: list[Any] = []
    call = call or requests.get(b"key")
    stage.far.send(answer_to(call))
    stage.ask(call, seen)
    at_once = bool(seen)
    if not at_once:
        stage.loop.iteration += 1
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


def test_one_lease_in_a_turn_of_the_loop_looks_at_once_though_it_is_the_turn_of_others(opened: Stage) -> None:
    opened.loop.run_callback(lambda: None)

    def ask_lease() -> bool:
        return answered_at_once(opened, requests.lease(b"key", stub_ttl=1, early=0))

    assert [ask_lease(), ask_lease(), ask_lease()] == [True, False, True]
    assert not answered_at_once(opened)


def test_the_loop_has_its_turn_among_many_answers_that_are_there_at_once(opened: Stage) -> None:
    found = [answered_at_once(opened) for _ in range(70)]
    assert [number for number, at_once in enumerate(found) if not at_once] == [32, 65]
    opened.loop.iteration += 1
    assert all(answered_at_once(opened) for _ in range(32))


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
