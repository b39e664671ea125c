"""L1 in a ring on real servers: seen at once are the writes of this process, soon those of others."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import (
    KINDS,
    Fake,
    frozen,
    hanging,
    node_of,
    owned_by,
    run_as,
    together,
    wait_until,
)
from tools.real_memcached import Memcached
from wsgistack.errors import ArgumentError, SettingError
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)


def make_ring(*servers: Memcached, near_ttl: float = 3000, **arguments: Any) -> MemcacheRing:
    places = [server.address for server in servers]
    return MemcacheRing(places, **PATIENT, near=1_000_000, near_ttl=near_ttl, **arguments)


WRITES: dict[str, tuple[Any, Any]] = {
    "set": (lambda ring: ring.set("a", b"new"), b"new"),
    "set_many": (lambda ring: ring.set_many({"a": b"new"}), b"new"),
    "set_many of more than bytes": (lambda ring: ring.set_many({"a": "new"}), "new"),
    "replace": (lambda ring: ring.replace("a", b"new"), b"new"),
    "append": (lambda ring: ring.append("a", b"!"), b"1!"),
    "prepend": (lambda ring: ring.prepend("a", b"!"), b"!1"),
    "cas": (lambda ring: ring.cas("a", b"new", ring.gets("a")[1]), b"new"),
    "incr": (lambda ring: ring.incr("a", 4), b"5"),
    "decr": (lambda ring: ring.decr("a", 1), b"0"),
    "delete": (lambda ring: ring.delete("a"), None),
    "delete_many": (lambda ring: ring.delete_many(["a"]), None),
    "touch": (lambda ring: ring.touch("a", -1), None),
    "invalidate": (lambda ring: ring.invalidate("a"), None),
    "flush_all": (lambda ring: ring.flush_all(), None),
}


@kinds
@pytest.mark.parametrize("name", WRITES)
def test_what_this_process_writes_is_seen_at_once(name: str, kind: str, memcached_cluster: Cluster) -> None:
    ring = make_ring(*memcached_cluster(3))
    write, expected = WRITES[name]

    def script() -> list[Any]:
        ring.set("a", b"1")
        before = [ring.get("a") for _ in range(4)]
        hits = ring.near_stats()["hits"]
        write(ring)
        after = [ring.get("a"), ring.get_many(["a"]).get("a"), ring.get_ex("a").value]
        ring.close()
        return [before, hits >= 2, after]

    assert run_as(kind, script) == [[b"1"] * 4, True, [expected] * 3]


@kinds
def test_many_values_are_kept_too_and_asked_for_no_more(kind: str, memcached_cluster: Cluster) -> None:
    ring = make_ring(*memcached_cluster(3))
    values = {f"k{number}": number if number % 3 else b"%d" % number for number in range(1, 40)}

    def script() -> list[Any]:
        ring.set_many(values)
        seen = [ring.get_many([*values, "none"]) == values for _ in range(3)]
        calls = sum(node["hits"] for node in ring.nodes())
        seen.append(ring.get_many(list(values)) == values)
        seen.append(sum(node["hits"] for node in ring.nodes()) - calls)
        ring.close()
        return seen

    assert run_as(kind, script) == [True, True, True, True, 0]


@kinds
def test_what_another_process_writes_is_seen_when_the_entry_ends(kind: str, memcached: Memcached) -> None:
    ring, other = make_ring(memcached, near_ttl=0.3), make_ring(memcached)

    def script() -> Any:
        ring.set("a", b"old")
        assert [ring.get("a") for _ in range(3)] == [b"old"] * 3
        other.set("a", b"new")
        wait_until(lambda: ring.get("a") == b"new", 5)
        ring.close()
        other.close()

    run_as(kind, script)


@kinds
def test_an_answer_that_a_delete_overtakes_is_not_kept(kind: str) -> None:
    """The server answers the read, the answer lingers, a delete comes and goes, the answer arrives."""
    removed = threading.Event()
    lingers = threading.Event()
    has_come = threading.Event()
    is_removed = [False]

    def answer(data: bytes, number: int) -> bytes | None:
        if data.startswith(b"mg wsgistack:dialect"):
            return b"EN O1\r\nMN\r\n"
        opaque = data.split(b" O")[1].split(b"\r\n")[0]
        if data.startswith(b"md "):
            is_removed[0] = True
            return b"HD O%b\r\n" % opaque
        if data.startswith(b"mg late") and is_removed[0]:
            return b"EN O%b\r\n" % opaque
        if data.startswith(b"mg late") and lingers.is_set():
            has_come.set()
            removed.wait(10)
        return b"VA 3 f0 c1 t-1 O%b\r\nold\r\n" % opaque

    with Fake(answer) as server:
        ring = MemcacheRing([server.address], **PATIENT, near=100_000, near_ttl=3000)
        other = MemcacheRing([server.address], **PATIENT)
        other._do.near = ring._near  # another connection of the same process

        def remove() -> object:
            wait_until(has_come.is_set)
            gone = other.delete("late")
            removed.set()
            return gone

        def script() -> list[object]:
            ring.get("late")  # once: from now on it is worth keeping
            lingers.set()
            calls: list[Callable[[], object]] = [partial(ring.get, "late"), remove]
            found = together(kind, calls)
            found.append(ring.get("late"))
            ring.close()
            other.close()
            return found

        assert run_as(kind, script) == [b"old", True, None]


@pytest.mark.slow
@kinds
def test_nobody_reads_what_he_replaced_or_removed(kind: str, memcached_cluster: Cluster) -> None:
    """Each works on keys of his own, through one L1 whose slots all share."""
    ring = make_ring(*memcached_cluster(3))

    def work(number: int) -> int:
        dice, stored = random.Random(number), dict[str, Any]()
        for step in range(1500):
            key = f"{number}:{dice.randrange(5)}"
            choice = dice.random()
            if choice < 0.1:
                ring.delete(key)
                stored.pop(key, None)
            elif choice < 0.2:
                stored[key] = step if dice.random() < 0.5 else b"%d" % step
                assert ring.set(key, stored[key])
            elif choice < 0.3:
                names = [f"{number}:{one}" for one in range(5)]
                assert ring.get_many(names) == stored
            else:
                assert ring.get(key) == stored.get(key)
        return 1

    assert run_as(kind, lambda: together(kind, [partial(work, number) for number in range(8)])) == [1] * 8
    assert ring.near_stats()["hits"] > 1000
    ring.close()


@kinds
def test_a_kept_value_is_served_while_its_node_hangs_and_a_removed_one_is_not(
    kind: str, memcached: Memcached
) -> None:
    ring = make_ring(memcached, near_ttl=3000, on_down="miss")

    def script() -> list[Any]:
        ring.set_many({"kept": b"1", "removed": b"2"})
        for _ in range(3):
            ring.get_many(["kept", "removed"])
        with hanging(ring, memcached):
            seen = [ring.delete("removed"), ring.get("removed"), ring.get("kept")]
        wait_until(lambda: ring.nodes()[0]["state"] == "up")
        seen += [ring.get("removed"), ring.get("kept")]
        ring.close()
        return seen

    assert run_as(kind, script) == [False, None, b"1", None, b"1"]


@kinds
def test_fetch_keeps_its_value_until_key_or_tag_is_invalidated(kind: str, memcached_cluster: Cluster) -> None:
    ring = make_ring(*memcached_cluster(3))
    built: list[int] = []

    def build() -> dict[str, int]:
        built.append(1)
        return {"n": len(built)}

    def ask() -> int:
        return ring.fetch("page", build, ttl=600, tags=("post:5", "home"))["n"]

    def script() -> list[Any]:
        seen: list[Any] = [ask() for _ in range(4)]
        hits = ring.near_stats()["hits"]
        ring.invalidate_tags("home")
        seen += [ask() for _ in range(4)]
        ring.invalidate("page")
        seen += [ask() for _ in range(4)]
        ring.invalidate("page", soft=True)
        seen += [ask() for _ in range(4)]
        ring.close()
        return [*seen, hits > 0, ring.near_stats()["hits"] > hits]

    assert run_as(kind, script) == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [True, True]


def test_nobody_can_change_what_is_kept(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    ring.set("a", {"list": [1]})
    for _ in range(4):
        ring.get("a")["list"].append(2)
    assert ring.near_stats()["hits"] > 0
    assert ring.get("a") == {"list": [1]}
    ring.close()


def test_a_value_ends_in_time_although_it_is_kept(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    ring.set("a", b"1", expire=2)
    assert [ring.get("a") for _ in range(3)] == [b"1"] * 3
    wait_until(lambda: ring.get("a") is None, 10)
    ring.close()


def test_a_forked_child_keeps_nothing_of_its_parent(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    ring.set("a", b"1")
    for _ in range(3):
        ring.get("a")
    pid = os.fork()
    if not pid:
        os._exit(len(ring._near or ()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ring.near_stats()["entries"] == 1
    ring.close()


def test_a_cancelled_read_keeps_nothing(memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def script() -> list[Any]:
        ring.set("a", b"1")
        with frozen(memcached):
            for _ in range(20):
                with gevent.Timeout(0.005, False):
                    ring.get("a")
        entries = ring.near_stats()["entries"]
        return [entries, ring.get("a"), ring.near_stats()["entries"]]

    assert run_as("greenlets", script) == [0, b"1", 1]
    ring.close()


def test_without_it_nothing_is_kept(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    ring = MemcacheRing([server.address for server in servers], **PATIENT)
    key = owned_by(ring, servers[0], 1)[0]
    ring.set(key, b"1")
    assert [ring.get(key) for _ in range(3)] == [b"1"] * 3
    assert ring.near_stats() == {"entries": 0, "bytes": 0, "hits": 0, "misses": 0}
    assert node_of(ring, servers[0]).counters.hits == 3
    ring.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"near": -1}, "near: -1"), ({"near": "8m"}, "near: '8m'"), ({"near_ttl": 0}, "near_ttl: 0")],
)
def test_what_cannot_be_kept_is_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        MemcacheRing(["a:1"], **arguments)


@kinds
def test_a_get_that_is_kept_asks_nobody_and_a_key_that_is_none_is_refused(
    kind: str, memcached: Memcached
) -> None:
    ring = make_ring(memcached)

    def script() -> list[Any]:
        ring.set_many({"bytes": b"1", "text": "2"})
        found = [ring.get(name) for name in ("bytes", "text") * 4]
        found.append(ring.near_stats()["hits"])
        with pytest.raises(ArgumentError):
            ring.get([])  # type: ignore[arg-type]
        ring.close()
        return found

    assert run_as(kind, script) == [*[b"1", "2"] * 4, 4]
    assert ring.nodes()[0]["hits"] == 4
