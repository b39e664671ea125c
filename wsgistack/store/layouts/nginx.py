"""nginx's `hash $key consistent`, which is Cache::Memcached::Fast's ring: 160 points a weight."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from struct import pack

from wsgistack.store.circle import Continuum
from wsgistack.store.layouts import Member

__all__ = ["HELP", "NAME", "build"]

NAME = "nginx"
HELP = "as nginx's `hash $key consistent` (and Cache::Memcached::Fast)"
POINTS = 160


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return nginx's circle; *host* and *port* as they stand in its `server` lines."""
    return Continuum(_points(members, pause), "crc32")


def _points(members: Sequence[Member], pause: Callable[[], None]) -> Iterator[tuple[int, Sequence[int]]]:
    for number, member in enumerate(members):
        port = str(member.port).encode() if member.port else b""
        base = zlib.crc32(member.host.encode() + b"\0" + port)
        point = 0
        for _ in range(member.weight):
            points = []
            for _ in range(POINTS):
                point = zlib.crc32(pack("<I", point), base)
                points.append(point)
            yield number, points
            pause()
