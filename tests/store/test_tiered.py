"""What is peculiar to a memory over a shared store: how long a near copy is believed, and what it saves."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.stores import Clock
from wsgistack.errors import ConfigurationError, StoreDown
from wsgistack.store.base import Step
from wsgistack.store.memory import MemoryStore
from wsgistack.store.tiered import Tiered
from wsgistack.store.url import make_store


class Far(MemoryStore):
    """A store that others share; counts its reads."""

    shared = True
    reads = 0
    is_down = False

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        if self.is_down:
            raise StoreDown("no")
        return super().get(key)

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        if self.is_down:
            raise StoreDown("no")
        super().set(key, value, ttl_s, pinned=pinned)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def far(clock: Clock) -> Far:
    return Far(1 << 20, clock=clock)


@pytest.fixture
def make(far: Far, clock: Clock) -> Callable[[], Tiered]:
    return lambda: Tiered(MemoryStore(1 << 20, clock=clock), far, near_s=1.0)


def test_what_was_read_is_not_asked_for_again(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    far.set("key", b"value", 60)
    assert [store.get("key") for _ in range(5)] == [b"value"] * 5
    assert far.reads == 1


def test_what_was_written_is_not_asked_for(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    store.set("key", b"value", 60)
    assert store.get("key") == b"value"
    assert store.get_many(["key"]) == {"key": b"value"}
    assert far.reads == 0


def test_what_is_not_there_is_asked_for_each_time(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    assert store.get("key") is None
    far.set("key", b"value", 60)
    assert store.get("key") == b"value"


def test_many_are_read_from_both(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    store.set("near", b"1", 60)
    far.set("far", b"2", 60)
    assert store.get_many(["near", "far", "none"]) == {"near": b"1", "far": b"2"}
    assert far.reads == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.delete("key"),
        lambda store: store.set("key", b"new", 60),
        lambda store: store.update("key", lambda old: (b"new", 60)),
        lambda store: store.clear(),
    ],
    ids=["delete", "set", "update", "clear"],
)
def test_what_another_process_changed_is_believed_for_near_s_and_no_longer(
    make: Callable[[], Tiered], clock: Clock, change: Callable[[Tiered], Any]
) -> None:
    one, other = make(), make()
    one.set("key", b"old", 60)
    assert other.get("key") == b"old"
    change(one)
    now = one.get("key")
    assert now != b"old"
    assert other.get("key") == b"old"
    clock.now += 1.0
    assert other.get("key") == now


def test_gets_always_asks_the_far_store(make: Callable[[], Tiered]) -> None:
    one, other = make(), make()
    one.set("key", b"old", 60)
    assert other.get("key") == b"old"
    one.set("key", b"new", 60)
    found = other.gets("key")
    assert found is not None
    assert found.value == b"new"
    assert other.get("key") == b"new"


class Slow(Far):
    """A store that others share, on whose answers one may have to wait: *meanwhile* runs before they are given."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(1 << 20, clock=clock)
        self.meanwhile: Callable[[], object] = lambda: None

    def _wait(self, answer: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return answer

    def get(self, key: str) -> bytes | None:
        return self._wait(super().get(key))  # type: ignore[no-any-return]  # the answer itself

    def gets(self, key: str) -> Any:
        return self._wait(super().gets(key))

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        self._wait(super().set(key, value, ttl_s, pinned=pinned))


READS: dict[str, Callable[[Tiered], object]] = {
    "get": lambda store: store.get("key"),
    "gets": lambda store: store.gets("key"),
    "get_many": lambda store: store.get_many(["key"]),
    "set": lambda store: store.set("key", b"5", 60),
}
CHANGES: dict[str, Callable[[Tiered], object]] = {
    "set": lambda store: store.set("key", b"9", 60),
    "set_many": lambda store: store.set_many({"key": b"9"}, 60),
    "delete": lambda store: store.delete("key"),
    "delete_many": lambda store: store.delete_many(["key"]),
    "incr": lambda store: store.incr("key", 1, 60),
    "incr_many": lambda store: store.incr_many([Step("key", 1, 60)]),
    "update": lambda store: store.update("key", lambda old: (b"9", 60)),
    "clear": lambda store: store.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", READS)
def test_an_answer_that_comes_behind_a_change_of_this_process_is_not_kept(
    read: str, change: str, clock: Clock
) -> None:
    far = Slow(clock)
    store = Tiered(MemoryStore(1 << 20, clock=clock), far, near_s=1.0)
    far.set("key", b"7", 60)
    far.meanwhile = lambda: CHANGES[change](store)
    READS[read](store)
    assert store.get("key") == MemoryStore.get(far, "key") not in (b"5", b"7")


def test_a_change_of_another_thread_waits_for_a_copy_that_is_being_kept(far: Far, clock: Clock) -> None:
    threads: list[threading.Thread] = []

    class Near(MemoryStore):
        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            threads.append(threading.Thread(target=store.delete, args=["key"]))
            threads[0].start()
            threads[0].join(0.2)  # it waits for us: else it is over now, and what we keep is old
            super().set(key, value, ttl_s, pinned=pinned)

    store = Tiered(Near(1 << 20, clock=clock), far, near_s=1.0)
    far.set("key", b"old", 60)
    assert store.get("key") == b"old"
    threads[0].join()
    assert store.get("key") is None


def test_an_add_that_was_refused_leaves_no_old_copy(clock: Clock) -> None:
    far = Slow(clock)
    store = Tiered(MemoryStore(1 << 20, clock=clock), far, near_s=1.0)
    far.set("key", b"1", 60)
    assert store.get("key") == b"1"
    far.set("key", b"of another process", 60)
    assert store.add("key", b"2", 60) is False
    assert store.get("key") == b"of another process"


def test_a_copy_lives_no_longer_than_what_was_written(make: Callable[[], Tiered], clock: Clock) -> None:
    store = make()
    store.set("key", b"value", 0.25)
    clock.now += 0.25
    assert store.get("key") is None


def test_what_the_far_store_did_not_take_is_not_read(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    store.set("key", b"old", 60)
    far.is_down = True
    with pytest.raises(StoreDown):
        store.set("key", b"new", 60)
    with pytest.raises(StoreDown):
        store.get("key")


def test_a_value_too_large_for_the_near_store_is_the_far_ones(far: Far, clock: Clock) -> None:
    store = Tiered(MemoryStore(64 * 1024, clock=clock), far, near_s=1.0)
    store.set("key", b"x" * 20_000, 60)
    assert store.get("key") == b"x" * 20_000
    assert far.reads == 1


def test_its_counters_are_of_both(make: Callable[[], Tiered], far: Far) -> None:
    store = make()
    far.set("key", b"value", 60)
    for _ in range(3):
        store.get("key")
    store.get("nothing")
    stats = store.stats()
    assert (stats["hits"], stats["misses"], stats["near_hits"], stats["items"]) == (3, 1, 2, 1)


@pytest.mark.parametrize("near_s", [0, -1, True, "1", float("inf"), float("nan")], ids=repr)
def test_a_time_that_cannot_be_meant_is_refused(far: Far, near_s: Any) -> None:
    with pytest.raises(ConfigurationError, match="near_s"):
        Tiered(MemoryStore(1 << 20), far, near_s=near_s)


def test_the_near_store_is_of_this_process(far: Far) -> None:
    with pytest.raises(ConfigurationError, match="near store"):
        Tiered(far, far, near_s=1.0)


def test_a_url_makes_one() -> None:
    store = make_store("tiered://10.0.0.1,10.0.0.2:11212?near=1m&near_ttl=2s&on_down=miss")
    assert isinstance(store, Tiered)
    assert isinstance(store.near, MemoryStore)
    assert store.shared


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tiered://", "has no servers"),
        ("tiered://10.0.0.1?near=1", "near"),
        ("tiered://10.0.0.1?nera=1m", "did you mean 'near'"),
    ],
)
def test_what_is_wrong_is_named(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as met:
        make_store(url)
    assert words in str(met.value)
