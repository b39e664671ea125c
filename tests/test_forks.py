"""A fork at any moment: no child hangs on a lock of its parent's threads, or answers wrongly.

The processes that fork are `tests.forking`.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.forking import make_cluster
from tests.house.source import ROOT
from wsgistack import forks
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memory import MemoryStore

PARTS = [
    "memory store",
    "guarded store",
    "tally",
    "limits in memory, compiled",
    "limits in memory, by Python",
    "limits in shared memory",
    "meter",
    "rate limit",
    "page cache",
    "page cache, verifying",
    "page cache, auditing",
    "coalescer",
    "buckets",
    "near cache",
    "fetches",
    "nodes of memcached",
]


def run(way: str) -> dict[str, str]:
    """Return how the children of `tests.forking` ended, by what they used."""
    # From 3.12 on a fork beside threads warns; it is what is tested.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.forking", way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    ends: dict[str, str] = json.loads(done.stdout)
    return ends


@pytest.fixture(scope="module")
def held() -> dict[str, str]:
    """How the children ended that were forked while a thread held every lock."""
    return run("held")


@pytest.mark.parametrize("part", PARTS)
def test_a_fork_while_another_thread_holds_the_locks_leaves_the_child_well(
    part: str, held: dict[str, str]
) -> None:
    assert held[part] == ""


def test_forks_beside_busy_threads_leave_all_children_well() -> None:
    ends = run("busy")
    assert {name: end for name, end in ends.items() if end} == {}
    assert len(ends) > len(PARTS)


def test_no_part_is_left_out(held: dict[str, str]) -> None:
    assert sorted(held) == sorted(PARTS)


class Deaf:
    """An owner that fails when it is told."""

    def forked(self) -> None:
        raise ValueError("deaf")


def in_child(check: Callable[[], bool]) -> int:
    """Return with which status a child ends that calls *check*, and has it in its own memory."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_an_owner_that_fails_keeps_no_other_from_beginning_anew() -> None:
    told: list[int] = []

    class Listening:
        def forked(self) -> None:
            told.append(os.getpid())

    owners: list[forks.Owner] = [Deaf(), Listening(), Deaf()]
    for owner in owners:
        forks.register(owner)
    assert in_child(lambda: told == [os.getpid()]) == 0
    assert told == []


def test_a_memory_store_that_nobody_was_changing_keeps_what_it_has() -> None:
    store = MemoryStore(100_000)
    store.set("a", b"1", 60)
    assert in_child(lambda: store.get("a") == b"1") == 0


def test_a_memory_store_that_somebody_was_changing_is_empty_in_the_child() -> None:
    store = MemoryStore(100_000)
    store.set("a", b"1", 60)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        assert in_child(lambda: store.get("a") is None and store.stats()["bytes"] == 0) == 0
    finally:
        done.set()
        thread.join()
    assert store.get("a") == b"1"


def test_a_ring_that_a_thread_was_making_is_made_by_the_child() -> None:
    nodes = make_cluster()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: None)  # it is slow
        nodes.change([Address("127.0.0.1", 1), Address("127.0.0.1", 2)])
    assert in_child(lambda: [node.name for node in nodes.nodes()] == ["127.0.0.1:1", "127.0.0.1:2"]) == 0
    assert [node.name for node in nodes.nodes()] == ["127.0.0.1:1"]


def test_what_a_thread_was_removing_from_a_node_is_dirty_in_the_child() -> None:
    nodes = make_cluster()
    node = nodes.nodes()[0]
    node.journal.add([b"a", b"b"])
    node.journal.take(5)
    assert in_child(lambda: sorted(node.journal.take(5).keys) == [b"a", b"b"]) == 0


def test_what_a_thread_was_removing_from_a_node_that_left_is_dirty_in_the_child() -> None:
    nodes = make_cluster()
    node = nodes.nodes()[0]
    nodes._gone["gone"] = node
    nodes._nodes = {}
    node.journal.add([b"a"])
    node.journal.take(5)
    assert in_child(lambda: node.journal.take(5).keys == [b"a"]) == 0
