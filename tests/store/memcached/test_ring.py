"""MemcacheRing on real servers, in threads and in greenlets."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached import solo
from tests.store.memcached.stage import KINDS, owned_by, run_as, together
from tools.real_memcached import Memcached, listening
from wsgistack.errors import ArgumentError, ConfigurationError, CounterError, TooLarge
from wsgistack.store.codec import Codec
from wsgistack.store.memcached.ring import Looked, MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_values_come_back_as_what_they_were(kind: str, memcached_cluster: Cluster) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT)
    values = {
        "text": "größe",
        "bytes": b"\x00\r\nEND\r\n",
        "number": -5,
        "list": [1, {"a": None}],
        "empty": b"",
    }

    def script() -> None:
        assert ring.set_many(values, expire=60) == []
        assert ring.get_many([*values, "none"]) == values
        assert {key: ring.get(key) for key in values} == values
        assert ring.get_ex("text") == Looked("größe", "hit")
        assert ring.get_ex("none", 7) == Looked(7, "miss")
        ring.close()

    run_as(kind, script)


@kinds
def test_keys_of_any_length_and_alphabet_and_their_bytes_are_the_same(
    kind: str, memcached_cluster: Cluster
) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT, prefix="site:")
    keys = ["a", "k" * 250, "k" * 251, "ö", "with space", "", "h:x", "line\r\nbreak", "\x00"]

    def script() -> None:
        assert ring.set_many({key: f"value of {key}" for key in keys}) == []
        assert ring.get_many(keys) == {key: f"value of {key}" for key in keys}
        assert [ring.get(key.encode()) for key in keys] == [f"value of {key}" for key in keys]
        ring.close()

    run_as(kind, script)


@kinds
@pytest.mark.parametrize("size", [1_048_063, 1_048_065, 3_000_001])
def test_a_value_that_no_item_holds_is_kept_in_chunks(
    kind: str, size: int, memcached_cluster: Cluster
) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT)
    value = random.Random(size).randbytes(size)

    def script() -> None:
        assert ring.set("large", value, expire=60) is True
        assert ring.get("large") == value
        assert ring.get_many(["large", "none"]) == {"large": value}
        assert ring.set_many({"large": value, "small": 1}) == []
        assert ring.get_many(["large", "small"]) == {"large": value, "small": 1}
        ring.close()

    run_as(kind, script)


@kinds
def test_many_at_once_each_get_their_own(kind: str, memcached_cluster: Cluster) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT)

    def work(number: int) -> int:
        keys = [f"{number}:{index}" for index in range(20)]
        for turn in range(10):
            assert ring.set_many({key: f"{key} {turn}" for key in keys}) == []
            assert ring.get_many(keys) == {key: f"{key} {turn}" for key in keys}
            for key in keys[:5]:
                assert ring.get(key) == f"{key} {turn}"
                assert ring.set(key, [number, turn]) is True
                assert ring.get(key) == [number, turn]
        return number

    def script() -> list[int]:
        return together(kind, [partial(work, number) for number in range(20)])

    assert run_as(kind, script) == list(range(20))
    ring.close()


def test_threads_greenlets_and_the_main_program_share_one_ring(memcached_cluster: Cluster) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(2)], **PATIENT)

    def count() -> list[int | None]:
        return [ring.incr("n", 1) for _ in range(200)]

    ring.set("n", 0)
    counted = together(
        "threads", [lambda: run_as("greenlets", count), lambda: run_as("threads", count), count, count]
    )
    assert sorted(n for numbers in counted for n in numbers if n is not None) == list(range(1, 801))
    ring.close()


def test_incr_and_cas_are_atomic_over_processes(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    ring.set_many({"n": 0, "c": 0})
    processes = [solo.start("count", [memcached.address]) for _ in range(3)]
    numbers = [int(word) for process in processes for word in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(numbers) == list(range(1, 301))
    assert ring.get_many(["n", "c"]) == {"n": 300, "c": 300}
    ring.close()


@pytest.mark.parametrize("script", ["fork_plain", "fork_gevent"])
def test_a_fork_leaves_both_sides_their_own_connections(script: str, memcached_cluster: Cluster) -> None:
    assert solo.run(script, [server.address for server in memcached_cluster(2)]) == 0


@kinds
def test_servers_are_reached_by_ipv6_and_by_unix_sockets(kind: str, tmp_path: Any) -> None:
    path = str(tmp_path / "memcached.sock")
    with listening("-l", "::1", "-p", "-1") as six, listening("-s", path) as local:
        for servers in ([f"[::1]:{six.port}"], [("::1", six.port)], [path], [f"unix:{path}"]):
            ring = MemcacheRing(servers, **PATIENT)

            def script(ring: MemcacheRing = ring) -> None:
                assert ring.set("a", 1) is True
                assert ring.get_many(["a"]) == {"a": 1}
                ring.close()

            run_as(kind, script)
        assert local.process.poll() is None


@kinds
def test_all_servers_are_asked_and_emptied(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(3)
    ring = MemcacheRing([server.address for server in servers], **PATIENT)

    def script() -> None:
        assert set(ring.version()) == {server.address for server in servers}
        assert all(version.startswith(b"1.") for version in ring.version().values())
        assert {int(stats[b"pid"]) for stats in ring.stats().values()} == {s.process.pid for s in servers}
        assert b"evictions" in ring.stats("settings")[servers[0].address]
        ring.set_many({f"key:{number}": 1 for number in range(50)})
        assert ring.flush_all() is True
        assert ring.get_many([f"key:{number}" for number in range(50)]) == {}
        ring.close()

    run_as(kind, script)


BAD_CALLS: dict[str, tuple[Callable[[MemcacheRing], Any], type[Exception], str]] = {
    "a key of another type": (lambda ring: ring.get(7), ArgumentError, "key: 7 is neither str nor bytes"),  # type: ignore[arg-type]  # on purpose
    "a key of another type among many": (lambda ring: ring.get_many(["a", None]), ArgumentError, "key: None"),
    "a time to live that is no number": (
        lambda ring: ring.set("a", 1, float("nan")),
        ArgumentError,
        "expire: nan",
    ),
    "a time to live as text": (lambda ring: ring.set_many({"a": 1}, "60"), ArgumentError, "expire: '60'"),  # type: ignore[arg-type]  # on purpose
    "a value that would not come back": (lambda ring: ring.set("a", object()), ArgumentError, "value: "),
    "a value that is too large": (
        lambda ring: ring.set("a", b"x" * 17_000_000),
        TooLarge,
        "value: 17000000 bytes",
    ),
    "a step that is no number": (lambda ring: ring.incr("a", 1.5), ArgumentError, "value: 1.5 is not"),  # type: ignore[arg-type]  # on purpose
    "a step below zero": (lambda ring: ring.incr("a", -1), ArgumentError, "value: -1 is not"),
    "a token that is none": (lambda ring: ring.cas("a", 1, "x"), ArgumentError, "cas: 'x' is not a token"),
    "a token above all": (lambda ring: ring.cas("a", 1, 2**64), ArgumentError, "cas: 18446744073709551616"),
    "a token that is not even text": (
        lambda ring: ring.cas("a", 1, "\udcff"),
        ArgumentError,
        "cas: '\\udcff'",
    ),
    "flags above all": (
        lambda ring: ring.set("a", 1, flags=2**32),
        ArgumentError,
        "flags: 4294967296 is not",
    ),
    "flags below zero of many": (
        lambda ring: ring.set_many({"a": b"x"}, flags=-1),
        ArgumentError,
        "flags: -1 is not a whole number",
    ),
    "flags as text": (lambda ring: ring.add("a", 1, flags="1"), ArgumentError, "flags: '1' is not"),  # type: ignore[arg-type]  # on purpose
    "statistics of two lines": (lambda ring: ring.stats("a\r\nflush_all"), ArgumentError, "stats: 'a"),
    "a delay that is no number": (
        lambda ring: ring.flush_all("soon"),  # type: ignore[arg-type]  # on purpose
        ArgumentError,
        "delay: 'soon' is not",
    ),
    "text that is counted": (lambda ring: ring.incr("text", 1), CounterError, "holds no number to add to"),
}


@kinds
@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_call_that_cannot_be_meant_raises_and_breaks_nothing(
    kind: str, name: str, memcached: Memcached
) -> None:
    call, error, words = BAD_CALLS[name]
    ring = MemcacheRing([memcached.address], **PATIENT)

    def script() -> None:
        ring.set_many({"a": 1, "text": "no number"})
        with pytest.raises(error) as caught:
            call(ring)
        assert words in str(caught.value)
        assert ring.get_many(["a", "text"]) == {"a": 1, "text": "no number"}
        assert ring.nodes()[0]["connects"] == 1
        ring.close()

    run_as(kind, script)


def test_a_value_above_the_servers_own_limit_is_named_and_its_key_holds_nothing(tmp_path: Any) -> None:
    with listening("-l", "127.0.0.1", "-p", "-1", "-I", "512k") as server:
        ring = MemcacheRing([server.address], **PATIENT)
        ring.set("a", b"x")
        with pytest.raises(TooLarge, match="larger than the server takes"):
            ring.set("a", os.urandom(600_000))
        assert ring.get("a") is None
        ring.close()


@kinds
def test_of_many_values_only_the_one_without_room_is_named(kind: str) -> None:
    """The server says of a quiet request that something has no room, and not what."""
    with listening("-l", "127.0.0.1", "-p", "-1", "-I", "512k") as server:
        ring = MemcacheRing([server.address], **PATIENT, codec=Codec(compress_from=None))
        values = {f"key {number}".replace(" ", ":"): b"%d" % number for number in range(20)}
        large = {**values, "key:7": os.urandom(600_000)}

        def script() -> list[Any]:
            return [
                ring.set_many(values),  # the names are known from now on
                ring.set_many(large),
                ring.get_many(list(values)) == {name: values[name] for name in values if name != "key:7"},
                ring.set_many({**large, "text": "more than bytes"}),
            ]

        assert run_as(kind, script) == [[], ["key:7"], True, ["key:7"]]
        ring.close()


@kinds
def test_one_name_twice_and_as_text_and_bytes_is_one_value(kind: str, memcached_cluster: Cluster) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT)

    def script() -> list[Any]:
        ring.set("a", b"1")
        return [ring.get_many(["a", "b", "a"]), ring.get_many([b"a", "a"])]

    assert run_as(kind, script) == [{"a": b"1"}, {b"a": b"1", "a": b"1"}]
    ring.close()


@kinds
def test_a_count_under_a_hashed_key_comes_back_among_many(kind: str, memcached_cluster: Cluster) -> None:
    ring = MemcacheRing([server.address for server in memcached_cluster(3)], **PATIENT)

    def script() -> list[Any]:
        ring.set_many({"with space": 41, "clean": b"1"})
        return [ring.incr("with space", 1), ring.get_many(["with space", "clean"])]

    assert run_as(kind, script) == [42, {"with space": 42, "clean": b"1"}]
    ring.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"servers": []}, "there is not even one"),
        ({"servers": ["a:1"], "ring": "ketamma"}, "did you mean 'ketama'"),
        ({"servers": ["a:1"], "on_down": "gutted"}, "did you mean 'gutter'"),
        ({"servers": ["a:1"], "timeout": 0}, "timeout: 0 is not a number of seconds above 0"),
        ({"servers": ["a:1"], "connect_timeout": float("nan")}, "connect_timeout: nan"),
        ({"servers": ["a:1"], "gutter_ttl": 0}, "gutter_ttl: 0"),
        ({"servers": ["a:1"], "prefix": "a b"}, "prefix: 'a b'"),
    ],
)
def test_a_ring_that_cannot_be_meant_is_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigurationError, ArgumentError)) as caught:
        MemcacheRing(**arguments)
    assert words in str(caught.value)


def test_a_large_write_does_not_hold_up_small_reads(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    value = os.urandom(1_000_000)

    def script() -> int:
        assert (
            together("greenlets", [partial(ring.set, "large", value), partial(ring.get, "small")])[0] is True
        )
        return int(ring.nodes()[0]["connects"])

    assert run_as("greenlets", script) == 2  # the large has a connection of its own
    ring.close()


@pytest.mark.parametrize(
    ("size", "connections"), [(1000, [1, 1, 1]), (200_000, [1, 2, 2]), (3_000_000, [2, 2, 2])]
)
def test_a_large_value_is_read_over_a_connection_of_its_own(
    size: int, connections: list[int], memcached: Memcached
) -> None:
    """Of one item nobody knows before it was read once; of chunks everybody does."""
    other = MemcacheRing([memcached.address], **PATIENT)
    ring = MemcacheRing([memcached.address], **PATIENT)
    value = os.urandom(size)

    def script() -> list[int]:
        other.set("a", value)
        seen = []
        for _ in range(3):
            assert ring.get("a") == value
            seen.append(int(ring.nodes()[0]["connects"]))
        other.set("a", b"small")
        assert [ring.get("a") for _ in range(3)] == [b"small"] * 3
        assert ring._do.large == set()
        ring.close()
        other.close()
        return seen

    assert run_as("greenlets", script) == connections


def test_owned_keys_go_where_the_ring_says(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(3)
    ring = MemcacheRing([server.address for server in servers], **PATIENT)
    for server in servers:
        for key in owned_by(ring, server, 5):
            ring.set(key, "here")
            assert server.ask(b"get " + key.encode()).startswith(b"VALUE")
    ring.close()
