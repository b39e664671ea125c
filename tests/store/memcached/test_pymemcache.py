"""One script over pymemcache and over MemcacheRing, on real servers: the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient

from tests.conftest import PATIENT, Cluster
from wsgistack.store.memcached.ring import MemcacheRing

Script = Callable[[Any], list[Any]]


class AsTheyAre:
    """A serde that changes nothing: what pymemcache does without one."""

    def serialize(self, key: bytes, value: Any) -> tuple[Any, int]:
        return value, 0

    def deserialize(self, key: bytes, value: bytes, flags: int) -> bytes:
        return value


def store_and_read(cache: Any) -> list[Any]:
    return [
        cache.set("a", b"1"),
        cache.set("b", "text"),
        cache.set("c", 7),
        cache.set("d", b""),
        cache.get("a"),
        cache.get("b"),
        cache.get("c"),
        cache.get("d"),
        cache.get("none"),
        cache.get("none", "default"),
    ]


def store_on_a_condition(cache: Any) -> list[Any]:
    return [
        cache.add("a", b"1"),
        cache.add("a", b"2"),
        cache.replace("a", b"3"),
        cache.replace("none", b"3"),
        cache.append("a", b"4"),
        cache.append("none", b"4"),
        cache.prepend("a", b"5"),
        cache.prepend("none", b"5"),
        cache.get("a"),
    ]


def compare_and_swap(cache: Any) -> list[Any]:
    cache.set("a", b"1")
    value, token = cache.gets("a")
    return [
        value,
        type(token),
        cache.cas("a", b"2", token),
        cache.cas("a", b"3", token),
        cache.cas("a", b"3", token.decode()),
        cache.cas("a", b"3", int(token)),
        cache.cas("none", b"3", token),
        cache.gets("none"),
        cache.gets("none", 1, 2),
        cache.get("a"),
    ]


def count(cache: Any) -> list[Any]:
    cache.set("n", b"10")
    return [
        cache.incr("n", 5),
        cache.decr("n", 3),
        cache.decr("n", 100),
        cache.incr("none", 1),
        cache.decr("none", 1),
        cache.incr("n", 2**64 - 1),
        cache.incr("n", 2),
        cache.incr("n", 1, noreply=True),
        cache.set("text", b"none"),
        cache.incr("text", 1, noreply=True),
        cache.get("n"),
    ]


def remove(cache: Any) -> list[Any]:
    cache.set("a", b"1")
    return [cache.delete("a"), cache.delete("a"), cache.delete("a", noreply=True), cache.get("a")]


def prolong(cache: Any) -> list[Any]:
    cache.set("a", b"1", expire=1)
    return [cache.touch("a", 100), cache.touch("none", 100), cache.touch("a", -1), cache.get("a")]


def many(cache: Any) -> list[Any]:
    keys = [f"key:{number}" for number in range(100)]
    return [
        cache.set_many({key: key.encode() for key in keys}),
        cache.get_many(keys) == {key: key.encode() for key in keys},
        cache.get_many(["key:1", "none", "key:2"]),
        cache.get_many([]),
        sorted(cache.gets_many(["key:1", "none"])),
        [type(token) for _, token in cache.gets_many(["key:1"]).values()],
        cache.set_many({}),
        cache.delete_many(keys[:50]),
        cache.delete_many([]),
        len(cache.get_many(keys)),
        cache.set_multi({"a": b"1"}),
        cache.get_multi(["a"]),
        cache.delete_multi(["a"]),
        cache.get_multi(["a"]),
    ]


def expire(cache: Any) -> list[Any]:
    return [
        cache.set("a", b"1", expire=-1),
        cache.get("a"),
        cache.set("b", b"1", expire=100),
        cache.get("b"),
        cache.set_many({"c": b"1"}, expire=-1),
        cache.get("c"),
    ]


def say_nothing(cache: Any) -> list[Any]:
    return [
        cache.add("a", b"1", noreply=True),
        cache.add("a", b"1", noreply=True),
        cache.replace("none", b"1", noreply=True),
        cache.append("none", b"1", noreply=True),
        cache.touch("none", 1, noreply=True),
        cache.set("b", b"1", 0, True),
        cache.set_many({"c": b"1"}, noreply=True),
        cache.delete_many(["none"], noreply=True),
        cache.cas("none", b"1", b"1", noreply=True),
    ]


SCRIPTS = [
    store_and_read,
    store_on_a_condition,
    compare_and_swap,
    count,
    remove,
    prolong,
    many,
    expire,
    say_nothing,
]


@pytest.fixture
def both(memcached_cluster: Cluster) -> Iterator[tuple[HashClient, MemcacheRing]]:
    """pymemcache and a ring, over three servers each."""
    servers = [server.address for server in memcached_cluster(6)]
    theirs = HashClient(servers[:3], default_noreply=False, timeout=20)
    ours = MemcacheRing(servers[3:], serde=AsTheyAre(), **PATIENT)
    yield theirs, ours
    theirs.close()
    ours.close()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.__name__))
def test_the_answers_are_the_same(script: Script, both: tuple[HashClient, MemcacheRing]) -> None:
    theirs, ours = both
    assert script(ours) == script(theirs)


KEYS = ["a", "b", "n", "c"]
STORES = ["set", "add", "replace", "append", "prepend"]


def take_any_step(cache: Any, dice: random.Random, tokens: dict[str, Any]) -> Any:
    """Make one call, whichever, and return what it gave, without what differs between two servers."""
    key, value = dice.choice(KEYS), dice.choice([b"1", b"x" * 10, "text", 7, b"", "5"])
    words: dict[str, Any] = dice.choice([{}, {}, {"noreply": True}, {"noreply": False}, {"noreply": None}])
    lasting = {"expire": dice.choice([0, 100, -1, 2_592_000]), **words}
    match dice.randrange(14):
        case 0:
            return cache.get(key, default="default")
        case 1:
            found, token = cache.gets(key, default=1, cas_default=10**9)
            tokens[key] = token
            return found, type(token)
        case 2:
            return cache.cas(key, value, tokens.get(key, 10**9), expire=lasting["expire"])
        case 3:
            return cache.touch(key, **lasting)
        case 4:
            return cache.delete(key, **words)
        case 5:
            return getattr(cache, dice.choice(["incr", "decr"]))(key, 3, **words)
        case 6:
            return cache.get_many(("a", "b", key))
        case 7:
            found = (
                cache.get_many(["a", key], gets=True) if dice.random() < 0.5 else cache.gets_many(["a", key])
            )
            return {name: (one, type(token)) for name, (one, token) in found.items()}
        case 8:
            return cache.set_many({"a": value, "b": b"2", key: value}, **lasting)
        case 9:
            return cache.delete_many(["a", "none"], **words)
        case _:
            return getattr(cache, dice.choice(STORES))(key, value, **lasting)


@pytest.mark.parametrize("seed", range(3))
def test_any_calls_in_any_order_have_the_same_answers(
    seed: int, both: tuple[HashClient, MemcacheRing]
) -> None:
    told: list[list[Any]] = []
    for cache in both:
        dice, tokens = random.Random(seed), dict[str, Any]()
        steps: list[Any] = []
        for _ in range(300):
            try:
                steps.append(take_any_step(cache, dice, tokens))
            except Exception as error:  # noqa: BLE001 - each has its own, at the same steps
                assert type(error).__name__ in ("CounterError", "MemcacheClientError"), error
                steps.append("what is there is no number")
        told.append(steps)
    assert told[1] == told[0]
    assert "what is there is no number" in told[0]


def test_what_one_wrote_the_other_reads(memcached_cluster: Cluster) -> None:
    (server,) = memcached_cluster(1)
    theirs = Client(server.address, default_noreply=False)
    ours = MemcacheRing([server.address], **PATIENT)
    ours.set_many({"text": "größe", "number": 5, "bytes": b"\x00"})
    assert theirs.get_many(["text", "number", "bytes"]) == {
        "text": "größe".encode(),
        "number": b"5",
        "bytes": b"\x00",
    }
    theirs.set("text", "x")
    assert (ours.get("text"), ours.incr("number", 1), theirs.incr("number", 1)) == (b"x", 6, 7)
    theirs.close()
    ours.close()


@pytest.mark.parametrize("name", [name for name in dir(HashClient) if not name.startswith("_")])
def test_every_method_of_a_hash_client_is_there(name: str) -> None:
    own = {"add_server", "remove_server", "client_class"}  # a ring has `add` and `remove`, and no such class
    assert name in own or callable(getattr(MemcacheRing, name))
