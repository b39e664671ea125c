"""What a node holds of keys that live elsewhere: from before the ring changed, and from outages of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import KINDS, hanging, node_of, owned_by, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)
KEYS = [f"key:{number}" for number in range(120)]


def make_ring(servers: list[Memcached], on_down: str = "gutter") -> MemcacheRing:
    return MemcacheRing([server.address for server in servers], on_down=on_down, **PATIENT)


def make_two(servers: list[Memcached], policy: str) -> list[MemcacheRing]:
    """Return two rings as two processes have them, which are connected to all nodes."""
    rings = [make_ring(servers, policy) for _ in range(2)]
    for ring in rings:
        ring.get_many(KEYS)
    return rings


def join(ring: MemcacheRing, server: Memcached) -> None:
    ring.add_server(server.address)
    wait_until(lambda: node_of(ring, server) is not None)


def leave(ring: MemcacheRing, server: Memcached) -> None:
    ring.remove_server(server.address)
    wait_until(lambda: node_of(ring, server) is None)


def weigh(ring: MemcacheRing, server: Memcached, weight: int) -> None:
    ring.set_weight(server.address, weight)
    wait_until(lambda: node_of(ring, server).weight == weight)


def replace(ring: MemcacheRing) -> None:
    """Give half of the keys another value and remove the others, one by one and many at once."""
    assert ring.set_many(dict.fromkeys(KEYS[:50], "new")) == []
    for key in KEYS[50:60]:
        assert ring.set(key, "new")
    ring.delete_many(KEYS[60:110])
    for key in KEYS[110:]:
        ring.delete(key)


def old_of(ring: MemcacheRing) -> list[str]:
    """Return the keys that still have their first value, asked for in both ways."""
    found = [key for key, value in ring.get_many(KEYS).items() if value == "old"]
    return found + [key for key in KEYS if ring.get(key) == "old"]


def join_and_leave(ring: MemcacheRing, servers: list[Memcached]) -> None:
    join(ring, servers[2])
    replace(ring)
    leave(ring, servers[2])


def leave_and_join(ring: MemcacheRing, servers: list[Memcached]) -> None:
    leave(ring, servers[1])
    replace(ring)
    join(ring, servers[1])


def weigh_and_weigh(ring: MemcacheRing, servers: list[Memcached]) -> None:
    weigh(ring, servers[0], 9)
    replace(ring)
    weigh(ring, servers[0], 1)


CHANGES: dict[str, Callable[[MemcacheRing, list[Memcached]], None]] = {
    "joins and leaves": join_and_leave,
    "leaves and joins": leave_and_join,
    "has another weight for a while": weigh_and_weigh,
}


@kinds
@pytest.mark.parametrize("policy", ["gutter", "replicate"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_key_that_comes_back_to_a_node_is_not_what_it_was_there(
    name: str, policy: str, kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers[:2], policy)

    def script() -> list[str]:
        assert ring.set_many(dict.fromkeys(KEYS, "old")) == []
        CHANGES[name](ring, servers)
        old = old_of(ring)
        wait_until(lambda: all(ring.set(key, "last") and ring.get(key) == "last" for key in KEYS))
        ring.close()
        return old

    assert run_as(kind, script) == []


@kinds
def test_who_stands_in_for_a_node_that_joined_does_not_give_what_it_held_before(
    kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers[:2])

    def script() -> list[str]:
        assert ring.set_many(dict.fromkeys(KEYS, "old")) == []
        join(ring, servers[2])
        replace(ring)
        with hanging(ring, servers[2]):
            wait_until(lambda: ring.get_many(KEYS) is not None and not node_of(ring, servers[2]).may_read)
            old = old_of(ring)
            wait_until(lambda: all(ring.set(key, "last") and ring.get(key) == "last" for key in KEYS))
        ring.close()
        return old

    assert run_as(kind, script) == []


@kinds
@pytest.mark.parametrize("policy", ["gutter", "rehash"])
def test_who_stood_in_and_went_away_does_not_give_what_another_one_took_meanwhile(
    policy: str, kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers, policy)
    keys = owned_by(ring, servers[0], 60)
    others = owned_by(ring, servers[1], 1)

    def script() -> list[object]:
        first, second = node_of(ring, servers[0]), node_of(ring, servers[1])
        # A server that hangs is waited for longer while it is new.
        assert ring.get_many([*keys, *others]) == {}
        with hanging(ring, servers[0]):
            wait_until(lambda: ring.get(keys[0]) is None and not first.may_read)
            assert ring.set_many(dict.fromkeys(keys, 1)) == []
            with hanging(ring, servers[1]):
                wait_until(lambda: ring.get(others[0]) is None and not second.may_read)
                assert ring.set_many(dict.fromkeys(keys, 2)) == []
            wait_until(lambda: second.may_read)
            found: list[object] = [value for value in ring.get_many(keys).values() if value == 1]
            wait_until(lambda: ring.set_many(dict.fromkeys(keys, 3)) == [])
            with hanging(ring, servers[1]):
                wait_until(lambda: ring.get(others[0]) is None and not second.may_read)
                found += [value for value in ring.get_many(keys).values() if value != 3]
        ring.close()
        return found

    assert run_as(kind, script) == []


def lose(ring: MemcacheRing, server: Memcached) -> None:
    """Let *ring* find out that *server* hangs."""
    (key,) = owned_by(ring, server, 1)
    wait_until(lambda: ring.get(key) is None and not node_of(ring, server).may_read)


@contextmanager
def lost(rings: list[MemcacheRing], server: Memcached) -> Iterator[None]:
    """Let *server* hang, and all *rings* know it."""
    with ExitStack() as hung:
        for ring in rings:
            hung.enter_context(hanging(ring, server))
        for ring in rings:
            lose(ring, server)
        yield


@pytest.mark.parametrize("policy", ["gutter", "rehash"])
def test_who_stood_in_does_not_give_what_another_process_wrote_there_before_the_ring_changed(
    policy: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    rings = make_two(servers, policy)
    keys = owned_by(rings[0], servers[0], 60)
    with lost(rings, servers[0]):
        assert rings[0].set_many(dict.fromkeys(keys, "old")) == []
        for ring in rings:
            leave(ring, servers[1])
        wait_until(lambda: rings[1].set_many(dict.fromkeys(keys, "new")) == [])
        for ring in rings:
            join(ring, servers[1])
        found = [value for ring in rings for value in ring.get_many(keys).values()]
        last = dict.fromkeys(keys, "last")
        wait_until(lambda: rings[1].set_many(last) == [] and rings[1].get_many(keys) == last)
    for ring in rings:
        ring.close()
    assert "old" not in found


@pytest.mark.parametrize("policy", ["gutter", "rehash"])
def test_who_stands_in_again_does_not_give_what_another_process_wrote_there_the_first_time(
    policy: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    rings = make_two(servers, policy)
    keys = owned_by(rings[0], servers[0], 60)
    with lost(rings, servers[0]):
        for value in ("old", "new"):
            with lost(rings, servers[1]):
                if value == "old":
                    assert rings[0].set_many(dict.fromkeys(keys, "old")) == []
                found = [ring.get_many(keys) for ring in rings]
            wait_until(lambda: all(node_of(ring, servers[1]).may_read for ring in rings))
            if value == "old":
                wait_until(lambda: rings[1].set_many(dict.fromkeys(keys, "new")) == [])
    for ring in rings:
        ring.close()
    assert "old" not in [value for values in found for value in values.values()]


@kinds
def test_a_tag_that_was_invalidated_where_it_moved_to_stays_so_where_it_comes_back_to(
    kind: str, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(3)
    ring = make_ring(servers[:2])
    tags = [f"tag:{number}" for number in range(30)]

    def script() -> list[object]:
        for tag in tags:
            ring.fetch(f"page:{tag}", lambda: "old", 600, tags=[tag])
        join(ring, servers[2])
        assert ring.invalidate_tags(*tags)
        leave(ring, servers[2])
        found: list[object] = [ring.fetch(f"page:{tag}", lambda: "new", 600, tags=[tag]) for tag in tags]
        ring.close()
        return found

    assert run_as(kind, script) == ["new"] * len(tags)


@kinds
def test_what_is_swapped_on_one_of_two_copies_only_is_not_read_from_the_other_one(
    kind: str, memcached_cluster: Cluster
) -> None:
    """The token is that of one node: the other one refuses it."""
    servers = memcached_cluster(2)
    ring = make_ring(servers, "replicate")
    keys = owned_by(ring, servers[0], 20)

    def script() -> list[object]:
        assert ring.set_many(dict.fromkeys(keys, "old")) == []
        ring.set(owned_by(ring, servers[1], 1)[0], "so that tokens differ")
        for key in keys:
            assert ring.cas(key, "new", ring.gets(key)[1]) is True
        with hanging(ring, servers[0]):
            wait_until(lambda: ring.get(keys[0]) is None and not node_of(ring, servers[0]).may_read)
            found = [ring.get(key) for key in keys]
        ring.close()
        return found

    assert "old" not in run_as(kind, script)
