"""What every store keeps: one script, run over each of them."""

import math
import threading
import time
from collections.abc import Iterator
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.contracts.stores import STAGES, Stage
from wsgistack.errors import CounterError
from wsgistack.store.base import LARGEST_COUNT, Claim, Found, Step, Store, claim, is_store
from wsgistack.store.schemes import SCHEMES

KEYS = {
    "empty": "",
    "plain": "page:/news/1",
    "spaces and line ends": "a b\r\nset x 0 0 1\r\n",
    "not ASCII": "Käse/日本/\U0001f600",
    "a lone surrogate": "\udcff",
    "NUL": "a\0b",
    "long": "k" * 5000,
}
VALUES = {
    "empty": b"",
    "text": b"value",
    "all bytes": bytes(range(256)),
    "line ends": b"\r\nEND\r\n",
    "digits": b"7",
}


def test_every_scheme_is_under_contract() -> None:
    assert set(SCHEMES.names()) - set(STAGES) == set()


def test_it_is_a_store(store: Store) -> None:
    assert is_store(store)


def test_what_was_never_stored_is_nothing(store: Store) -> None:
    assert store.get("key") is None
    assert store.gets("key") is None
    assert store.get_many(["key", "other"]) == {}
    assert store.touch("key", 60) is False
    assert store.delete("key") is False
    assert store.cas("key", b"value", 60, 1) is False
    assert store.get("key") is None


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_value_comes_back_as_it_was(stage: Stage, key: str, value: bytes) -> None:
    stage.store.set(key, value, 60)
    assert stage.other.get(key) == value
    assert stage.other.get_many([key]) == {key: value}


def test_keys_that_look_alike_are_apart(store: Store) -> None:
    keys = [
        *KEYS.values(),
        "K" * 5000,
        "k" * 5001,
        "k" * 4999 + "x",
        "a%20b",
        "a b",
        "Käse/日本/",
        "\ufffd",
        "?",
    ]
    store.set_many({key: str(number).encode() for number, key in enumerate(keys)}, 60)
    assert store.get_many(keys) == {key: str(number).encode() for number, key in enumerate(keys)}


def test_the_last_value_counts(store: Store) -> None:
    store.set("key", b"a" * 1000, 60)
    store.set("key", b"b", 60)
    assert store.get("key") == b"b"


def test_get_many_gives_what_is_there(store: Store) -> None:
    store.set_many({"a": b"1", "b": b"2", "c": b""}, 60)
    assert store.get_many(["a", "x", "c", "a"]) == {"a": b"1", "c": b""}
    assert store.get_many([]) == {}


def test_a_deleted_entry_is_nothing(stage: Stage) -> None:
    stage.store.set("key", b"value", 60)
    assert stage.other.delete("key") is True
    assert stage.store.get("key") is None
    assert stage.store.delete("key") is False


def test_delete_many_counts_what_was_there(store: Store) -> None:
    store.set_many({"a": b"1", "b": b"2"}, 60)
    assert store.delete_many(["a", "x", "b"]) == 2
    assert store.get_many(["a", "b"]) == {}
    assert store.delete_many([]) == 0


def test_clear_leaves_nothing(store: Store) -> None:
    store.set("a", b"1", 60)
    store.set("b", b"2", 60, pinned=True)
    store.clear()
    assert store.get_many(["a", "b"]) == {}
    store.set("a", b"3", 60)
    assert store.get("a") == b"3"


