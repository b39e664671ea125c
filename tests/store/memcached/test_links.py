"""A connection that greenlets share: what is bounded, and how it ends."""

from __future__ import annotations

import os
from functools import partial

import gevent
import pytest

from tests.conftest import PATIENT
from tests.store.memcached.stage import hanging, node_of, run_as, together, wait_until
from tools.real_memcached import Memcached
from wsgistack.store.memcached import channel, coop, direct, links
from wsgistack.store.memcached.ring import MemcacheRing


@pytest.fixture(autouse=True, params=["plain", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of calls under gevent, plain or compiled."""
    if request.param == "plain":
        monkeypatch.setattr(links, "Channel", channel.Channel)
        monkeypatch.setattr(coop, "ask", direct.ask)


def test_what_waits_to_be_sent_is_bounded_and_so_is_the_wait(
    memcached: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST_UNSENT", 200_000)
    ring = MemcacheRing([memcached.address], on_down="miss", **PATIENT)
    value = os.urandom(60_000)
    most = [0]

    def watch(link: links.Link) -> None:
        while True:
            most[0] = max(most[0], link.channel.out_bytes)
            gevent.sleep(0.005)

    def script() -> list[bool]:
        ring.set("first", 1)
        (link,) = ring._cluster.lanes.current().links.values()  # type: ignore[attr-defined]  # a Coop
        watcher = gevent.spawn(watch, link)
        with hanging(ring, memcached, patience_s=1):
            stored = together(
                "greenlets", [partial(ring.set, f"key:{number}", value) for number in range(200)]
            )
        watcher.kill()
        ring.close()
        return stored

    # 12 MB were asked for; the kernel took some, and none of it has an answer.
    assert run_as("greenlets", script) == [False] * 200
    assert most[0] <= 200_000 + 65_536


def test_those_who_waited_for_room_go_on_when_there_is_some(
    memcached: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST_UNANSWERED", 3)
    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> list[int]:
        values = {f"key:{number}": number for number in range(100)}
        assert (
            together("greenlets", [partial(ring.set, key, value) for key, value in values.items()])
            == [True] * 100
        )
        found = together("greenlets", [partial(ring.get, key) for key in values])
        ring.close()
        return found

    assert run_as("greenlets", script) == list(range(100))


def test_a_connection_that_rested_and_was_closed_is_made_again(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> list[object]:
        ring.set("a", 1)
        (link,) = ring._cluster.lanes.current().links.values()  # type: ignore[attr-defined]  # a Coop
        link.fail("lost", link.channel.sock)
        found = [ring.get("a"), node_of(ring, memcached).counters.outages, ring.nodes()[0]["connects"]]
        ring.close()
        return found

    assert run_as("greenlets", script) == [1, 0, 2]


def test_a_callback_of_the_hub_cannot_wait(memcached: Memcached) -> None:
    from gevent.exceptions import BlockingSwitchOutError

    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> str:
        said: list[str] = []

        def callback() -> None:
            try:
                ring.get("a")
            except BlockingSwitchOutError as error:
                said.append(str(error))

        gevent.get_hub().loop.run_callback(callback)
        wait_until(lambda: said)
        return said[0]

    assert run_as("greenlets", script) == "a callback of the hub cannot wait for memcached"
    ring.close()
