"""The shortest ways under gevent, plain and compiled: where they lead, and where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import gevent
import pytest

from tests.conftest import PATIENT
from tests.store.memcached.stage import run_as, wait_until
from tools.real_memcached import Memcached, running
from wsgistack.errors import ArgumentError
from wsgistack.store.memcached import coop, direct, direct_cy, links, requests
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.memcached.wire import Call

TWINS = [direct, direct_cy]


@pytest.fixture(scope="module")
def server() -> Iterator[Memcached]:
    with running(1) as servers:
        yield servers[0]


@pytest.fixture(params=TWINS, ids=["plain", "compiled"])
def go(request: pytest.FixtureRequest, server: Memcached) -> Iterator[Callable[..., Any]]:
    """A function that sets `key` to a value, and has greenlets ask for `name` after *before*."""
    twin: ModuleType = request.param
    ring = MemcacheRing([server.address], **PATIENT)

    def run(
        value: Any, name: Any = "key", before: Callable[[MemcacheRing], object] = lambda ring: None
    ) -> Any:
        def script() -> Any:
            ring.set("key", value)
            ring.delete("absent")
            before(ring)
            found = twin.ask(ring._cluster, ring._made, ring._do.large, name)
            ring.close()
            return found

        return run_as("greenlets", script)

    yield run
    ring.close()


def test_a_plain_value_is_found_and_counted(go: Callable[..., Any]) -> None:
    rings: list[MemcacheRing] = []
    assert go(b"value", before=rings.append) == b"value"
    (node,) = rings[0]._cluster.nodes()
    assert (node.counters.hits, node.counters.misses) == (1, 0)


@pytest.mark.parametrize(
    ("value", "name", "reply"),
    [
        (b"value", "absent", (b"EN", None, 0)),
        ("text", "key", (b"VA", b"text", 16)),
        (b"", "key", (b"VA", b"", 512)),
    ],
    ids=["a miss", "a text", "an empty value"],
)
def test_all_else_is_told_as_it_was_answered(
    go: Callable[..., Any], value: Any, name: str, reply: tuple[bytes, bytes | None, int]
) -> None:
    node, call = go(value, name)
    assert call.answer[0][:3] == reply
    assert (call.verb, call.words, call.keys, call.count) == ("get", (None,), [name.encode()], 1)
    assert call.payload == b"mg %b v f c t O%d\r\n" % (name.encode(), call.opaque)
    assert node.counters.hits == 0


def test_an_outdated_value_is_told_with_its_marks(go: Callable[..., Any]) -> None:
    _, call = go(b"value", before=lambda ring: ring.invalidate("key", soft=True))
    assert (call.answer[0].value, call.answer[0].marks) == (b"value", b"WX")


def test_a_value_that_is_large_is_told(go: Callable[..., Any]) -> None:
    _, call = go(os.urandom(70_000))
    assert len(call.answer[0].value) > 65_536


def _down(ring: MemcacheRing) -> None:
    (node,) = ring._cluster.nodes()
    node.may_read = False


def _classic(ring: MemcacheRing) -> None:
    (node,) = ring._cluster.nodes()
    node.is_classic = True


def _large_under_way(ring: MemcacheRing) -> None:
    (node,) = ring._cluster.nodes()
    busy = SimpleNamespace(is_busy=True, close=lambda: None)
    ring._cluster.lanes.current().bulk_links[node] = busy  # type: ignore[attr-defined]  # a Coop


NO_WAY: dict[str, tuple[Any, Callable[[MemcacheRing], object]]] = {
    "a key that was never asked for": ("other", lambda ring: None),
    "a key that is hashed": ("a b", lambda ring: ring.get("a b")),
    "a node that is down": ("key", _down),
    "a node of the classic protocol": ("key", _classic),
    "a value that was large": ("key", lambda ring: ring._do.large.add(b"key")),
    "no connection yet": ("key", lambda ring: ring._cluster.lanes.current().close()),
    "a connection that ended": (
        "key",
        lambda ring: [link.close() for link in ring._cluster.lanes.current().links.values()],  # type: ignore[attr-defined]
    ),
    "a large value of its node under way": (
        "key",
        _large_under_way,
    ),
    "an owner that nobody remembers": ("key", lambda ring: ring._cluster.snapshot.known.clear()),
}


@pytest.mark.parametrize(("name", "before"), NO_WAY.values(), ids=NO_WAY)
def test_there_is_no_short_way_for(
    go: Callable[..., Any], name: Any, before: Callable[[MemcacheRing], object]
) -> None:
    assert go(b"value", name, before) is None


@pytest.mark.parametrize("twin", TWINS)
def test_threads_and_callbacks_of_the_hub_have_no_short_way(twin: ModuleType, server: Memcached) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    found: list[Any] = []

    def ask() -> None:
        found.append(twin.ask(ring._cluster, ring._made, ring._do.large, "key"))

    def script() -> None:
        ring.set("key", b"value")
        gevent.get_hub().loop.run_callback(ask)
        wait_until(lambda: found)
        run_as("threads", ask)
        ring.close()

    run_as("greenlets", script)
    assert found == [None, None]


@pytest.mark.parametrize("twin", TWINS)
def test_get_goes_it_and_says_what_is_wrong_with_a_key(
    twin: ModuleType, server: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def ask(*words: Any) -> Any:
        asked.append(words[-1])
        return twin.ask(*words)

    monkeypatch.setattr(coop, "ask", ask)
    ring = MemcacheRing([server.address], **PATIENT)

    def script() -> list[Any]:
        ring.set_many({"bytes": b"1", "text": "2"})
        found = [ring.get("bytes"), ring.get("text"), ring.get("none", 3), ring.get("none", 3)]
        with pytest.raises(ArgumentError):
            ring.get([])  # type: ignore[arg-type]
        ring.close()
        return found

    assert run_as("greenlets", script) == [b"1", "2", 3, 3]
    assert asked == ["bytes", "text", "none", "none", []]
    assert ring.nodes()[0]["hits"] == 2 and ring.nodes()[0]["misses"] == 2


# -- several calls --------------------------------------------------------------------


def together(twin: ModuleType, ring: MemcacheRing, *calls: Call) -> bool:
    """Make *calls* by the short way, all on the ring's one node; return whether there was one."""
    lane: Any = ring._cluster.lanes.current()
    (node,) = ring._cluster.nodes()
    found: bool = twin.carry_all(lane.links, lane.bulk_links, lane._hub, [(node, call) for call in calls])
    return found


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
def test_several_calls_are_made_in_order_and_over_afterwards(twin: ModuleType, server: Memcached) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    calls = [requests.store("set", b"key", b"new", 0, 0), requests.get(b"key"), requests.get_bare([b"key"])]

    def script() -> bool:
        ring.set("key", b"old")
        found = together(twin, ring, *calls)
        ring.close()
        return found

    assert run_as("greenlets", script) is True
    answers: list[Any] = [call.answer for call in calls]
    (stored,), (read,), many = answers
    assert (stored.code, read.value, many) == (b"HD", b"new", [b"new"])


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
def test_who_stops_waiting_for_several_calls_is_woken_by_none_of_them(
    twin: ModuleType, server: Memcached
) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    calls = [requests.get(b"key"), requests.get(b"key")]

    def script() -> list[Any]:
        ring.set("key", b"value")
        victim = gevent.spawn(together, twin, ring, *calls)
        gevent.sleep(0)
        victim.kill()
        wait_until(lambda: all(call.is_over for call in calls))
        found = [victim.value, ring.get("key"), ring.nodes()[0]["connects"]]
        ring.close()
        return found

    killed, value, connects = run_as("greenlets", script)
    assert (isinstance(killed, gevent.GreenletExit), value, connects) == (True, b"value", 1)


