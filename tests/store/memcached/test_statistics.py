"""Statistics: which words ask for them, and what their values are; the same as pymemcache makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheUnknownCommandError

from tests.conftest import PATIENT
from tools.real_memcached import Memcached
from wsgistack.errors import ArgumentError
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.memcached.statistics import make_words, read_values

VALUES: dict[bytes, tuple[Any, Any]] = {
    b"pid": (b"7", 7),
    b"version": (b"1.6.18", b"1.6.18"),
    b"rusage_user": (b"0.031250", 0.03125),
    b"growth_factor": (b"1.25", 1.25),
    b"hash_is_expanding": (b"0", False),
    b"cas_enabled": (b"1", True),
    b"slab_automove": (b"2", True),
    b"detail_enabled": (b"no", b"no"),
    b"umask": (b"700", 448),
    b"auth_enabled_sasl": (b"yes", True),
    b"inter": (b"127.0.0.1", b"127.0.0.1"),
    b"stat_key_prefix": (b":", b":"),
    b"items:1:age": (b"12", 12),
    b"sizes_status": (b"disabled", b"disabled"),
    b"empty": (b"", b""),
    b"made a number before": (7, 7),  # by pymemcache itself
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_what_it_says(name: bytes) -> None:
    text, value = VALUES[name]
    found = read_values({name: text})
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_words_are_what_the_command_takes() -> None:
    assert make_words(["cachedump", b"1", "x" * 250]) == [b"cachedump", b"1", b"x" * 250]


@pytest.mark.parametrize("word", ["", "ö", "a b", "items\r\nflush_all", "\0", 7, None, "x" * 251], ids=repr)
def test_what_is_no_word_is_refused(word: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^stats: .* is not a word"):
        make_words([word])


@pytest.mark.parametrize("is_classic", [False, True], ids=["meta", "classic"])
@pytest.mark.parametrize(
    "words",
    [["settings"], ["items"], ["slabs"], ["sizes"], ["detail", "on"], ["nonsense"]],
    ids=repr,
)
def test_a_ring_tells_of_each_node_what_pymemcache_does(
    words: list[str], is_classic: bool, memcached: Memcached
) -> None:
    theirs = Client(memcached.address, default_noreply=False)
    ring = MemcacheRing([memcached.address], **PATIENT)
    ring.set("key", "value")
    ring._cluster.nodes()[0].is_classic = is_classic
    try:
        expected = {memcached.address: theirs.stats(*words)}
    except MemcacheUnknownCommandError:
        expected = {}
    told = ring.stats(*words)
    assert [sorted(one) for one in told.values()] == [sorted(one) for one in expected.values()]
    if words != ["items"]:  # they tell the age of an item, which grows
        assert told == expected
    assert (ring.get("key"), ring.nodes()[0]["outages"]) == ("value", 0)
    ring.close()
    theirs.close()
