"""What a HashClient of pymemcache takes, a MemcacheRing takes, or says what to use instead."""

from __future__ import annotations

import inspect
import json
import socket
from typing import Any

import pytest
from pymemcache.client.hash import HashClient
from pymemcache.client.rendezvous import RendezvousHash

from tests.conftest import PATIENT
from tests.store.memcached.stage import wait_until
from tools.real_memcached import Memcached
from wsgistack.errors import ArgumentError, ConfigurationError, UnknownName
from wsgistack.store.codec import Codec
from wsgistack.store.memcached.hashclient import HashClientArguments, find_server
from wsgistack.store.memcached.ring import MemcacheRing

NOWHERE = ["127.0.0.1:1"]


def names_of(ring: MemcacheRing) -> list[str]:
    return [node["node"] for node in ring.nodes()]


def test_every_argument_of_a_hash_client_has_its_answer() -> None:
    theirs = set(inspect.signature(HashClient).parameters)
    ours = set(inspect.signature(MemcacheRing).parameters) | set(HashClientArguments.__annotations__)
    assert theirs - ours == set()


def test_every_method_of_a_hash_client_is_there() -> None:
    theirs = {name for name, _ in inspect.getmembers(HashClient, callable) if not name.startswith("_")}
    assert theirs - {"client_class"} - set(dir(MemcacheRing)) == set()


@pytest.mark.parametrize(
    ("servers", "names"),
    [
        ([("cache1", 11211), ("cache2", 11212)], ["cache1:11211", "cache2:11212"]),
        ([["cache1", 11211]], ["cache1:11211"]),
        (["cache1", "cache2:11212"], ["cache1:11211", "cache2:11212"]),
        (["[::1]:11213", "[::1]"], ["[::1]:11213", "[::1]:11211"]),
        (["/run/a.sock", "unix:/run/b.sock"], ["/run/a.sock", "/run/b.sock"]),
        ((("cache1", 11211),), ["cache1:11211"]),
    ],
    ids=["tuples", "lists", "text", "IPv6", "sockets", "a tuple of them"],
)
def test_servers_have_all_forms_of_a_hash_client(servers: Any, names: list[str]) -> None:
    assert names_of(MemcacheRing(servers)) == names


@pytest.mark.parametrize(
    "arguments",
    [
        {"no_delay": True, "use_pooling": True, "max_pool_size": 4, "pool_idle_timeout": 60},
        {"retry_attempts": 1, "retry_timeout": 0.5, "dead_timeout": 10},
        {"allow_unicode_keys": True, "socket_keepalive": object(), "lock_generator": None},
        {"ignore_exc": True, "hasher": None, "tls_context": None, "socket_module": socket},
        {"timeout": None, "connect_timeout": None, "default_noreply": True, "encoding": "utf-8"},
        {"timeout": 3, "connect_timeout": 0.5, "serde": None, "serializer": None, "deserializer": None},
    ],
    ids=["pool", "retries", "keys", "the same", "defaults", "limits"],
)
def test_what_means_the_same_or_has_no_meaning_here_is_taken(arguments: dict[str, Any]) -> None:
    assert names_of(MemcacheRing(NOWHERE, **arguments)) == NOWHERE


