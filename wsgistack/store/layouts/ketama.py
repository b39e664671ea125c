"""uhashring's `hash_fn="ketama"`: the points are made by uhashring, so both agree on every key.

Where it differs from libmemcached, `libmemcached` is the layout to take: names keep their default
port, the number of points is rounded in whole numbers, a hash that is a point goes to the next,
and of two equal points the later node's counts.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from uhashring import HashRing

from wsgistack.store.circle import Continuum
from wsgistack.store.layouts import Member

__all__ = ["HELP", "NAME", "build"]

NAME = "ketama"
HELP = "as uhashring's ketama: 160 points a node"
GROUPS = 40  # uhashring's default, of 4 points each


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return the circle that `HashRing(..., hash_fn="ketama")` makes of these nodes."""
    return Continuum(_points(members, pause), "md5", strictly_after=True, last_wins=True)


def _points(members: Sequence[Member], pause: Callable[[], None]) -> Iterator[tuple[int, array[int]]]:
    total = sum(member.weight for member in members)
    for number, member in enumerate(members):
        yield number, _points_of(member.address, GROUPS * len(members) * member.weight // total)
        pause()


@lru_cache(maxsize=1024)  # a node that joins costs its own points, not everybody's
def _points_of(name: str, groups: int) -> array[int]:
    alone = HashRing({name: {"vnodes": groups, "weight": 1}}, hash_fn="ketama")
    return array("I", [point for point, _ in alone.get_points()])
