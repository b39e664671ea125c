"""A call that is interrupted anywhere never gives its answer to another, and leaks nothing.

WSGISTACK_LONG=1000000 sets the number of operations of the long form.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from functools import partial

import gevent
import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached import solo
from tests.store.memcached.stage import Fake, Trickle, pause, run_as, together
from tools.real_memcached import Memcached
from wsgistack.store.memcached import channel, coop, direct, links, plain, sockets
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.ring import MemcacheRing

OPERATIONS = int(os.environ.get("WSGISTACK_LONG", "10000"))
GREENLETS = 20


@pytest.fixture(params=["plain", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of calls under gevent, plain or compiled."""
    if request.param == "plain":
        monkeypatch.setattr(links, "Channel", channel.Channel)
        monkeypatch.setattr(coop, "ask", direct.ask)
        monkeypatch.setattr(coop, "carry_all", direct.carry_all)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("way")
def test_no_answer_goes_astray_when_greenlets_give_up_at_any_byte(memcached_cluster: Cluster) -> None:
    straight, far = memcached_cluster(2)
    trickle = Trickle(far, seed=4)
    ring = MemcacheRing([straight.address, trickle.address], **PATIENT)
    cancelled = [0]

    def work(number: int) -> None:
        dice = random.Random(number)
        for _ in range(OPERATIONS // GREENLETS):
            timeout = gevent.Timeout(dice.random() * 0.001 if dice.random() < 0.5 else 1.0)
            with timeout:
                try:
                    solo.check_some(ring, number, dice)
                except gevent.Timeout as met:
                    assert met is timeout
                    cancelled[0] += 1

    def script() -> list[int]:
        ring.set_many({f"count:{number}": 0 for number in range(GREENLETS)})
        together("greenlets", [partial(work, number) for number in range(GREENLETS)])
        return [node["connects"] for node in ring.nodes()]

    assert run_as("greenlets", script) == [1, 1]
    trickle.__exit__()
    assert cancelled[0] > OPERATIONS // 100
    assert [(node["state"], node["outages"]) for node in ring.nodes()] == [("up", 0), ("up", 0)]
    ring.close()


@pytest.mark.usefixtures("way")
def test_a_killed_greenlet_leaves_its_answer_to_nobody(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> list[object]:
        ring.set_many({"a": "of a", "b": "of b"})
        victims = [gevent.spawn(ring.get, "a") for _ in range(50)]
        gevent.sleep(0)
        for victim in victims:
            victim.kill(block=False)
        return [ring.get("b"), ring.get("a"), ring.nodes()[0]["connects"]]

    assert run_as("greenlets", script) == ["of b", "of a", 1]
    ring.close()


@pytest.mark.usefixtures("way")
def test_a_write_that_was_interrupted_never_overtakes_the_next(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> None:
        for number in range(300):
            with gevent.Timeout(0, False):
                ring.set("a", f"given up {number}")
            assert ring.set("a", number) is True
            assert ring.get("a") == number

    run_as("greenlets", script)
    ring.close()


def test_a_large_write_that_was_interrupted_never_overtakes_the_next_small_one(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    large = os.urandom(1_000_000)

    def script() -> None:
        for number in range(20):
            with gevent.Timeout(0, False):
                ring.set("a", large)
            assert ring.set("a", number) is True
            assert ring.get("a") == number

    run_as("greenlets", script)
    ring.close()


@pytest.mark.slow
@pytest.mark.timeout(20_000)
@pytest.mark.parametrize("script", ["interrupt", "throw"], ids=["signals", "other threads"])
def test_no_answer_goes_astray_when_calls_are_interrupted_at_any_byte(
    script: str, memcached_cluster: Cluster
) -> None:
    straight, far = memcached_cluster(2)
    with Trickle(far, seed=4) as trickle:
        assert solo.run(script, [straight.address, trickle.address]) == 0


def test_who_is_interrupted_while_an_interrupted_call_ends_leaves_the_wait_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    pool = plain.Pool(Node(Address("10.0.0.1", 11211), limit_s=1.0, on_away=lambda node: None), 1.0)
    near, far = socket.socketpair()
    with near, far:
        pool.interrupted.append(near)
        monkeypatch.setattr(sockets, "wait_for_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.take(1.0)
        assert pool.interrupted == [near]


@pytest.mark.parametrize("kind", ["threads", "greenlets"])
def test_a_late_answer_is_nobodys(kind: str) -> None:
    """The first request is answered too late and with another value; nobody ever sees it."""
    release = threading.Event()
    late: list[bytes] = []

    def answer(data: bytes, number: int) -> bytes | None:
        if data.startswith(b"mg wsgistack:dialect"):
            return b"EN O1\r\nMN\r\n"
        if data.startswith(b"version"):
            return b"VERSION 1.6.18\r\n"
        if data.startswith(b"stats"):
            return b"STAT pid 7\r\nEND\r\n"
        answers = []
        for line in data.split(b"\r\n")[:-1]:
            opaque = line.split(b" O")[1]
            if not late:
                late.append(opaque)
                release.wait(10)
            value = b"late!" if opaque in late else b"right"
            answers.append(b"VA 5 f0 O%b\r\n%b\r\n" % (opaque, value))
        return b"".join(answers)

    with Fake(answer) as server:
        ring = MemcacheRing([server.address], timeout=0.1, connect_timeout=20)

        def script() -> list[object]:
            seen: list[object] = [ring.get("a")]
            release.set()
            while seen[-1] is None:
                pause(0.01)
                seen.append(ring.get("a"))
            ring.close()
            return [seen[0], seen[-1]]

        assert run_as(kind, script) == [None, b"right"]