NOT_TOGETHER = {
    name: before
    for name, (_, before) in NO_WAY.items()
    if not name.startswith(("a key", "a value", "an owner", "a node that is down"))
}


def _closed(ring: MemcacheRing) -> None:
    (node,) = ring._cluster.nodes()
    node.may_write = False


def _full(ring: MemcacheRing) -> None:
    """Let a request wait that is more than may wait: behind another, it is sent in the hub's next turn."""
    lane: Any = ring._cluster.lanes.current()
    (link,) = lane.links.values()
    link.channel.submit(requests.get(b"other"))
    link.channel.submit(requests.store("set", b"other", bytes(links.MOST_UNSENT), 0, 0))
    assert link.channel.is_full


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
@pytest.mark.parametrize(
    "before",
    [*NOT_TOGETHER.values(), _closed, _full],
    ids=[*NOT_TOGETHER, "a node that takes no writes", "too much that waits"],
)
def test_several_calls_have_no_short_way_with(
    twin: ModuleType, server: Memcached, before: Callable[[MemcacheRing], object]
) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    calls = [requests.get(b"key"), requests.get(b"key")]

    def script() -> bool:
        ring.set("key", b"value")
        before(ring)
        found = together(twin, ring, *calls)
        ring.close()
        return found

    assert run_as("greenlets", script) is False
    assert [call.is_over or call.wait is not None for call in calls] == [False, False]


@pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
def test_large_calls_and_callbacks_of_the_hub_have_no_short_way_together(
    twin: ModuleType, server: Memcached
) -> None:
    ring = MemcacheRing([server.address], **PATIENT)
    large = requests.store("set", b"key", bytes(70_000), 0, 0)
    small = requests.get(b"key")
    found: list[bool] = []

    def script() -> None:
        ring.set("key", b"value")
        found.append(together(twin, ring, small, large))
        gevent.get_hub().loop.run_callback(lambda: found.append(together(twin, ring, small)))
        wait_until(lambda: len(found) == 2)
        ring.close()

    run_as("greenlets", script)
    assert (found, small.is_over) == ([False, False], False)
