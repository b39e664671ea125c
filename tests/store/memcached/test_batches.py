"""What many keys are sorted into, and what comes back, plain and compiled: the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store.codec import Codec
from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached import batches, batches_cy, named, requests
from wsgistack.store.memcached.cluster import Snapshot
from wsgistack.store.memcached.counters import Counters
from wsgistack.store.memcached.replies import Item, Reply
from wsgistack.store.memcached.storing import write_stores
from wsgistack.store.memcached.wire import Call

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


class Place:
    """A node of which only what is asked of it here is there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.may_read = True
        self.counters = Counters()

    def counted(self) -> tuple[int, int, int]:
        return self.counters.hits, self.counters.misses, self.counters.writes


class Rig:
    """Two nodes that answer as told, and the calls that reached them.  It is its own cluster."""

    def __init__(self, *answers: Any, policy: str = "gutter") -> None:
        self.one, self.two = Place("one"), Place("two")
        known = {b"p:a": self.one, b"p:b": self.two, b"p:c": self.one, MADE["not clean"].wire: self.one}
        self.snapshot = Snapshot(None, (self.one, self.two), known)  # type: ignore[arg-type]  # no ring, no nodes
        self.policy = policy
        self.cluster = self
        self.answers = list(answers)
        self.made: list[tuple[str, Call]] = []
        self.runs = 0

    def run(self, pairs: list[tuple[Place, Call]]) -> None:
        self.runs += 1
        for (node, call), answer in zip(pairs, self.answers, strict=True):
            self.made.append((node.name, call))
            call.finish(answer, None if answer is not None else "lost")

    run_clearly = run


@both
def test_values_of_known_keys_are_read_in_one_go(twin: ModuleType) -> None:
    rig = Rig([b"1", None], [Item(b"zwei", 16, 0)])
    assert twin.read_known(rig, ["a", "b", "c"], MADE) == ({"a": b"1", "b": "zwei"}, [])
    (name, call), (other, _) = rig.made
    assert (name, other, rig.runs) == ("one", "two", 1)
    usual = requests.get_bare([b"p:a", b"p:c"])
    for word in ("payload", "kind", "verb", "words", "keys", "count", "opaque", "is_fatal", "is_bulk"):
        assert getattr(call, word) == getattr(usual, word)
    assert (rig.one.counted(), rig.two.counted()) == ((1, 1, 0), (1, 0, 0))


@both
def test_what_a_node_did_not_answer_is_neither_there_nor_counted(twin: ModuleType) -> None:
    rig = Rig(None, [b"2"])
    assert twin.read_known(rig, ["a", "b"], MADE) == ({"b": b"2"}, [])
    assert (rig.one.counted(), rig.two.counted()) == ((0, 0, 0), (1, 0, 0))


@both
def test_no_names_ask_nobody(twin: ModuleType) -> None:
    rig = Rig()
    assert twin.read_known(rig, [], MADE) == ({}, [])
    assert twin.store_known(rig, {}, MADE, 9, None, 0) == []
    assert rig.runs == 0


FOREIGN: dict[str, tuple[Item, Any]] = {
    "text": (Item(b"z\xc3\xa4h", 16, 0), "z\u00e4h"),
    "half a surrogate pair": (Item(b"\xed\xa0\x80", 16, 0), "\ud800"),
    "no text at all": (Item(b"", 16, 0), ""),
    "a number": (Item(b"120", 4, 0), 120),
    "a negative number": (Item(b"-7", 4, 0), -7),
    "a long number": (Item(b"-" + b"9" * 18, 4, 0), -999_999_999_999_999_999),
    "not UTF-8": (Item(b"\xff", 16, 0), None),
    "a number with a space, as decr leaves it": (Item(b"9 ", 4, 0), None),
    "a number of 64 bits": (Item(b"18446744073709551615", 4, 0), None),
    "no digits": (Item(b"", 4, 0), None),
    "a sign alone": (Item(b"-", 4, 0), None),
    "packed": (Item(b"\x90", 256, 0), None),
    "compressed text": (Item(b"x", 24, 0), None),
    "empty": (Item(b"", 0, 0), None),
}


@both
@pytest.mark.parametrize(("item", "value"), FOREIGN.values(), ids=FOREIGN)
def test_text_and_numbers_are_read_and_all_else_is_odd(twin: ModuleType, item: Item, value: Any) -> None:
    found = twin.read_known(Rig([item]), ["a"], MADE)
    assert found == (({}, [("a", item)]) if value is None else ({"a": value}, []))


@both
@pytest.mark.parametrize("name", ["new", "lost", "not clean"])
def test_nobody_is_asked_where_one_key_is_not_known_or_hashed(twin: ModuleType, name: str) -> None:
    rig = Rig()
    assert twin.read_known(rig, ["a", name], MADE) is None
    assert twin.store_known(rig, {"a": b"1", name: b"2"}, MADE, 9, None, 0) is None
    assert rig.runs == 0


@both
def test_nobody_is_asked_where_one_node_is_away(twin: ModuleType) -> None:
    rig = Rig()
    rig.two.may_read = False
    assert twin.read_known(rig, ["a", "b"], MADE) is None
    assert twin.store_known(rig, {"a": b"1", "b": b"2"}, MADE, 9, None, 0) is None
    assert twin.store_known(Rig(policy="replicate"), {"a": b"1"}, MADE, 9, None, 0) is None
    assert rig.runs == 0


