"""twemproxy's `distribution: ketama` with its default `hash: fnv1a_64`; its points are libmemcached's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.store.circle import Continuum
from wsgistack.store.layouts import Member
from wsgistack.store.layouts.libmemcached import weighted_points

__all__ = ["HELP", "NAME", "build"]

NAME = "twemproxy"
HELP = "as twemproxy's ketama with fnv1a_64"


def build(members: Sequence[Member], pause: Callable[[], None]) -> Continuum:
    """Return twemproxy's circle."""
    return Continuum(weighted_points(members, pause), "fnv1a")
