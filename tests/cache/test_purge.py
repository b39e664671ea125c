"""Purges in the store that the pages are in: all who share it know them, and what is lost empties the cache."""

import time
from collections.abc import Iterator

import pytest

from tests.cache.test_bans import Stored
from tests.contracts.stores import STAGES, Clock, Stage
from wsgistack.cache.bans import Ban, Ledger
from wsgistack.cache.purge import Purges
from wsgistack.errors import ArgumentError, StoreDown
from wsgistack.store.base import Store
from wsgistack.store.memory import MemoryStore


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with STAGES[request.param]() as made:
        yield made


def make(store: Store, now: float = 1000.0) -> Purges:
    return Purges(store, now=Clock(now))


def known(purges: Purges, store: Store) -> Ledger:
    """What a look at a page leads to: the number is asked for along with the page."""
    return purges.learn(store.get(purges.serial_key))


def test_a_ledger_begins_at_the_time() -> None:
    store = MemoryStore(1 << 20)
    ledger = known(make(store), store)
    assert (ledger.base, ledger.serial, ledger.bans) == (1000 * 10**9, 1000 * 10**9, ())


def test_all_who_share_a_store_know_a_purge() -> None:
    store = MemoryStore(1 << 20)
    one, other = make(store), make(store)
    before = known(other, store).serial
    one.add([Ban(tag="news")])
    verdict = known(other, store).judge(Stored(), before)
    assert verdict is not None
    assert verdict.is_gone
    assert known(one, store).judge(Stored(), before) == verdict


def test_what_is_known_costs_no_further_look() -> None:
    store = MemoryStore(1 << 20)
    purges = make(store)
    purges.add([Ban(tag="news")])
    raw = store.get(purges.serial_key)
    store.delete(purges.ledger_key)
    assert [ban.tag for ban in purges.learn(raw).bans] == ["news"]


def test_spaces_are_purged_apart() -> None:
    store = MemoryStore(1 << 20)
    one, other = make(store), Purges(store, now=Clock(), space="other")
    one.add([Ban(everything=True)])
    assert known(other, store).bans == ()


def test_a_ledger_that_is_lost_empties_the_caches() -> None:
    store = MemoryStore(1 << 20)
    make(store).add([Ban(tag="x")])
    before = known(make(store), store).serial
    store.clear()
    ledger = known(make(store, now=1001.0), store)
    verdict = ledger.judge(Stored(), before)
    assert verdict is not None
    assert verdict.is_gone


def test_a_ledger_that_is_lost_while_one_knows_it_empties_the_caches_too() -> None:
    store = MemoryStore(1 << 20)
    one = make(store)
    one.add([Ban(tag="x")])
    before = known(one, store).serial
    store.clear()
    assert known(one, store).base > before


def test_a_number_that_is_lost_is_told_again() -> None:
    store = MemoryStore(1 << 20)
    make(store).add([Ban(tag="x")])
    serial = store.get(make(store).serial_key)
    store.delete(make(store).serial_key)
    assert [ban.tag for ban in known(make(store), store).bans] == ["x"]
    assert store.get(make(store).serial_key) == serial


def test_an_older_ledger_that_comes_back_brings_nothing_back() -> None:
    store = MemoryStore(1 << 20)
    one = make(store)
    one.add([Ban(tag="x")])
    old, serial = store.get(one.ledger_key), store.get(one.serial_key)
    before = one.ledger.serial
    one.add([Ban(tag="news")])
    assert old is not None
    assert serial is not None
    store.set(one.ledger_key, old, 60.0)
    store.set(one.serial_key, serial, 60.0)
    for purges in (one, make(store)):
        verdict = known(purges, store).judge(Stored(), before)
        assert verdict is not None
        assert verdict.is_gone


def test_two_who_begin_at_once_begin_one_ledger() -> None:
    class Late(MemoryStore):
        """Somebody else begins while the first looks."""

        has_begun = False

        def get(self, key: str) -> bytes | None:
            met = super().get(key)
            if not self.has_begun and key == make(self).ledger_key:
                self.has_begun = True
                make(self, now=999.0).read()
            return met

    store = Late(1 << 20)
    assert known(make(store, now=1000.0), store).base == 999 * 10**9


def test_a_poisoned_ledger_empties_the_caches() -> None:
    store = MemoryStore(1 << 20)
    before = known(make(store), store).serial
    store.set(make(store).ledger_key, b"\x80\x04K\x01.", 60.0)
    assert known(make(store, now=1001.0), store).base > before


def test_a_purge_that_the_store_does_not_take_is_an_error() -> None:
    class Down(MemoryStore):
        def get(self, key: str) -> bytes | None:
            raise StoreDown("no")

        def update(self, *words: object, **more: object) -> bytes | None:
            raise StoreDown("no")

    purges = make(Down(1 << 20))
    with pytest.raises(StoreDown):
        purges.add([Ban(tag="news")])
    assert purges.read().bans == ()


def test_a_purge_that_cannot_be_meant_changes_nothing() -> None:
    store = MemoryStore(1 << 20)
    purges = make(store)
    with pytest.raises(ArgumentError):
        purges.add([Ban(tag="news"), Ban()])
    assert known(purges, store).bans == ()


def test_purges_work_in_every_store(stage: Stage) -> None:
    one, other = make(stage.store), make(stage.other)
    before = known(other, stage.other).serial
    one.add([Ban(tag="news")])
    other.add([Ban(tag="x")])
    assert [ban.tag for ban in known(one, stage.store).bans] == ["news", "x"]
    verdict = known(other, stage.other).judge(Stored(), before)
    assert verdict is not None
    assert verdict.is_gone


def test_a_purge_is_one_operation_however_many_pages_it_is_about() -> None:
    """100,000 pages of one tag: less than 5 ms of work; the store is written to, no page is."""
    store = MemoryStore(1 << 28)
    purges = make(store)
    before = known(purges, store).serial
    for number in range(100_000):
        store.set(f"p:{number}", b"page", 3600.0)
    items = store.stats()["items"]
    took = []
    for _ in range(5):
        began = time.thread_time()
        purges.add([Ban(tag="news")])
        took.append(time.thread_time() - began)
    assert min(took) < 0.005
    assert store.stats()["items"] == items
    verdict = known(purges, store).judge(Stored(), before)
    assert verdict is not None
    assert verdict.is_gone