@both
def test_simple_values_are_stored_in_one_go(twin: ModuleType) -> None:
    rig = Rig([Reply(b"HD"), Reply(b"NS")], [Reply(b"HD")])
    assert twin.store_known(rig, {"a": b"1", "b": "\u00e4", "c": -12}, MADE, 4, None, 60) == ["c"]
    (name, call), (other, second) = rig.made
    items = [(b"p:a", b"1", 0), (b"p:c", b"-12", 4)]
    assert (name, other, rig.runs, call.words) == ("one", "two", 1, (items, 60))
    assert second.words == ([(b"p:b", b"\xc3\xa4", 16)], 60)
    usual = requests.store_many(items, 60)
    assert call.payload == write_stores(items, 60, call.opaque, True)
    for word in ("kind", "verb", "words", "keys", "count", "is_fatal", "is_bulk"):
        assert getattr(call, word) == getattr(usual, word)
    assert len({usual.opaque, second.opaque, call.opaque}) == 3
    assert (rig.one.counted(), rig.two.counted()) == ((0, 0, 2), (0, 0, 1))


@both
def test_flags_of_the_caller_take_the_place_of_the_codecs(twin: ModuleType) -> None:
    rig = Rig([Reply(b"HD"), Reply(b"HD")])
    twin.store_known(rig, {"a": b"1", "c": "2"}, MADE, 9, 7, 0)
    assert rig.made[0][1].words == ([(b"p:a", b"1", 7), (b"p:c", b"2", 7)], 0)


@both
def test_a_large_request_goes_with_the_large_ones(twin: ModuleType) -> None:
    rig = Rig([Reply(b"HD")])
    twin.store_known(rig, {"a": b"x" * 300_000}, MADE, 10**6, None, 0)
    assert rig.made[0][1].is_bulk is True


@both
def test_what_was_not_answered_was_not_stored(twin: ModuleType) -> None:
    rig = Rig(None, Reply(b"SERVER_ERROR", b"no"))
    assert twin.store_known(rig, {"a": b"1", "b": b"2"}, MADE, 9, None, 0) == ["a", "b"]
    assert (rig.one.counted(), rig.two.counted()) == ((0, 0, 0), (0, 0, 1))


NOT_SIMPLE: dict[str, Any] = {
    "empty": b"",
    "large": b"4444",
    "large text": "\u00e4\u00e4",
    "a large number": 1000,
    "a number beyond 64 bits": 2**63,
    "not quite bytes": bytearray(b"2"),
    "not quite a number": True,
    "a list": [],
}


@both
@pytest.mark.parametrize("value", NOT_SIMPLE.values(), ids=NOT_SIMPLE)
def test_one_value_that_is_not_simple_leaves_all_to_others(value: Any, twin: ModuleType) -> None:
    rig = Rig()
    below = 30 if value == 2**63 else 4
    assert twin.store_known(rig, {"a": b"1", "b": value}, MADE, below, None, 0) is None
    assert rig.runs == 0


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


VALUES = st.one_of(
    st.binary(max_size=40), st.text(max_size=20), st.integers(), st.integers(-(10**20), 10**20), st.booleans()
)


@given(value=VALUES)
def test_a_value_is_stored_as_the_codec_stores_it_and_read_as_it_reads_it(value: Any) -> None:
    """Whatever is simple for the compiled twin and the plain one."""
    codec, rigs = Codec(), [Rig([Reply(b"HD")]), Rig([Reply(b"HD")])]
    done = [
        twin.store_known(rig, {"a": value}, MADE, codec.plain_below, None, 0)
        for twin, rig in zip(TWINS, rigs, strict=True)
    ]
    assert done[0] == done[1]
    if done[0] is None:
        return
    body, flags = codec.encode(MADE["a"], value)
    item = Item(body, flags, 0)
    for twin, rig in zip(TWINS, rigs, strict=True):
        assert rig.made[0][1].words == ([(b"p:a", body, flags)], 0)
        found, odd = twin.read_known(Rig([item if flags else body]), ["a"], MADE)
        again = found["a"] if found else codec.decode(MADE["a"], *odd[0][1][:2])
        assert (again, type(again)) == (value, type(value))


@given(body=st.binary(max_size=20), flags=st.sampled_from([0, 2, 4, 16, 24, 256]))
def test_both_read_the_same(body: bytes, flags: int) -> None:
    item = Item(body, flags, 0)
    found = [twin.read_known(Rig([item]), ["a"], MADE) for twin in TWINS]
    assert found[0] == found[1]


BYTES = st.binary(max_size=2)
ITEMS = st.one_of(st.none(), BYTES, st.builds(Item, BYTES, st.integers(0, 2), st.just(0)))


@given(items=st.lists(ITEMS))
def test_both_collect_the_same(items: list[bytes | Item | None]) -> None:
    assert gather(batches_cy, items) == gather(batches, items)


def test_the_compiled_one_is_used_where_it_was_built() -> None:
    assert named.find_refused is batches_cy.find_refused
