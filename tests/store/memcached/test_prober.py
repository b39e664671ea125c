"""What did not reach a node is made up for before the node is used again, whatever kept it away."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import KINDS, hanging, node_of, run_as, wait_until
from tools.real_memcached import listening
from wsgistack.errors import StoreDown
from wsgistack.store.memcached import plain, requests
from wsgistack.store.memcached import prober as prober_module
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.coop import Coop
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.prober import Prober
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.url import make_store

kinds = pytest.mark.parametrize("kind", KINDS)
CHANGES: dict[str, Callable[[MemcacheRing], object]] = {
    "delete": lambda ring: ring.delete("a"),
    "set": lambda ring: ring.set("a", "new"),
    "set_many": lambda ring: ring.set_many({"a": "new"}),
    "flush_all": lambda ring: ring.flush_all(),
}


@kinds
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_found_no_connection_is_not_forgotten(kind: str, name: str, tmp_path: Path) -> None:
    """The node never went away, only the way to it: it holds all that it held."""
    path, elsewhere = tmp_path / "socket", tmp_path / "elsewhere"
    with listening("-s", str(path)):
        first = MemcacheRing([str(path)], **PATIENT)
        ring = MemcacheRing([str(path)], on_down="miss", **PATIENT)  # without a connection yet

        def script() -> list[object]:
            first.set("a", "old")
            path.rename(elsewhere)
            said = CHANGES[name](ring)
            elsewhere.rename(path)
            wait_until(lambda: ring.nodes()[0]["state"] == "up")
            found = [said, ring.get("a"), ring.nodes()[0]["outages"]]
            ring.close()
            first.close()
            return found

        assert run_as(kind, script) == [["a"] if name == "set_many" else False, None, 1]


@kinds
@pytest.mark.parametrize("is_known", [True, False], ids=["known to be away", "not known yet"])
def test_a_node_that_hangs_while_all_is_emptied_is_emptied_before_it_is_used(
    kind: str, is_known: bool, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(2)
    ring = MemcacheRing([server.address for server in servers], **PATIENT)
    keys = [f"key:{number}" for number in range(40)]

    def script() -> list[object]:
        assert ring.set_many(dict.fromkeys(keys, "old")) == []
        with hanging(ring, servers[0]):
            if is_known:
                wait_until(lambda: ring.get_many(keys) is not None and not node_of(ring, servers[0]).may_read)
            said = ring.flush_all()
        wait_until(lambda: node_of(ring, servers[0]).may_read)
        found = [said, ring.get_many(keys), ring.set_many({"a": 1}), ring.flush_all()]
        ring.close()
        return found

    assert run_as(kind, script) == [False, {}, [], True]


def test_a_store_that_could_not_be_cleared_says_so_and_is_cleared_before_it_is_used(
    memcached_cluster: Cluster,
) -> None:
    servers = memcached_cluster(2)
    url = f"memcached://{','.join(server.address for server in servers)}?connect_timeout=20"
    store = make_store(f"{url}&timeout=20&least_timeout=20")
    keys = [f"key:{number}" for number in range(40)]
    store.set_many(dict.fromkeys(keys, b"old"), 60)
    node = store._cluster.find(servers[0].address)  # type: ignore[attr-defined]  # a MemcachedStore
    with hanging(store, servers[0]), pytest.raises(StoreDown, match=servers[0].address):  # type: ignore[arg-type]  # as above
        store.clear()
    wait_until(lambda: node.may_read)
    assert store.get_many(keys) == {}
    store.close()


@pytest.mark.parametrize(("passed_s", "overflows"), [(1.0, False), (31.0, True)])
def test_a_node_is_not_used_while_it_may_still_read_what_was_sent_before(
    passed_s: float, overflows: bool
) -> None:
    prober = Prober(connect_timeout_s=1, find_node=lambda name: None, owe=lambda *_: None)
    node = Node(Address("127.0.0.1", 1), limit_s=1, on_away=lambda node: None)
    ours, theirs = socket.socketpair()
    with theirs:
        node.broke("timeout", (), ours)
        node.breaker.opened_at = time.monotonic() - passed_s
        assert prober._has_seen_off(node) is overflows  # for half a minute; then all it holds is dirty
        assert node.journal.has_overflowed is overflows
    assert prober._has_seen_off(node) is True
    assert node.leaving == []


def test_what_was_removed_from_a_node_is_remembered_of_the_last_keys_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Taking:
        def ask(self, call: Call, seconds: float) -> None:
            pass

    monkeypatch.setattr(prober_module, "MOST_SETTLED", 1_000)
    prober = Prober(connect_timeout_s=1, find_node=lambda name: None, owe=lambda *_: None)
    node = Node(Address("127.0.0.1", 1), limit_s=1, on_away=lambda node: None)
    keys = [b"key:%d" % number for number in range(1_700)]
    taking: Any = Taking()  # all that is asked of a Dialogue
    for at in range(0, len(keys), 100):
        node.journal.add(keys[at : at + 100])
        assert prober._remove(node, taking)
    assert set(node.settled) == set(keys[-1_000:])
    node.journal.add(keys[:1])  # one of before is removed once more, and remembered
    assert prober._remove(node, taking)
    assert (len(node.settled), list(node.settled)[-1]) == (1_000, keys[0])
    assert node.journal.is_clean


LATE: dict[str, Callable[[], Call]] = {
    "a write": lambda: requests.delete_many([b"a"]),
    "a read": lambda: requests.get(b"a"),
    "all": requests.flush,
}


@kinds
@pytest.mark.parametrize(
    ("name", "dirty"), [("a write", (1, False)), ("a read", (0, False)), ("all", (0, True))]
)
def test_a_call_that_comes_when_its_node_has_just_gone_is_noted(
    kind: str, name: str, dirty: tuple[int, bool]
) -> None:
    """Whoever chose the node saw it up; another thread found out meanwhile that it is not."""
    node = Node(Address("127.0.0.1", 1), limit_s=1, on_away=lambda node: None)
    node.broke("lost", ())
    calls = [LATE[name](), LATE[name]()]

    def script() -> None:
        import gevent

        lane = (
            plain.Plain(connect_timeout_s=1)
            if kind == "threads"
            else Coop(gevent.get_hub(), connect_timeout_s=1)
        )
        lane.run([(node, calls[0])])
        lane.run_one(node, calls[1])
        lane.close()

    run_as(kind, script)
    assert [call.failure for call in calls] == ["down", "down"]
    assert (len(node.journal), node.journal.has_overflowed) == dirty


@pytest.mark.parametrize(
    ("make", "state"), [(LATE["a write"], "down"), (LATE["a read"], "up")], ids=["write", "read"]
)
def test_a_write_for_which_no_connection_was_free_takes_its_node_out_of_use(
    make: Callable[[], Call], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would have removed must not be read from a node that is merely overrun."""
    monkeypatch.setattr(plain, "MOST_CONNECTIONS", 0)
    node = Node(Address("127.0.0.1", 1), limit_s=0.01, least_s=0.01, on_away=lambda node: None)
    call = make()
    plain.Plain(connect_timeout_s=1).run([(node, call)])
    assert (call.failure, node.state, len(node.journal)) == ("busy", state, int(state == "down"))


def test_nothing_is_noted_of_what_a_node_takes() -> None:
    node = Node(Address("127.0.0.1", 1), limit_s=1, on_away=lambda node: None)
    assert [node.passes(requests.flush()), node.passes(requests.delete_many([b"a"]))] == [False, False]
    assert node.journal.is_clean
