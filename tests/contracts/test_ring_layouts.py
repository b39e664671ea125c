"""What every ring layout keeps."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.store.layouts import LAYOUTS, Member
from wsgistack.store.ring import Ring, build

MEMBERS = pytest.mark.parametrize("layout", LAYOUTS.names())
WITHOUT_WEIGHTS = {"ketama100", "ketama100_md5"}
KEYS = [f"page:/{number}" for number in range(3000)]


def nodes(count: int) -> list[Member]:
    return [Member(f"10.0.0.{number}") for number in range(count)]


def owners(ring: Ring) -> list[Member]:
    return [ring.owner(key) for key in KEYS]


@MEMBERS
def test_it_says_what_it_is(layout: str) -> None:
    assert LAYOUTS.get(layout).help
    assert LAYOUTS.get(layout).name == layout


@MEMBERS
def test_a_single_node_owns_everything(layout: str) -> None:
    ring = build(layout, [Member("only")])
    assert set(owners(ring)) == {Member("only")}
    assert ring.owners("key") == [Member("only")]


@MEMBERS
def test_equal_nodes_have_about_equal_shares(layout: str) -> None:
    counts = Counter(owners(build(layout, nodes(5))))
    assert all(0.6 * 600 < counts[node] < 1.45 * 600 for node in nodes(5))


@MEMBERS
def test_a_heavier_node_has_a_larger_share(layout: str) -> None:
    members = [Member("a"), Member("b"), Member("c", weight=4)]
    share = Counter(owners(build(layout, members)))[members[2]] / len(KEYS)
    if layout in WITHOUT_WEIGHTS:
        assert 0.25 < share < 0.42
    else:
        assert 0.58 < share < 0.75


@MEMBERS
def test_a_node_that_joins_takes_its_share_and_nothing_else_moves(layout: str) -> None:
    before, after = owners(build(layout, nodes(9))), owners(build(layout, [*nodes(9), Member("new")]))
    moved = [now for was, now in zip(before, after, strict=True) if was != now]
    assert set(moved) == {Member("new")}
    assert 0.06 < len(moved) / len(KEYS) < 0.15


@MEMBERS
def test_of_a_hundred_thousand_keys_only_the_share_of_a_node_moves(layout: str) -> None:
    keys = [b"page:/articles/%d" % number for number in range(100_000)]
    ten = build(layout, nodes(10))
    eleven = build(layout, [*nodes(10), Member("new")])
    was, now = ten.placing.place_many(keys), eleven.placing.place_many(keys)
    pairs = [(ten.members[old], eleven.members[new]) for old, new in zip(was, now, strict=True)]
    moved = Counter(pair for pair in pairs if pair[0] != pair[1])
    assert {new for _, new in moved} == {Member("new")}  # there and back: nothing moves between the others
    assert {old for old, _ in moved} == set(nodes(10))  # each gives some
    assert 0.75 * 100_000 / 11 < moved.total() < 1.25 * 100_000 / 11


@MEMBERS
def test_a_node_that_leaves_gives_its_keys_to_their_next_owner(layout: str) -> None:
    whole = build(layout, nodes(9))
    rest = build(layout, [node for node in nodes(9) if node != Member("10.0.0.4")])
    for key in KEYS[:500]:
        heirs = [node for node in whole.owners(key, 2) if node != Member("10.0.0.4")]
        assert rest.owner(key) == heirs[0]


@MEMBERS
def test_the_order_of_the_nodes_does_not_matter(layout: str) -> None:
    assert owners(build(layout, nodes(7))) == owners(build(layout, nodes(7)[::-1]))


@MEMBERS
@given(key=st.text(max_size=40), count=st.integers(1, 12))
@settings(max_examples=examples(20), deadline=None)
def test_text_and_bytes_of_a_key_have_the_same_owners(layout: str, key: str, count: int) -> None:
    ring = build(layout, nodes(count))
    encoded = key.encode("utf-8", "surrogatepass")
    assert ring.place(key) == ring.place(encoded) == ring.places(key)[0]
    assert ring.owner(key) == ring.owners(encoded)[0]
    assert sorted(ring.places(key)) == list(range(count))
    assert ring.places(key, 2) == ring.places(key)[:2]


@MEMBERS
def test_keys_are_grouped_by_their_owner_in_order(layout: str) -> None:
    ring = build(layout, nodes(3))
    keys = KEYS[::40]
    groups = ring.group(keys)
    assert sorted(groups) == [0, 1, 2]
    for number, group in groups.items():
        assert group == [key for key in keys if ring.place(key) == number]
    assert ring.group([key.encode() for key in keys]) == {
        number: [key.encode() for key in group] for number, group in groups.items()
    }
    assert ring.group([]) == {}


@MEMBERS
def test_work_is_done_in_bits(layout: str) -> None:
    pauses: list[int] = []
    build(layout, nodes(10), pause=lambda: pauses.append(1))
    assert len(pauses) >= (0 if layout == "rendezvous" else 10)
