"""What is kept beside a value: flags of ones own, those of a serde, and what a ring has for itself."""

from __future__ import annotations

import random

import pytest

from tests.conftest import PATIENT, Cluster
from tests.store.memcached.stage import KINDS, run_as
from tools.real_memcached import Memcached
from wsgistack.store.memcached.envelope import Envelope
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@pytest.mark.parametrize("flags", [2048, 4096, 2**32 - 1])
def test_the_flags_of_a_serde_may_be_those_that_a_ring_has_for_itself(
    kind: str, flags: int, memcached: Memcached
) -> None:
    ring = MemcacheRing([memcached.address], serde=WithFlags(flags), **PATIENT)

    def script() -> list[object]:
        return [
            *(ring.set("a", b"value"), ring.get("a"), ring.get_many(["a"])),
            *(ring.fetch("b", lambda: b"built", 60), ring.fetch("b", lambda: b"never", 60)),
            *(ring.set("c", b"x" * 2_000_000), ring.get("c") == (b"x" * 2_000_000, flags)),
        ]

    found = run_as(kind, script)
    assert found[:3] == [True, (b"value", flags), {"a": (b"value", flags)}]
    assert found[3:] == [b"built", (b"built", flags), True, True]
    ring.close()


@pytest.mark.parametrize("near", [0, 1_000_000])
def test_the_flags_of_a_serde_come_back_from_under_tags(near: int, memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], serde=WithFlags(4096 | 7), near=near, near_ttl=60, **PATIENT)
    inside = Envelope({}).close(b"value", 0)[0]  # what looks like one of ours is a value like any other

    def fetch(key: str, value: object) -> object:
        return ring.fetch(key, lambda: value, 60, tags=["t"])

    for key, value in {"a": b"value", "b": inside, "c": b""}.items():
        assert fetch(key, value) == value
        assert [fetch(key, b"never") for _ in range(3)] == [(value, 4103)] * 3
    assert ring.get("a") == (b"value", 4103)
    ring.close()


@kinds
@pytest.mark.parametrize("size", [3, 3000, 3_000_001])
def test_flags_of_ones_own_stay_beside_the_value_whatever_its_size(
    kind: str, size: int, memcached_cluster: Cluster
) -> None:
    servers = [server.address for server in memcached_cluster(3)]
    ring = MemcacheRing(servers, serde=WithFlags(), **PATIENT)
    value = random.Random(size).randbytes(size)

    def script() -> list[object]:
        return [
            ring.set("a", value, flags=9),
            ring.set_many({"b": value, "with space": value}, flags=2**32 - 1),
            ring.get("a") == (value, 9),
            ring.get_many(["b", "with space"]) == dict.fromkeys(["b", "with space"], (value, 2**32 - 1)),
        ]

    assert run_as(kind, script) == [True, [], True, True]
    ring.close()


def test_a_large_value_lives_as_long_as_it_and_its_grace_were_meant(memcached: Memcached) -> None:
    """30 days and a grace are more than memcached takes for a duration; the chunks need a date too."""
    ring = MemcacheRing([memcached.address], **PATIENT)
    value = random.Random(1).randbytes(3_000_000)  # nothing that is compressed into one item
    assert ring.fetch("large", lambda: value, 2_592_000, grace=60) == value
    assert ring.fetch("large", lambda: b"never", 2_592_000, grace=60) == value
    ring.close()


class WithFlags:
    """A serde that gives the flags beside the value."""

    def __init__(self, flags: int = 1) -> None:
        self.flags = flags

    def serialize(self, key: bytes, value: bytes) -> tuple[bytes, int]:
        return value, self.flags

    def deserialize(self, key: bytes, value: bytes, flags: int) -> tuple[bytes, int]:
        return value, flags