@pytest.fixture(scope="module", params=STAGES)
def aged(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store some seconds after much was done to it: real servers have only real time, which is dear."""
    with STAGES[request.param]() as stage:
        store = stage.store
        store.set("short", b"1", 2)
        store.set("long", b"2", 600)
        store.set("endless", b"3", math.inf)
        store.set_many({"longer": b"1", "shorter": b"2"}, 4)
        assert store.touch("longer", 600) is True
        store.set("shorter", b"2", 600)
        assert store.touch("shorter", 2) is True
        for key, refresh in (("kept", False), ("refreshed", True)):
            store.incr(key, 1, 4)
            store.incr(key, 1, 600, refresh=refresh)
        stage.pass_time(6)
        yield store


def test_an_entry_ends_with_its_time(aged: Store) -> None:
    assert aged.get_many(["short", "long", "endless"]) == {"long": b"2", "endless": b"3"}
    assert aged.delete("short") is False
    assert aged.add("short", b"4", 60) is True


def test_a_fraction_of_a_second_lives_for_a_while(store: Store) -> None:
    for _ in range(10):
        began = time.monotonic()
        store.set("key", b"value", 0.9)
        value = store.get("key")
        if time.monotonic() - began < 0.9:  # else this machine stood still for as long
            break
    assert value == b"value"


def test_a_month_and_more_is_a_time_to_live_like_any_other(store: Store) -> None:
    for days in (29, 31, 400):
        store.set("key", b"value", days * 86400.0)
        assert store.get("key") == b"value"
        assert store.incr(f"count:{days}", 1, days * 86400.0) == 1
        assert store.incr(f"count:{days}", 1, days * 86400.0) == 2


def test_touch_gives_more_time_or_less(aged: Store) -> None:
    assert aged.get_many(["longer", "shorter"]) == {"longer": b"1"}


def test_add_stores_only_where_nothing_is(stage: Stage) -> None:
    assert stage.store.add("key", b"first", 60) is True
    assert stage.other.add("key", b"second", 60) is False
    assert stage.store.get("key") == b"first"


def test_cas_stores_only_over_what_was_read(stage: Stage) -> None:
    stage.store.set("key", b"a", 60)
    found = stage.store.gets("key")
    assert found is not None and found.value == b"a"
    assert stage.other.cas("key", b"b", 60, found.token) is True
    assert stage.store.cas("key", b"c", 60, found.token) is False
    assert stage.store.get("key") == b"b"


def test_a_claim_is_an_add_that_tells_the_token(stage: Stage) -> None:
    first = claim(stage.store, "key", b"first", 60)
    assert first == Claim(True, ANY)
    assert first.token is not None
    assert stage.other.gets("key") == Found(b"first", first.token)
    assert claim(stage.other, "key", b"second", 60) == Claim(False)
    assert stage.other.cas("key", b"third", 60, first.token) is True
    assert stage.store.get("key") == b"third"
    assert stage.store.cas("key", b"fourth", 60, first.token) is False
    stage.store.delete("key")
    again = claim(stage.store, "key", b"first", 60)
    assert again.token is not None
    assert again.token != first.token
    assert stage.other.cas("key", b"fourth", 60, first.token) is False


@pytest.mark.parametrize("how", ["set", "the same again", "delete and set", "incr", "touch"])
def test_any_change_makes_a_token_old(stage: Stage, how: str) -> None:
    store = stage.store
    store.set("key", b"5", 60)
    found = store.gets("key")
    assert found is not None
    if how == "set":
        store.set("key", b"6", 60)
    elif how == "the same again":
        store.set("key", b"5", 60)
    elif how == "delete and set":
        store.delete("key")
        store.set("key", b"5", 60)
    elif how == "incr":
        store.incr("key", 1, 60)
    else:
        store.touch("key", 60)
        assert store.cas("key", b"7", 60, found.token) is True  # the value is still the one that was read
        return
    assert store.cas("key", b"7", 60, found.token) is False


def test_a_counter_begins_with_its_first_step(stage: Stage) -> None:
    assert stage.store.incr("hits", 3, 60) == 3
    assert stage.other.incr("hits", 4, 60) == 7
    assert stage.store.get("hits") == b"7"


def test_a_counter_may_begin_elsewhere(store: Store) -> None:
    assert store.incr("tat", 10, 60, first=1000) == 1000
    assert store.incr("tat", 10, 60, first=1000) == 1010


def test_a_counter_stops_at_zero(store: Store) -> None:
    assert store.incr("left", -5, 60) == 0
    store.set("left", b"3", 60)
    assert store.incr("left", -5, 60) == 0
    assert store.incr("left", 1, 60) == 1


def test_a_counter_that_was_stored_as_digits_counts_on(store: Store) -> None:
    store.set("hits", b"41", 60)
    assert store.incr("hits", 1, 60) == 42
    assert store.get("hits") == b"42"


def test_a_counter_becomes_shorter_without_a_trace(store: Store) -> None:
    store.set("hits", b"1000", 60)
    assert store.incr("hits", -991, 60) == 9
    assert store.incr("hits", 1, 60) == 10


def test_large_counts_are_exact(store: Store) -> None:
    assert store.incr("us", 1, 60, first=LARGEST_COUNT - 1) == LARGEST_COUNT - 1
    assert store.incr("us", 1, 60) == LARGEST_COUNT
    assert store.get("us") == str(LARGEST_COUNT).encode()


def test_a_counter_keeps_its_time_unless_it_is_refreshed(aged: Store) -> None:
    assert aged.get_many(["kept", "refreshed"]) == {"refreshed": b"2"}
    assert aged.incr("kept", 1, 60) == 1


@pytest.mark.parametrize("value", [b"", b"seven", b"-1", b"1.5", b"1" * 20], ids=repr)
def test_what_is_not_a_count_is_left_alone(store: Store, value: bytes) -> None:
    store.set("key", value, 60)
    with pytest.raises(CounterError):
        store.incr("key", 1, 60)
    assert store.get("key") == value


def test_several_counters_step_in_order(store: Store) -> None:
    store.set("b", b"10", 60)
    counted = store.incr_many(
        [Step("a", 1, 60), Step("b", 5, 60), Step("a", 2, 60), Step("c", 1, 60, first=100)]
    )
    assert [one.total for one in counted] == [1, 15, 3, 100]
    assert store.get_many(["a", "b", "c"]) == {"a": b"3", "b": b"15", "c": b"100"}
    assert store.incr_many([]) == []


def test_the_token_of_a_step_is_one_for_cas(store: Store) -> None:
    (counted,) = store.incr_many([Step("a", 1, 60)])
    assert store.cas("a", b"9", 60, counted.token) is True
    assert store.cas("a", b"8", 60, counted.token) is False


def test_update_makes_changes_or_leaves_things(store: Store) -> None:
    assert store.update("key", lambda old: (b"first", 60) if old is None else None) == b"first"
    assert store.update("key", lambda old: ((old or b"") + b"+", 60)) == b"first+"
    assert store.update("key", lambda old: None) == b"first+"
    assert store.update("nothing", lambda old: None) is None
    assert store.get("key") == b"first+"
    assert store.get("nothing") is None


def test_update_is_tried_again_when_another_was_quicker(stage: Stage) -> None:
    stage.store.set("key", b"1", 60)
    seen: list[bytes | None] = []

    def change(old: bytes | None) -> tuple[bytes, float]:
        seen.append(old)
        if len(seen) == 1:
            stage.other.set("key", b"5", 60)
        return (old or b"") + b"0", 60

    assert stage.store.update("key", change) == b"50"
    assert seen == [b"1", b"5"]


@pytest.mark.parametrize("how", ["incr", "update"])
def test_no_step_of_many_threads_is_lost(stage: Stage, how: str) -> None:
    threads, turns = 6, 40

    def work(store: Store) -> None:
        for _ in range(turns):
            if how == "incr":
                store.incr("count", 1, 60)
            else:
                store.update("count", lambda old: (b"%d" % (int(old or 0) + 1), 60))

    workers = [
        threading.Thread(target=work, args=[stage.other if number % 2 else stage.store])
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert stage.store.get("count") == b"240"


def test_it_counts_what_it_does(store: Store) -> None:
    before = store.stats()
    store.set("key", b"value", 60)
    store.get("key")
    store.get("nothing")
    after = store.stats()
    assert {"items", "bytes", "hits", "misses", "evictions"} <= set(after)
    assert after["items"] == 1
    assert after["hits"] - before["hits"] == 1
    assert after["misses"] - before["misses"] == 1
    assert all(isinstance(number, int) for number in after.values())


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["set", "add", "delete", "incr", "cas", "get"]),
        st.sampled_from(["a", "b", "", "é"]),
        st.integers(0, 99),
    ),
    max_size=30,
)


@pytest.mark.parametrize("name", STAGES)
@given(operations=OPERATIONS)
@settings(max_examples=examples(15), deadline=None)
def test_it_does_what_a_dict_would(name: str, operations: list[tuple[str, str, int]]) -> None:
    model: dict[str, bytes] = {}
    with STAGES[name]() as stage:
        for what, key, number in operations:
            _both(stage.store, model, what, key, number)
        assert stage.store.get_many(["a", "b", "", "é"]) == model


def _both(store: Store, model: dict[str, bytes], what: str, key: str, number: int) -> None:
    """Do one thing with the store and with the model, and compare what they say."""
    value = b"%d" % number
    if what == "set":
        store.set(key, value, 60)
        model[key] = value
    elif what == "add":
        assert store.add(key, value, 60) is (key not in model)
        model.setdefault(key, value)
    elif what == "delete":
        assert store.delete(key) is (model.pop(key, None) is not None)
    elif what == "incr":
        model[key] = b"%d" % (int(model.get(key, b"0")) + number)
        assert store.incr(key, number, 60) == int(model[key])
    elif what == "cas":
        found = store.gets(key)
        assert (found.value if found else None) == model.get(key)
        if found:
            assert store.cas(key, value, 60, found.token)
            model[key] = value
    else:
        assert store.get(key) == model.get(key)
