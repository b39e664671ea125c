"""What many keys are sorted into, and what comes back, plain and compiled: the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached import batches, batches_cy, wire
from wsgistack.store.memcached.replies import Item, Reply

TWINS = [batches, batches_cy]
both = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])

MADE: dict[Any, WireKey] = {key: Keys("p:").make(key) for key in ("a", "b", "c", b"a", "not clean", "lost")}
KNOWN = {b"p:a": "node 1", b"p:b": "node 2", b"p:c": "node 1", MADE["not clean"].wire: "node 1"}


@both
def test_names_are_sorted_by_the_nodes_of_their_keys(twin: ModuleType) -> None:
    groups, others = twin.sort_names(["a", "b", "c"], MADE, KNOWN)
    assert groups == {"node 1": (["a", "c"], [b"p:a", b"p:c"]), "node 2": (["b"], [b"p:b"])}
    assert others == []


@both
def test_what_is_not_known_or_hashed_is_left_to_others(twin: ModuleType) -> None:
    groups, others = twin.sort_names(["new", "a", "lost", "not clean"], MADE, KNOWN)
    assert groups == {"node 1": (["a"], [b"p:a"])}
    assert others == ["new", "lost", "not clean"]


@both
def test_a_name_that_cannot_be_one_is_not_overlooked(twin: ModuleType) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        twin.sort_names(["a", ["b"]], MADE, KNOWN)


@both
def test_simple_values_are_sorted_with_their_keys_and_flags(twin: ModuleType) -> None:
    assert twin.sort_values({"a": b"1", "b": b"22", "c": b"3"}, MADE, KNOWN, 3, 7) == {
        "node 1": (["a", "c"], [(b"p:a", b"1", 7), (b"p:c", b"3", 7)]),
        "node 2": (["b"], [(b"p:b", b"22", 7)]),
    }
    assert twin.sort_values({}, MADE, KNOWN, 3, 0) == {}


NOT_SIMPLE: dict[str, dict[str, Any]] = {
    "empty": {"a": b"1", "b": b""},
    "large": {"a": b"1", "b": b"333"},
    "text": {"a": b"1", "b": "2"},
    "not quite bytes": {"a": b"1", "b": bytearray(b"2")},
    "a new name": {"a": b"1", "new": b"2"},
    "without an owner": {"a": b"1", "lost": b"2"},
    "hashed": {"a": b"1", "not clean": b"2"},
}


@both
@pytest.mark.parametrize("name", NOT_SIMPLE)
def test_one_value_that_is_not_simple_leaves_all_to_others(name: str, twin: ModuleType) -> None:
    assert twin.sort_values(NOT_SIMPLE[name], MADE, KNOWN, 3, 0) is None


def gather(twin: ModuleType, items: list[bytes | Item | None]) -> tuple[int, Any, Any]:
    values: dict[str, Any] = {}
    odd: list[Any] = []
    hits = twin.collect([f"n{number}" for number in range(len(items))], items, values, odd)
    return hits, values, odd


@both
def test_bytes_alone_are_values_and_all_else_is_odd(twin: ModuleType) -> None:
    assert gather(twin, [b"1", None, Item(b"2", 16, 0), Item(b"", 0, 0)]) == (
        3,
        {"n0": b"1"},
        [("n2", Item(b"2", 16, 0)), ("n3", Item(b"", 0, 0))],
    )


@both
def test_an_answer_that_does_not_fit_its_names_is_refused(twin: ModuleType) -> None:
    with pytest.raises(ValueError):
        twin.collect(["a"], [], {}, [])
    with pytest.raises(ValueError):
        twin.find_refused(["a"], [])


@both
def test_what_was_not_stored_is_named(twin: ModuleType) -> None:
    answer = [Reply(b"HD"), Reply(b"NS"), None]
    assert twin.find_refused(["a", "b", "c"], answer) == ["b", "c"]
    assert twin.find_refused(["a", "b"], None) == ["a", "b"]
    assert twin.find_refused(["a", "b"], Reply(b"SERVER_ERROR", b"no")) == ["a", "b"]


NAMES = st.sampled_from(["a", "b", "c", b"a", "not clean", "lost", "new", b"b"])


@given(names=st.lists(NAMES))
def test_both_sort_names_the_same(names: list[Any]) -> None:
    assert batches_cy.sort_names(names, MADE, KNOWN) == batches.sort_names(names, MADE, KNOWN)


@given(values=st.dictionaries(NAMES, st.one_of(st.binary(max_size=4), st.text(max_size=1)), max_size=5))
def test_both_sort_values_the_same(values: dict[Any, Any]) -> None:
    assert batches_cy.sort_values(values, MADE, KNOWN, 4, 0) == batches.sort_values(values, MADE, KNOWN, 4, 0)


BYTES = st.binary(max_size=2)
ITEMS = st.one_of(st.none(), BYTES, st.builds(Item, BYTES, st.integers(0, 2), st.just(0)))


@given(items=st.lists(ITEMS))
def test_both_collect_the_same(items: list[bytes | Item | None]) -> None:
    assert gather(batches_cy, items) == gather(batches, items)


def test_the_compiled_one_is_used_where_it_was_built() -> None:
    assert wire.sort_names is batches_cy.sort_names
