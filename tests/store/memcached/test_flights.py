"""`fetch` beside what outdates the value while it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.conftest import PATIENT
from tests.store.memcached.stage import KINDS, run_as, together, wait_until
from tools.real_memcached import Memcached
from wsgistack.store.memcached.flights import Flight
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)
REMOVALS: dict[str, Callable[[MemcacheRing], object]] = {
    "its tag": lambda ring: ring.invalidate_tags("a"),
    "the value": lambda ring: ring.invalidate("page"),
}


@kinds
@pytest.mark.parametrize("name", REMOVALS)
def test_who_comes_when_a_value_was_outdated_is_not_given_what_was_begun_before(
    name: str, kind: str, memcached: Memcached
) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    joined: list[bool] = []
    state = "old"
    is_seen = False
    join = ring._fetcher.flights.join

    def note(key: bytes, tags: Iterable[str] = ()) -> tuple[Flight, bool]:
        found = join(key, tags)
        joined.append(found[1])
        return found

    def build() -> str:
        nonlocal is_seen
        seen, is_seen = state, True
        wait_until(lambda: len(joined) >= 2)
        return seen

    def change_and_fetch() -> str:
        nonlocal state
        wait_until(lambda: is_seen)
        state = "new"
        REMOVALS[name](ring)
        return ring.fetch("page", build, 60, tags=["a"], wait=20)

    def script() -> list[str]:
        first: Callable[[], str] = partial(ring.fetch, "page", build, 60, tags=["a"])
        values = together(kind, [first, change_and_fetch])
        ring.close()
        return values

    ring._fetcher.flights.join = note  # type: ignore[method-assign]  # on purpose
    assert run_as(kind, script) == ["old", "new"]
