"""Nodes that die, hang, flap and lie: nobody raises, nobody waits twice, nothing stale is read."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import (
    KINDS,
    Fake,
    hanging,
    node_of,
    owned_by,
    pause,
    run_as,
    together,
    wait_until,
)
from tools.real_memcached import Memcached, listening
from wsgistack.store.memcached.ring import Looked, MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)
policies = pytest.mark.parametrize("policy", ["gutter", "miss", "rehash", "replicate"])


def make_ring(servers: list[Memcached], **options: Any) -> MemcacheRing:
    return MemcacheRing([server.address for server in servers], **{**PATIENT, **options})


def is_up(ring: MemcacheRing, server: Memcached) -> bool:
    return bool(node_of(ring, server).state == "up")


@kinds
@policies
def test_a_flap_serves_nothing_that_was_replaced_meanwhile_in_either_direction(
    kind: str, policy: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers, on_down=policy)
    victim = servers[1]
    keys = owned_by(ring, victim, 94)
    stale: list[tuple[str, str, Any]] = []

    def read(least: int, where: str) -> None:
        for key, value in ring.get_many(keys).items():
            if value < least:
                stale.append((where, key, value))
        for key in keys[::9]:
            value = ring.get(key)
            if value is not None and value < least:
                stale.append((where, key, value))

    def script() -> None:
        ring.set_many(dict.fromkeys(keys, 1))
        version = 1
        for outage in range(3):
            with hanging(ring, victim):
                ring.get(keys[0])  # whoever asks first notices
                wait_until(lambda: not is_up(ring, victim))
                read(version, f"at the beginning of outage {outage}")  # what stood in last time
                version += 1
                ring.set_many(dict.fromkeys(keys[:60], version))
                for key in keys[60:80]:
                    ring.set(key, version)
                ring.delete_many(keys[80:90])
                for key in keys[90:]:
                    ring.delete(key)
                read(version, f"in outage {outage}")
            wait_until(lambda: is_up(ring, victim))
            read(version, f"after outage {outage}")
            version += 1
            ring.set_many(dict.fromkeys(keys, version))
            read(version, f"after the writes behind outage {outage}")
            assert len(ring.get_many(keys)) == len(keys)
        ring.close()

    run_as(kind, script)
    assert stale == []


@kinds
def test_a_write_without_an_answer_takes_no_effect_behind_its_successor(
    kind: str, memcached: Memcached
) -> None:
    """The frozen server holds the write unread; it must not apply it after the key was cleaned."""
    ring = make_ring([memcached], on_down="miss")

    def script() -> None:
        assert ring.set("a", "old") is True
        for number in range(5):
            with hanging(ring, memcached):
                assert ring.set("a", f"lost {number}") is False
            wait_until(lambda: is_up(ring, memcached))
            assert ring.get("a") is None
            assert ring.set("a", f"new {number}") is True
            assert ring.get("a") == f"new {number}"
        ring.close()

    run_as(kind, script)


@kinds
def test_a_node_that_was_killed_costs_no_exception_and_one_call_per_connection(
    kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers)
    keys = owned_by(ring, servers[0], 20)
    states: list[str] = []

    def work(number: int) -> int:
        done = 0
        while len(states) < 4000:
            key = keys[(number + done) % len(keys)]
            states.append(ring.get_ex(key).state)
            ring.set(key, done)
            done += 1
        return done

    def script() -> None:
        ring.set_many(dict.fromkeys(keys, 0))
        workers: list[Callable[[], object]] = [partial(work, number) for number in range(20)]
        together(kind, [*workers, servers[0].kill])
        ring.close()

    run_as(kind, script)
    assert set(states) <= {"hit", "miss", "down"}
    assert states.count("down") <= 20
    assert ring.nodes()[0]["state"] == "down"


@kinds
def test_a_node_that_hangs_is_waited_for_once_by_all_together(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers)
    ours, theirs = owned_by(ring, servers[0], 10), owned_by(ring, servers[1], 10)
    in_vain: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            if ring.get_ex(ours[number % 10]).state == "down":  # else another node was asked
                in_vain.append(number)
            assert ring.get(theirs[number % 10]) == "value"
            pause(0.005)

    def script() -> None:
        ring.set_many(dict.fromkeys(ours + theirs, "value"))
        with hanging(ring, servers[0]):
            together(kind, [partial(work, number) for number in range(20)])
        ring.close()

    run_as(kind, script)
    assert sorted(in_vain) == sorted(set(in_vain)) != []  # each of the twenty at most once
    assert ring.nodes()[0]["outages"] == 1
    assert ring.nodes()[1]["outages"] == 0


@kinds
def test_no_request_is_the_probe(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    ring = make_ring(servers)
    key = owned_by(ring, servers[0], 1)[0]

    def script() -> list[str]:
        ring.get(key)
        with hanging(ring, servers[0]):
            states = [ring.get_ex(key).state]
            for _ in range(20):
                pause(0.02)
                states.append(ring.get_ex(key).state)
        ring.close()
        return states

    assert run_as(kind, script) == ["down"] + ["miss"] * 20  # who probed would find it down


@kinds
def test_get_ex_tells_that_nobody_could_be_asked(kind: str, memcached: Memcached) -> None:
    ring = make_ring([memcached])

    def script() -> list[object]:
        ring.set("a", 1)
        memcached.kill()
        wait_until(lambda: ring.get_ex("a", "default") == Looked("default", "down"))
        found: list[object] = [
            *(ring.get("a"), ring.get("a", 7), ring.gets("a"), ring.get_many(["a"]), ring.set("a", 1)),
            *(ring.add("a", 1), ring.cas("a", 1, 1), ring.incr("a", 1), ring.delete("a"), ring.touch("a")),
            *(
                ring.set_many({"a": 1}),
                ring.delete_many(["a"]),
                ring.flush_all(),
                ring.stats(),
                ring.version(),
            ),
        ]
        ring.close()
        return found

    assert run_as(kind, script) == [
        *(None, 7, (None, None), {}, False),
        *(False, False, None, False, False),
        *(["a"], True, False, {}, {}),
    ]


@kinds
def test_a_node_that_was_restarted_is_empty_and_counted(kind: str, tmp_path: Any) -> None:
    path = str(tmp_path / "socket")

    def script() -> None:
        ring = MemcacheRing([path], on_down="miss", **PATIENT)
        node = ring._cluster.nodes()[0]
        for expected in (0, 1):
            with listening("-s", path):
                # While the node returns, a write may be removed again: its key was dirty.
                wait_until(lambda: ring.set("a", "value") and ring.get("a") == "value")
                assert ring.nodes()[0]["restarts"] == expected
                # The process is known from its return: let it be away once.
                if expected == 0:
                    node.broke("lost", ())
                    wait_until(lambda: node.state == "up")
            wait_until(lambda: ring.get_ex("a").state == "down")
        ring.close()

    run_as(kind, script)


@kinds
def test_more_dirty_keys_than_are_noted_empty_the_node(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    ring = make_ring(servers)
    node = node_of(ring, servers[0])
    node.journal.most_keys = 50
    keys = owned_by(ring, servers[0], 80)

    def script() -> None:
        ring.set_many(dict.fromkeys(keys, "old"))
        with hanging(ring, servers[0]):
            ring.get(keys[0])
            ring.set_many(dict.fromkeys(keys[:70], "new"))
        wait_until(lambda: is_up(ring, servers[0]))
        assert ring.get_many(keys) == {}
        ring.close()

    run_as(kind, script)


def test_replicas_answer_while_the_owner_is_away(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers, on_down="replicate")
    keys = owned_by(ring, servers[0], 20)
    ring.set_many(dict.fromkeys(keys, "kept"))
    servers[0].kill()
    wait_until(lambda: ring.get_ex(keys[0]).state == "hit")
    assert ring.get_many(keys) == dict.fromkeys(keys, "kept")
    assert ring.set(keys[0], "new") is True
    assert ring.get(keys[0]) == "new"
    ring.close()


def test_a_stand_in_keeps_values_for_a_short_time_only(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    ring = make_ring(servers, gutter_ttl=7)
    key = owned_by(ring, servers[0], 1)[0]
    servers[0].kill()
    ring.get(key)
    wait_until(lambda: ring.set(key, "x", expire=1000))
    assert servers[1].ask(b"mg " + key.encode() + b" t") in [b"HD t%d" % s for s in range(8)]
    ring.close()


LIES: dict[str, Callable[[bytes], bytes | None]] = {
    "garbage": lambda opaque: b"\x00\xff\x13garbage\r\n",
    "another protocol": lambda opaque: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "the answer of another request": lambda opaque: b"VA 4 f0 O99999999\r\nevil\r\n",
    "a value that is longer than said": lambda opaque: b"VA 2 f0 O%b\r\nevil\r\n" % opaque,
    "an end in the middle of a value": lambda opaque: None,
    "nothing": lambda opaque: b"",
}


@kinds
@pytest.mark.parametrize("name", LIES)
def test_a_server_that_lies_is_never_believed(kind: str, name: str) -> None:
    is_honest = False

    def answer(data: bytes, number: int) -> bytes | None:
        if data.startswith(b"mg wsgistack:dialect"):
            return b"EN O1\r\nMN\r\n"
        if data.startswith(b"version"):
            return b"VERSION 1.6.18\r\n" if is_honest else None
        if data.startswith(b"stats"):
            return b"STAT pid 7\r\nEND\r\n"
        opaque = data.split(b" O")[1].split(b"\r\n")[0]
        return b"VA 5 f0 O%b\r\nright\r\n" % opaque if is_honest else LIES[name](opaque)

    with Fake(answer) as server:
        ring = MemcacheRing([server.address], timeout=0.3, least_timeout=0.3, connect_timeout=20)

        def script() -> list[object]:
            nonlocal is_honest
            found: list[object] = [ring.get("a"), ring.get_ex("a").state]
            is_honest = True
            wait_until(lambda: ring.get("a") == b"right")
            ring.close()
            return found

        assert run_as(kind, script) == [None, "down"]


@kinds
def test_the_ring_changes_while_it_works_and_only_the_share_moves(
    kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(4)
    ring = make_ring(servers[:3])
    keys = [f"key:{number}" for number in range(3000)]

    def owners() -> dict[str, str]:
        return {key: ring._cluster.snapshot.owner(key.encode()).name for key in keys}

    def script() -> None:
        before = owners()
        plan = ring.plan_add(servers[3].address)
        ring.add_node(servers[3].address)
        wait_until(lambda: len(ring.nodes()) == 4)
        after = owners()
        moved = [key for key in keys if before[key] != after[key]]
        assert {after[key] for key in moved} == {servers[3].address}
        assert abs(len(moved) / len(keys) - plan.share) < 0.04
        assert 0.1 < plan.share < 0.4
        assert sum(plan.per_node.values()) == pytest.approx(plan.share)
        assert ring.set_many(dict.fromkeys(keys, 1)) == []
        ring.remove_node(servers[3].address)
        wait_until(lambda: len(ring.nodes()) == 3)
        assert owners() == before
        ring.set_weight(servers[0].address, 3)
        wait_until(lambda: list(owners().values()).count(servers[0].address) > 1500)
        assert ring.nodes()[0]["weight"] == 3
        ring.close()

    run_as(kind, script)


def test_a_change_of_a_hundred_nodes_does_not_hold_up_the_loop() -> None:
    ring = MemcacheRing([f"10.0.0.{number}:11211" for number in range(1, 101)])
    began = time.thread_time()
    ring.plan_add("10.0.1.1:11211")
    whole_s = time.thread_time() - began

    def script() -> float:
        gaps: list[float] = []
        is_done = False

        def tick() -> None:
            last = time.thread_time()
            while not is_done:
                gevent.sleep(0)
                gaps.append(time.thread_time() - last)
                last = time.thread_time()

        ticker = gevent.spawn(tick)
        gevent.sleep(0.01)
        gaps.clear()
        ring.add_node("10.0.1.1:11211")
        wait_until(lambda: len(ring._cluster.snapshot.nodes) == 101)
        is_done = True
        ticker.join()
        return max(gaps)

    # CPU time of the loop's own thread: what it did not spend on the ring it did not wait for.
    gc.disable()  # a collection of all that the tests made would be as long
    try:
        assert run_as("greenlets", script) < whole_s / 2
    finally:
        gc.enable()
    ring.close()


def test_a_silent_server_at_the_first_contact_is_given_up_after_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ring = MemcacheRing([silent.getsockname()], timeout=0.1, connect_timeout=0.1)
        began = time.monotonic()
        assert ring.get("a") is None
        assert time.monotonic() - began < 20
        while ring.nodes()[0]["state"] != "down":  # the probe that says so runs beside
            assert time.monotonic() - began < 20
            ring.get("a")
            time.sleep(0.05)
        ring.close()
