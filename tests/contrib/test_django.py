"""Django's cache over a ring, beside Django's own memcached backend on the same servers."""

from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.cache.backends.base import CacheKeyWarning
from django.core.cache.backends.memcached import PyMemcacheCache

from tests.conftest import PATIENT, Cluster
from tools.real_memcached import Memcached
from wsgistack.contrib import django as bridge
from wsgistack.contrib.django import MemcacheRingCache
from wsgistack.errors import ArgumentError, SettingError

if not settings.configured:
    settings.configure(SECRET_KEY="of the tests")
    django.setup()


@pytest.fixture
def servers(memcached_cluster: Cluster) -> Iterator[list[Memcached]]:
    yield memcached_cluster(2)
    for ring in bridge._rings.rings.values():
        ring.close()
    bridge._rings.rings.clear()


@pytest.fixture
def cache(servers: list[Memcached]) -> Iterator[Any]:
    yield MemcacheRingCache([one.address for one in servers], {"OPTIONS": {"pickle": True, **PATIENT}})


def test_values_of_any_kind_come_back(cache: Any) -> None:
    for value in ("text", 7, None, [1, (2, {"a"})], object, True, b"", 1.5):
        cache.set("key", value)
        assert cache.get("key", "nothing") == value
    assert cache.get("nothing", "default") == "default"


def test_times_to_live_mean_what_django_means(cache: Any) -> None:
    cache.set("ever", 1, None)
    cache.set("never", 1, 0)
    cache.set("past", 1, -5)
    cache.set("months", 1, 90 * 86400)
    assert cache.get_many(["ever", "never", "past", "months"]) == {"ever": 1, "months": 1}
    assert cache.touch("ever", 60) is True
    assert cache.touch("ever", 0) is True
    assert cache.touch("ever", 60) is False


def test_counters_and_versions(cache: Any) -> None:
    cache.set("count", 41)
    assert cache.incr("count") == 42
    assert cache.decr("count", 10) == 32
    assert cache.incr("count", -2) == 30
    assert cache.get("count") == 30
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")
    cache.set("page", "one", version=1)
    assert cache.incr_version("page") == 2
    assert (cache.get("page", version=1), cache.get("page", version=2)) == (None, "one")


def test_many_at_once(cache: Any) -> None:
    assert cache.set_many({"a": 1, "b": [2]}, 60) == []
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": [2]}
    cache.delete_many(["a"])
    assert cache.has_key("b") and "a" not in cache
    assert cache.add("b", 3) is False
    assert cache.delete("b") is True
    cache.clear()
    assert cache.get_or_set("c", lambda: 5) == 5


def test_a_key_that_memcached_does_not_take_works_and_django_warns(cache: Any) -> None:
    for key in ("a key with spaces", "k" * 300):
        with pytest.warns(CacheKeyWarning):
            cache.set(key, "value")
        with pytest.warns(CacheKeyWarning):
            assert cache.get(key) == "value"
        with pytest.warns(CacheKeyWarning):
            cache.set(key, 41)
        with pytest.warns(CacheKeyWarning):
            assert cache.incr(key) == 42


def test_django_reads_what_we_wrote_and_we_what_django_wrote(servers: list[Memcached]) -> None:
    address = servers[0].address
    ours = MemcacheRingCache(address, {"OPTIONS": {"pickle": True, **PATIENT}})
    theirs = PyMemcacheCache(address, {})
    values = {"text": "Käse", "number": 7, "list": [1, {"a": None}], "bytes": b"raw", "large": "x" * 9000}
    for key, value in values.items():
        theirs.set(f"theirs:{key}", value)
        assert ours.get(f"theirs:{key}") == value
        ours.set(f"ours:{key}", value)
        if key != "large":  # Django's backend does not know compressed values
            assert theirs.get(f"ours:{key}") == value
    theirs.close()


def test_without_pickle_only_plain_values_are_taken(servers: list[Memcached]) -> None:
    address = servers[0].address
    plain = MemcacheRingCache(address, {})
    theirs = PyMemcacheCache(address, {})
    theirs.set("pickled", [1, 2])
    theirs.close()
    assert plain.get("pickled") is None
    plain.set("plain", {"a": (1, 2)})
    assert plain.get("plain") == {"a": (1, 2)}
    with pytest.raises(ArgumentError, match="pickle"):
        plain.set("object", object())


def test_what_cannot_be_written_leaves_nothing_of_before(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set_many({"one": "old", "many": "old", "other": "old"})
    monkeypatch.setattr(cache._ring, "set", lambda *arguments: False)
    monkeypatch.setattr(cache._ring, "set_many", lambda values, ttl: [next(iter(values))])
    cache.set("one", "new")
    assert cache.set_many({"many": "new", "other": "new"}) == ["many"]
    assert cache.get_many(["one", "many", "other"]) == {"other": "old"}


def test_a_dead_server_is_a_miss_and_no_exception(servers: list[Memcached], cache: Any) -> None:
    for server in servers:
        server.kill()
    cache.set("key", "value")
    assert cache.get("key") is None
    assert cache.get_many(["key", "other"]) == {}
    assert cache.delete("key") is False
    cache.clear()


def test_what_djangos_own_backend_was_told_may_stay() -> None:
    options = {"no_delay": True, "ignore_exc": True, "max_pool_size": 4, "use_pooling": True}
    cache = MemcacheRingCache("127.0.0.1:1", {"OPTIONS": options})
    assert [node["node"] for node in cache._ring.nodes()] == ["127.0.0.1:1"]


def test_a_process_has_one_ring_for_all_its_threads(servers: list[Memcached]) -> None:
    address = servers[0].address
    first, second = (MemcacheRingCache(address, {"OPTIONS": {"timeout": 0.5}}) for _ in range(2))
    assert first._ring is second._ring
    assert MemcacheRingCache(address, {"OPTIONS": {"timeout": 0.6}})._ring is not first._ring


@pytest.mark.parametrize(
    ("location", "options", "told"),
    [
        (None, {}, "LOCATION: None is neither a server such as '10.0.0.1:11211' nor a list"),
        (
            ["127.0.0.1", 5],
            {},
            "LOCATION: ['127.0.0.1', 5] is neither a server such as '10.0.0.1:11211' nor a list",
        ),
        (
            5,
            {"pickle": "yes"},
            "LOCATION: 5 is neither a server such as '10.0.0.1:11211' nor a list; OPTIONS: pickle: 'yes' is neither True nor False",
        ),
        (
            "127.0.0.1",
            {"pikle": True, "rng": "ketama", "no_dely": True, "pickle": 1},
            (
                "OPTIONS: pikle: neither a MemcacheRing nor a HashClient has such an argument (did you mean 'pickle'?); "
                "OPTIONS: rng: neither a MemcacheRing nor a HashClient has such an argument (did you mean 'ring'?); "
                "OPTIONS: no_dely: neither a MemcacheRing nor a HashClient has such an argument (did you mean 'no_delay'?); "
                "OPTIONS: pickle: 1 is neither True nor False"
            ),
        ),
        ("127.0.0.1", ["pickle"], "OPTIONS: ['pickle'] is not a mapping, such as {'ring': 'ketama'}"),
    ],
    ids=["none", "a number among servers", "both", "unknown names", "no mapping"],
)
def test_what_cannot_be_meant_is_told(location: Any, options: Any, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        MemcacheRingCache(location, {"OPTIONS": options})
    assert str(caught.value) == told
