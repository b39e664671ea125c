"""libmemcached's plain `ketama`: 100 points a node, weights ignored, keys by one-at-a-time.

What pylibmc's `behaviors={"ketama": True}` does, and so most Django sites that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from wsgistack.store.circle import Continuum
from wsgistack.store.hashes import HASHES
from wsgistack.store.layouts import Member
from wsgistack.store.layouts.libmemcached import name_of

__all__ = ["HELP", "NAME", "build", "plain_circle"]

NAME = "ketama100"
HELP = "as libmemcached's plain ketama (pylibmc's ketama=True)"
POINTS = 100


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return libmemcached's plain circle with its default hash."""
    return plain_circle(members, pause, "one_at_a_time")


def plain_circle(members: Sequence[Member], pause: Callable[[], None], hash_name: str) -> Continuum:
    """Return libmemcached's plain circle: the hash of keys makes the points too."""

    def points() -> Iterator[tuple[int, Sequence[int]]]:
        for number, member in enumerate(members):
            name = name_of(member)
            yield number, [HASHES[hash_name](f"{name}-{point}".encode()) for point in range(POINTS)]
            pause()

    return Continuum(points(), hash_name)
