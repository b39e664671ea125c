"""Where the pages of a request lie, and what a look found there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from wsgistack.cache.keys import Key, Target, make_key
from wsgistack.cache.page import Page
from wsgistack.cache.search import Variance
from wsgistack.cache.tickets import NO_HOLD, Hold
from wsgistack.cache.vary import Selecting

__all__ = ["NOTHING", "Found", "Place", "general_place", "search_key"]

NO_HOLDS: Mapping[str, Hold] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages of a request lie: what is asked for, and the other dimensions of the key."""

    target: Target
    dimensions: Selecting = ()
    key: Key = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", make_key(self.target, self.dimensions))


class Found(NamedTuple):
    """The pages that fit a request; *has_variants*: there are some that do not.

    *generation*: of the purges that are known; what is stored after this look carries it.
    *sets*: how many sets of fields the URL varies by at the moment.  *generals*: where pages lie whose queries mean the same.
    *raw*: what lies at the place itself, *holds* the lists of names there and what lies at those.
    """

    pages: Sequence[Page]
    has_variants: bool = False
    generation: int = 0
    sets: int = 0
    holds: Mapping[str, Hold] = NO_HOLDS
    generals: Sequence[Place] = ()
    raw: bytes | None = None

    def signs(self, place: Place) -> list[object]:
        """Return what tells what was met at *place* and at `generals` from what lies there after a change."""
        there = self.holds.get(place.key.text)
        others = [self.holds.get(one.key.text, NO_HOLD).sign for one in self.generals]
        return [self.raw if there is None else there.sign, *others]


NOTHING = Found(())


def search_key(place: Place) -> Key:
    """Return the key under which it is written which queries of the path of *place* mean the same."""
    scheme, host, path, _, seen = place.target
    return make_key(Target(scheme, host, path, "", seen), place.dimensions, method_class="search")


def general_place(place: Place, variance: Variance) -> Place | None:
    """Return the place of all queries that mean the same as that of *place*; none but it has such a key."""
    query = variance.normalise(place.target.query)
    if query is None:
        return None
    dimensions = (*place.dimensions, ("search", ",".join(variance.words())))
    return Place(place.target._replace(query=query), dimensions)
