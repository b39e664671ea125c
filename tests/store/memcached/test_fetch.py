"""`fetch` on real servers: one builds, the others have the old value or wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import KINDS, owned_by, pause, run_as, together, wait_until
from tools.real_memcached import Memcached
from wsgistack.errors import ArgumentError
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)


def make_ring(*servers: Memcached, **options: Any) -> MemcacheRing:
    """Return a ring that waits for long, as a busy machine needs it."""
    return MemcacheRing([server.address for server in servers], **PATIENT, **options)


class Builder:
    """Counts how often it is called, takes its time, and gives a number or raises."""

    def __init__(self, takes_s: float = 0.0, error: Exception | None = None) -> None:
        self.takes_s = takes_s
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        number = self.calls
        pause(self.takes_s)
        if self.error is not None:
            raise self.error
        return f"built {number}"


@kinds
def test_fifty_at_one_missing_key_make_it_once(kind: str, memcached: Memcached) -> None:
    ring = make_ring(memcached)
    build = Builder(takes_s=0.3)

    def script() -> list[str]:
        values = together(kind, [partial(ring.fetch, "page", build, 60)] * 50)
        assert ring.get("page") == "built 1"
        calls = ring.nodes()[0]["calls"]
        # The lease, the store, the get of this test, and whoever comes when the page is made already.
        assert calls <= 10, calls
        ring.close()
        return values

    assert run_as(kind, script) == ["built 1"] * 50
    assert build.calls == 1


@kinds
def test_fifty_at_an_old_value_have_it_while_one_makes_it_anew(kind: str, memcached: Memcached) -> None:
    ring = make_ring(memcached)
    build = Builder(takes_s=0.5)
    waits: list[float] = []

    def ask() -> str:
        began = time.monotonic()
        value = ring.fetch("page", build, 60, grace=30)
        waits.append(time.monotonic() - began)
        return value

    def script() -> list[str]:
        ring.set("page", "old", expire=90)
        assert ring.invalidate("page", soft=True, grace=30) is True
        assert ring.get_ex("page") == ("old", "stale")
        values = together(kind, [ask] * 50)
        assert ring.get_ex("page") == ("built 1", "hit")
        ring.close()
        return values

    assert sorted(run_as(kind, script)) == ["built 1"] + ["old"] * 49
    assert sorted(waits)[48] < 0.4 < sorted(waits)[49]


@kinds
def test_two_processes_make_it_once(kind: str, memcached: Memcached) -> None:
    """Two rings share nothing but the server."""
    rings = [make_ring(memcached), make_ring(memcached)]
    build = Builder(takes_s=0.3)

    def script() -> list[str]:
        values = together(kind, [partial(ring.fetch, "page", build, 60) for ring in rings])
        for ring in rings:
            ring.close()
        return values

    assert run_as(kind, script) == ["built 1", "built 1"]
    assert build.calls == 1


def test_before_the_end_one_makes_it_anew_and_the_others_have_the_old_one(memcached: Memcached) -> None:
    first, second = make_ring(memcached), make_ring(memcached)
    build = Builder()
    assert first.fetch("page", build, 10) == "built 1"
    assert first.fetch("page", build, 10, early=5) == "built 1"

    def rebuild() -> str:
        # Meanwhile another process asks: it has the old value at once.
        assert second.fetch("page", build, 20, early=15) == "built 1"
        return "rebuilt"

    assert first.fetch("page", rebuild, 20, early=15) == "rebuilt"
    assert second.fetch("page", build, 20, early=5) == "rebuilt"
    assert build.calls == 1
    first.close()
    second.close()


def test_behind_its_end_a_value_is_served_for_the_grace_while_one_makes_it(memcached: Memcached) -> None:
    first, second = make_ring(memcached), make_ring(memcached)
    assert first.fetch("page", lambda: "old", 1, grace=60) == "old"
    wait_until(lambda: int(memcached.ask(b"mg page t").rpartition(b"t")[2]) < 60)

    def rebuild() -> str:
        assert second.fetch("page", lambda: "never", 50, grace=60) == "old"
        return "new"

    assert first.fetch("page", rebuild, 50, grace=60) == "new"
    assert second.fetch("page", lambda: "never", 50, grace=60) == "new"
    first.close()
    second.close()


@kinds
def test_a_build_that_fails_gives_the_lease_back(kind: str, memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def script() -> None:
        with pytest.raises(ZeroDivisionError):
            ring.fetch("page", lambda: 1 // 0, 60)
        wait_until(lambda: memcached.ask(b"mg page v") == b"EN")
        assert ring.fetch("page", lambda: "built", 60, wait=0) == "built"
        ring.close()

    run_as(kind, script)


def test_all_who_waited_for_a_build_that_failed_have_its_error(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    build = Builder(takes_s=0.3, error=LookupError("nothing"))

    def ask() -> str:
        with pytest.raises(LookupError, match="nothing"):
            ring.fetch("page", build, 60)
        return "raised"

    assert run_as("greenlets", lambda: together("greenlets", [ask] * 20)) == ["raised"] * 20
    assert build.calls == 1
    ring.close()


def test_a_build_that_fails_leaves_the_old_value(memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def fail() -> str:
        raise LookupError

    ring.set("page", "old")
    ring.invalidate("page", soft=True)
    assert ring.fetch("page", fail, 60, grace=30) == "old"
    # The next asker may try again.
    wait_until(lambda: ring.fetch("page", lambda: "new", 60, grace=30) == "new")
    ring.close()


def test_a_builder_that_is_killed_is_followed_by_the_next(memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def script() -> str:
        first = gevent.spawn(ring.fetch, "page", lambda: gevent.sleep(60), 60)
        gevent.sleep(0.1)
        second = gevent.spawn(ring.fetch, "page", lambda: "of the second", 60)
        gevent.sleep(0.1)
        first.kill()
        return str(second.get(timeout=20))

    assert run_as("greenlets", script) == "of the second"
    assert len(ring._fetcher.flights) == 0
    ring.close()


def test_who_waited_long_enough_for_another_process_builds_too(memcached: Memcached) -> None:
    first, second = make_ring(memcached), make_ring(memcached)

    def build() -> str:
        assert second.fetch("page", lambda: "own", 60, wait=0.1) == "own"
        return "of the first"

    assert first.fetch("page", build, 60) == "of the first"
    assert second.get("page") == "of the first"
    first.close()
    second.close()


def test_a_value_that_was_removed_while_it_was_made_is_not_stored(memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def build() -> str:
        ring.delete("page")
        return "outdated"

    assert ring.fetch("page", build, 60) == "outdated"
    assert ring.get_ex("page").state == "miss"
    ring.close()


def test_a_value_that_was_invalidated_while_it_was_made_is_made_again(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    ring.set("page", "old")
    ring.invalidate("page", soft=True)

    def build() -> str:
        ring.invalidate("page", soft=True)
        return "outdated"

    assert ring.fetch("page", build, 60, grace=30) == "outdated"
    assert ring.fetch("page", lambda: "new", 60, grace=30) == "new"
    ring.close()


@kinds
def test_who_only_reads_a_stale_value_leaves_it_to_others_to_make_it(kind: str, memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def script() -> list[str]:
        ring.set("page", "old")
        ring.invalidate("page", soft=True)
        found = [
            ring.get("page"),
            ring.gets("page")[0],
            ring.gat("page", 20),
            ring.get_many(["page"])["page"],
        ]
        wait_until(lambda: ring.fetch("page", lambda: "new", 60, grace=30) == "new")
        ring.close()
        return found

    assert run_as(kind, script) == ["old"] * 4


def test_the_right_to_make_a_value_is_no_value(memcached: Memcached) -> None:
    ring = make_ring(memcached)

    def build() -> str:
        assert ring.get("page") is None
        assert ring.get_many(["page"]) == {}
        assert ring.gets("page") == (None, None)
        return ""

    assert ring.fetch("page", build, 60) == ""
    assert ring.get("page") == ""
    assert ring.fetch("none", lambda: None, 60) is None
    assert ring.fetch("none", lambda: "never", 60) is None
    ring.close()


@kinds
def test_a_tag_outdates_what_was_made_under_it(kind: str, memcached_cluster: Cluster) -> None:
    ring = make_ring(*memcached_cluster(3))

    def script() -> None:
        build = Builder()
        fetch = partial(ring.fetch, "page", build, 60, tags=("post:5", "home"))
        assert [fetch(), fetch()] == ["built 1", "built 1"]
        assert ring.get("page") == "built 1"
        assert ring.invalidate_tags("another") is True
        assert fetch() == "built 1"
        assert ring.invalidate_tags("home") is True
        assert [fetch(), fetch()] == ["built 2", "built 2"]
        assert ring.invalidate_tags("post:5", "home") is True
        assert [fetch(), fetch()] == ["built 3", "built 3"]
        # Whoever does not name the tags sees that the value is outdated all the same.
        ring.invalidate_tags("home")
        assert ring.fetch("page", build, 60) == "built 4"
        ring.close()

    run_as(kind, script)


def test_a_tag_that_is_invalidated_while_the_value_is_made_outdates_it(memcached_cluster: Cluster) -> None:
    ring = make_ring(*memcached_cluster(3))

    def build() -> str:
        ring.invalidate_tags("post:5")
        return "outdated"

    assert ring.fetch("page", build, 60, tags=["post:5"]) == "outdated"
    assert ring.fetch("page", lambda: "new", 60, tags=["post:5"]) == "new"
    ring.close()


def test_a_tag_that_the_server_forgot_outdates(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    assert ring.fetch("page", lambda: "old", 60, tags="post:5") == "old"
    for wire in ring._tags.wire(["post:5"]):
        assert memcached.ask(b"delete " + wire) == b"DELETED"
    assert ring.fetch("page", lambda: "new", 60, tags="post:5") == "new"
    assert ring.fetch("page", lambda: "never", 60, tags="post:5") == "new"
    ring.close()


def test_what_a_tag_outdated_is_served_for_the_grace_while_one_makes_it(memcached: Memcached) -> None:
    first, second = make_ring(memcached), make_ring(memcached)
    fetch = {"ttl": 60, "grace": 30, "tags": ["post:5"]}
    assert first.fetch("page", lambda: "old", **fetch) == "old"  # type: ignore[arg-type]  # a dict of several types
    first.invalidate_tags("post:5")

    def rebuild() -> str:
        assert second.fetch("page", lambda: "never", **fetch) == "old"  # type: ignore[arg-type]  # see above
        return "new"

    assert first.fetch("page", rebuild, **fetch) == "new"  # type: ignore[arg-type]  # see above
    assert second.fetch("page", lambda: "never", **fetch) == "new"  # type: ignore[arg-type]  # see above
    first.close()
    second.close()


def test_a_value_and_its_five_tags_are_read_in_one_round_trip(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(*servers)
    tags = [f"tag:{number}" for number in range(5)]
    ring.fetch("page", lambda: "built", 60, tags=tags)
    before = [int(stats[b"cmd_get"]) for stats in ring.stats().values()]
    runs: list[int] = []
    run = ring._cluster.run
    ring._cluster.run = lambda pairs: runs.append(len(pairs)) or run(pairs)  # type: ignore[method-assign,func-returns-value]  # counts
    assert ring.fetch("page", lambda: "never", 60, tags=tags) == "built"
    assert len(runs) == 1
    after = [int(stats[b"cmd_get"]) for stats in ring.stats().values()]
    assert sum(after) - sum(before) == 6
    ring.close()


@kinds
def test_a_node_that_is_away_costs_a_build_and_nothing_else(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    ring = make_ring(*servers, on_down="miss")
    key = owned_by(ring, servers[0], 1)[0]
    build = Builder()

    def script() -> list[str]:
        servers[0].kill()
        wait_until(lambda: ring.get_ex(key).state == "down")
        values = [ring.fetch(key, build, 60), ring.fetch(key, build, 60)]
        ring.close()
        return values

    assert run_as(kind, script) == ["built 1", "built 2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"build": 7}, "build: 7 cannot be called"),
        ({"ttl": float("nan")}, "ttl: nan"),
        ({"early": -1}, "early: -1 is not a number of seconds from 0"),
        ({"early": 60}, "early: 60 is not below ttl 60"),
        ({"grace": float("inf")}, "grace: inf"),
        ({"wait": "1"}, "wait: '1' is not a number"),
        ({"lease": 11}, "lease: 11 is not from 1 to 10 seconds"),
        ({"tags": [7]}, "tag: 7 is not text"),
        ({"key": 7}, "key: 7 is neither"),
    ],
)
def test_what_cannot_be_meant_is_named_before_anything_is_built(
    arguments: dict[str, Any], words: str
) -> None:
    ring = MemcacheRing(["127.0.0.1:1"])
    built: list[int] = []
    with pytest.raises(ArgumentError) as caught:
        ring.fetch(**{"key": "a", "build": lambda: built.append(1), "ttl": 60, **arguments})
    assert words in str(caught.value)
    assert built == []
    ring.close()


def test_threads_and_greenlets_wait_for_each_other(memcached: Memcached) -> None:
    ring = make_ring(memcached)
    build = Builder(takes_s=0.3)
    both: list[Callable[[], str]] = [
        lambda: run_as("greenlets", lambda: ring.fetch("page", build, 60)),
        lambda: ring.fetch("page", build, 60),
    ]
    assert together("threads", both) == ["built 1", "built 1"]
    assert build.calls == 1
    ring.close()
