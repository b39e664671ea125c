"""libmemcached's `ketama_weighted` with MD5, the same as Dalli's ring and twemproxy's points.

The share of a node is computed in single precision, as there: with 25 equal nodes each has 156
points, not 160.  A node on the default port is named by its host alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from struct import pack, unpack

from wsgistack.store.circle import Continuum
from wsgistack.store.hashes import md5_words
from wsgistack.store.layouts import DEFAULT_PORT, Member

__all__ = ["HELP", "NAME", "build", "name_of", "weighted_points"]

NAME = "libmemcached"
HELP = "as libmemcached's ketama_weighted with MD5 (pylibmc, PHP, Dalli)"
POINTS = 160


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return libmemcached's weighted circle."""
    return Continuum(weighted_points(members, pause), "md5")


def name_of(member: Member) -> str:
    """Return the name that libmemcached hashes: the port only if it is not the default one."""
    return member.host if member.port == DEFAULT_PORT else f"{member.host}:{member.port}"


def weighted_points(
    members: Sequence[Member], pause: Callable[[], None]
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield (node's number, its points) in libmemcached's order."""
    total = sum(member.weight for member in members)
    for number, member in enumerate(members):
        name = name_of(member)
        groups = range(_groups(member.weight, total, len(members)))
        yield number, [point for group in groups for point in md5_words(f"{name}-{group}".encode())]
        pause()


def _groups(weight: int, total: int, count: int) -> int:
    """Return how many digests a node gets: floor(weight/total * 160 / 4 * count) in floats of 32 bits."""
    share = _single(weight / total)
    product = _single(_single(share * POINTS) / 4)
    return math.floor(_single(_single(product * count) + 1e-10))


def _single(number: float) -> float:
    value: float = unpack("f", pack("f", number))[0]
    return value
