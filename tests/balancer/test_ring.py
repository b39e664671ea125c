"""A pool's ring is uhashring's, and the plane gets it as bytes."""

import struct
from base64 import b64decode
from bisect import bisect

import pytest
from uhashring import HashRing

from wsgistack.balancer.ring import make_ring

KEYS = [f"/page/{i}" for i in range(300)]


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [1, 2, 5, 1]], ids=["one", "equal", "unequal"])
def test_every_key_has_the_owner_that_uhashring_gives_it(weights: list[int]) -> None:
    addresses = [f"10.0.0.{i}:8001" for i in range(len(weights))]
    oracle = HashRing({a: {"weight": w} for a, w in zip(addresses, weights, strict=True)}, hash_fn="ketama")
    ring = make_ring(tuple(zip(addresses, weights, strict=True)))
    for key in KEYS:
        at = bisect(ring.points, oracle.hashi(key)) % len(ring.points)
        assert addresses[ring.owners[at]] == oracle.get_node(key)


def test_a_node_too_light_for_a_share_has_four_points_nevertheless() -> None:
    ring = make_ring((("10.0.0.1:80", 1), ("10.0.0.2:80", 256)))
    assert ring.owners.count(0) == 4


def test_an_empty_pool_has_an_empty_ring() -> None:
    assert make_ring(()).points == ()
    assert make_ring(()).as_wire() == {"points": "", "owners": ""}


def test_the_wire_has_little_endian_numbers() -> None:
    ring = make_ring((("10.0.0.1:80", 1), ("10.0.0.2:80", 1)))
    wire = ring.as_wire()
    assert struct.unpack("<320I", b64decode(wire["points"])) == ring.points
    assert struct.unpack("<320H", b64decode(wire["owners"])) == ring.owners
    assert list(ring.points) == sorted(ring.points)
