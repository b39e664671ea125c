"""Heavy hitters by Space-Saving."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wsgistack.ratelimit.hitters import Hitter, Hitters


def test_few_keys_are_counted_exactly() -> None:
    hitters: Hitters[str] = Hitters(3)
    for key in "abracadabra":
        if key in "abr":
            hitters.add(key)
    assert hitters.top(2) == [Hitter("a", 5, 0), Hitter("b", 2, 0)]
    assert Hitters[str](3).top(2) == []


def test_a_new_key_takes_the_place_of_the_least() -> None:
    hitters: Hitters[str] = Hitters(2)
    for key in "aaabc":
        hitters.add(key)
    assert hitters.top(5) == [Hitter("a", 3, 0), Hitter("c", 2, 1)]


@given(st.lists(st.integers(0, 30), max_size=300), st.integers(1, 12))
def test_what_the_paper_promises_holds(keys: list[int], places: int) -> None:
    hitters: Hitters[int] = Hitters(places)
    for key in keys:
        hitters.add(key)
    true, found = Counter(keys), {one.key: one for one in hitters.top(places)}
    assert len(found) == min(places, len(true))
    assert all(one.seen - one.error <= true[key] <= one.seen for key, one in found.items())
    assert sum(one.seen for one in found.values()) == len(keys)
    assert all(key in found for key, count in true.items() if count > len(keys) / places)