class Changed:
    """A module of sockets that is neither gevent's nor the standard library's."""

    __name__ = "socks"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"ignore_exc": False}, ArgumentError, r"ignore_exc: False .*ask get_ex\(\) for the state"),
        ({"hasher": RendezvousHash}, ArgumentError, "hasher: .*ring= tells which node owns a key"),
        ({"tls_context": object()}, ArgumentError, "tls_context: .*stunnel"),
        ({"socket_module": Changed()}, ArgumentError, "socket_module: .*leave it out"),
        ({"key_prefix": "a:", "prefix": "b:"}, ArgumentError, "key_prefix: 'a:' beside prefix 'b:'"),
        ({"key_prefix": 5}, ArgumentError, "key_prefix: 5 is neither str nor bytes"),
        ({"key_prefix": "a b"}, ConfigurationError, "prefix: 'a b'"),
        ({"serializer": 5}, ArgumentError, "serializer: 5 cannot be called"),
        ({"serde": object(), "serializer": len}, ArgumentError, "there is a serde too"),
        ({"serde": object(), "codec": Codec()}, ArgumentError, "codec: values have a serde already"),
        ({"encoding": "latin-1"}, ArgumentError, "encoding: 'iso8859-1' needs a serde"),
        ({"encoding": "latin-one"}, ArgumentError, "encoding: 'latin-one' is not the name of one"),
        ({"encoding": None}, ArgumentError, "encoding: None is not the name of one"),
        ({"key_prefx": "a"}, UnknownName, "key_prefx: .*did you mean 'key_prefix'"),
        ({"time_out": 1}, UnknownName, "time_out: .*did you mean 'timeout'"),
    ],
)
def test_what_would_be_silently_different_is_refused(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        MemcacheRing(NOWHERE, **arguments)


def test_a_timeout_is_the_limit_of_a_call() -> None:
    ring = MemcacheRing(NOWHERE, timeout=3)
    assert [node["patience_us"] for node in ring.nodes()] == [3_000_000]


@pytest.mark.parametrize(
    ("server", "port", "found"),
    [
        ("cache", 11212, ("cache", 11212)),
        ("cache:11212", None, "cache:11212"),
        (("cache", 1), None, ("cache", 1)),
    ],
)
def test_a_server_is_named_as_a_hash_client_names_it(server: Any, port: int | None, found: Any) -> None:
    assert find_server(server, port) == found


def test_servers_join_and_leave_under_the_names_of_a_hash_client() -> None:
    ring = MemcacheRing(NOWHERE)
    ring.add_server("127.0.0.1", 2)
    ring.add_server(("127.0.0.1", 3))
    wait_until(lambda: names_of(ring) == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"])
    ring.remove_server("127.0.0.1", 1)
    ring.remove_server("127.0.0.1:3")
    wait_until(lambda: names_of(ring) == ["127.0.0.1:2"])
    with pytest.raises(ArgumentError, match="is not a host"):
        ring.add_server(("127.0.0.1", 3), 4)


def to_json(key: Any, value: Any) -> tuple[str, int]:
    return json.dumps(value, ensure_ascii=False), 2


def from_json(key: Any, value: bytes, flags: int) -> Any:
    return [flags, json.loads(value.decode("latin-1"))]


@pytest.mark.parametrize(
    ("arguments", "stored", "found"),
    [
        (
            {"serializer": to_json, "deserializer": from_json, "encoding": "latin-1"},
            b'"gr\xf6\xdfe"',
            [2, "größe"],
        ),
        ({"serializer": lambda key, value: (value.encode(), 0)}, "größe".encode(), "größe".encode()),
        (
            {"deserializer": lambda key, value, flags: value.decode("utf-8"), "encoding": "utf-8"},
            None,
            "größe",
        ),
    ],
    ids=["both functions", "a serializer", "a deserializer"],
)
def test_each_reads_behind_its_prefix_what_the_other_stored(
    arguments: dict[str, Any], stored: bytes | None, found: Any, memcached: Memcached
) -> None:
    theirs = HashClient(
        [memcached.address], key_prefix=b"site:", **arguments, default_noreply=False, timeout=20
    )
    ours = MemcacheRing([memcached.address], key_prefix="site:", **arguments, **PATIENT)
    raw = HashClient([memcached.address], timeout=20)
    assert [ours.set("a", "größe"), theirs.set("b", "größe")] == [True, True]
    assert ours.get_many(["a", "b"]) == theirs.get_many(["a", "b"]) == {"a": found, "b": found}
    assert raw.get("site:a") == raw.get("site:b") == (stored or "größe".encode())
    assert raw.get("a") is None
    for cache in (ours, theirs, raw):
        cache.close()
