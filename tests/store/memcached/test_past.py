"""What a node may hold from before the ring changed."""

from __future__ import annotations

import pytest

from wsgistack.store.memcached.past import MOST_RINGS, Past
from wsgistack.store.ring import Member, Ring, build

KEYS = [b"key:%d" % number for number in range(200)]


def make(*numbers: int) -> tuple[Ring, tuple[str, ...]]:
    ring = build("ketama", [Member(f"10.0.0.{number}") for number in numbers])
    return ring, tuple(member.address for member in ring.members)


def find(past: Past, now: tuple[Ring, tuple[str, ...]], copies: int = 1) -> set[tuple[bytes, str]]:
    """Return the pairs of a key and a node that may hold it from before."""
    ring, names = now
    return {
        (key, name)
        for key in KEYS
        for name in names
        if past.may_hold(key, name, keeps=name in [names[place] for place in ring.places(key, copies)])
    }


def owners(now: tuple[Ring, tuple[str, ...]]) -> set[tuple[bytes, str]]:
    return {(key, now[1][now[0].place(key)]) for key in KEYS}


TWO, THREE = make(1, 2), make(1, 2, 3)


def test_a_ring_that_never_changed_has_no_past() -> None:
    assert find(Past(), TWO) == set()


def test_who_kept_a_key_until_another_node_joined_may_hold_it() -> None:
    assert find(Past().then(*TWO), THREE) == owners(TWO) - owners(THREE) != set()


def test_who_keeps_a_key_again_may_hold_what_it_was_and_who_always_did_may_not() -> None:
    past = Past().then(*TWO).then(*THREE)
    assert find(past, TWO) == owners(TWO) - owners(THREE)


def test_of_a_ring_that_comes_again_and_again_nothing_is_lost() -> None:
    past = Past()
    for _ in range(MOST_RINGS):
        past = past.then(*TWO).then(*THREE)
    assert len(past.rings) == 4
    four = make(1, 2, 3, 4)
    others = {pair for pair in owners(THREE) | owners(TWO) if pair not in owners(four)}
    assert others <= find(past, four)
    assert find(past.then(*four), TWO) >= owners(TWO) - owners(THREE)


def test_the_oldest_ring_is_forgotten_behind_the_most_that_are_kept() -> None:
    past = Past().then(*TWO)
    for number in range(MOST_RINGS):
        past = past.then(*make(1, 2, number + 3))
    assert len(past.rings) == MOST_RINGS
    assert TWO not in past.rings


@pytest.mark.parametrize("copies", [1, 2])
def test_each_of_the_nodes_that_kept_a_key_may_hold_it(copies: int) -> None:
    ring, names = make(1, 2, 3, 4)
    past = Past(copies).then(*THREE)
    gone = {
        (key, THREE[1][place])
        for key in KEYS
        for place in THREE[0].places(key, copies)
        if THREE[1][place] not in [names[one] for one in ring.places(key, copies)]
    }
    assert find(past, (ring, names), copies) == gone != set()
