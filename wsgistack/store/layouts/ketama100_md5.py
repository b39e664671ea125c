"""libmemcached's plain `ketama` with `hash=md5`: 100 points a node, weights ignored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.store.circle import Continuum
from wsgistack.store.layouts import Member
from wsgistack.store.layouts.ketama100 import plain_circle

__all__ = ["HELP", "NAME", "build"]

NAME = "ketama100_md5"
HELP = "as libmemcached's plain ketama with MD5 (pylibmc's ketama=True, hash=md5)"


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return libmemcached's plain circle with MD5 for nodes and keys."""
    return plain_circle(members, pause, "md5")
