"""Counts are exact, are brought about once a second, and are never counted twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wsgistack.account import MOST_NOTES
from wsgistack.alarm import Alarm
from wsgistack.errors import StoreDown
from wsgistack.store.memory import MemoryStore
from wsgistack.store.url import make_store
from wsgistack.tally import MOST_NAMES, Tally


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ByHand(Alarm):
    """An alarm that rings when a test says so; *waits*: how long it was told to wait each time."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(act)
        self.waits: list[float] = []

    def set(self, after_s: float) -> None:
        self.waits.append(after_s)

    def end(self) -> None:
        pass


def test_without_a_store_counts_are_the_process_s() -> None:
    tally = Tally()
    tally.add({"a": 1, "b": 5})
    tally.add({"a": 2})
    assert tally.read() == {"a": 3, "b": 5}


def test_processes_add_up_in_a_store() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    one, two = (Tally(store, monotonic=clock, make_alarm=ByHand) for _ in range(2))
    one.add({"a": 1})
    two.add({"a": 2, "b": 1})
    assert two.read() == {"a": 2, "b": 1}
    assert one.read() == {"a": 3, "b": 1}


def test_counts_are_brought_once_a_second() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally = Tally(store, monotonic=clock, make_alarm=ByHand)
    tally.add({"a": 1})
    assert store.get("wsgistack:tally:a") is None
    clock.now += 1.0
    tally.add({"a": 1})
    assert store.get("wsgistack:tally:a") == b"2"


class Failing(MemoryStore):
    fails = 0

    def incr_many(self, steps: Sequence[Any], *, pinned: bool = False) -> list[Any]:
        self.fails -= 1
        if self.fails == 0:
            raise StoreDown("out for lunch")
        return super().incr_many(steps, pinned=pinned)


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_what_a_store_did_not_take_is_brought_later(fails: int) -> None:
    store = Failing(1_000_000)
    store.fails = fails
    tally = Tally(store, make_alarm=ByHand)
    tally.add({"a": 1, "b": 2, "c": 3})
    assert tally.read() == {"a": 1, "b": 2, "c": 3}
    assert tally.read() == {"a": 1, "b": 2, "c": 3}
    assert Tally(store).read() == {"a": 1, "b": 2, "c": 3}


def test_a_fork_does_not_bring_what_is_its_parent_s() -> None:
    store = make_store(f"shm:///tally-{os.getpid()}?size=1m")
    try:
        tally = Tally(store, make_alarm=ByHand)
        tally.add({"a": 1})
        pid = os.fork()
        if pid == 0:
            tally.add({"a": 10})
            tally.bring()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert tally.read() == {"a": 11}
    finally:
        store.close()
        Path(f"/dev/shm/wsgistack-tally-{os.getpid()}").unlink()


def test_names_do_not_grow_without_bound() -> None:
    tally = Tally()
    for number in range(MOST_NAMES + 500):
        tally.add({str(number): 1})
    counts = tally.read()
    assert len(counts) == MOST_NAMES + 1
    assert counts["others"] == 500


def test_notes_are_counted_together_when_somebody_reads() -> None:
    digested: list[list[str]] = []

    def digest(notes: list[str]) -> dict[str, int]:
        digested.append(notes)
        return {name: notes.count(name) for name in notes}

    tally = Tally(digest=digest)
    for name in ("a", "b", "a"):
        tally.notes.add(name)
    assert digested == []
    assert tally.read() == {"a": 2, "b": 1}
    assert (digested, tally.read()) == ([["a", "b", "a"]], {"a": 2, "b": 1})


def test_notes_are_counted_before_they_are_many() -> None:
    lengths: list[int] = []

    def digest(notes: list[str]) -> dict[str, int]:
        lengths.append(len(notes))
        return {}

    tally = Tally(digest=digest)
    for _ in range(MOST_NOTES + 1):
        tally.notes.add("a")
    assert lengths == [MOST_NOTES]


def test_notes_are_brought_once_a_second() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally = Tally(store, digest=lambda notes: {"a": len(notes)}, monotonic=clock, make_alarm=ByHand)
    tally.notes.add("a")
    clock.now += 1.0
    tally.notes.add("a")
    assert Tally(store, monotonic=clock).read() == {"a": 2}


def test_a_fork_leaves_notes_to_the_parent() -> None:
    tally = Tally(MemoryStore(1_000_000), digest=lambda notes: {"a": len(notes)}, make_alarm=ByHand)
    tally.notes.add("a")
    tally.forked()
    assert tally.read() == {}


def make_idle(store: MemoryStore, clock: Clock) -> tuple[Tally, ByHand]:
    tally = Tally(store, digest=lambda notes: {"a": len(notes)}, monotonic=clock, make_alarm=ByHand)
    assert isinstance(tally.alarm, ByHand)
    return tally, tally.alarm


def test_the_rest_of_a_process_that_falls_idle_is_brought_when_it_is_due() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally, alarm = make_idle(store, clock)
    assert alarm.waits == []
    clock.now += 0.25
    for _ in range(3):
        tally.notes.add("a")
    assert (alarm.waits, store.get("wsgistack:tally:a")) == ([0.75], None)
    tally.bring()  # as the alarm does
    assert store.get("wsgistack:tally:a") == b"3"


def test_the_alarm_is_set_anew_by_the_first_who_counts_after_it_rang() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally, alarm = make_idle(store, clock)
    tally.notes.add("a")
    tally.bring()
    assert alarm.waits == [1.0]
    clock.now += 0.5
    tally.notes.add("a")
    tally.add({"a": 1})
    assert alarm.waits == [1.0, 0.5]
    tally.bring()
    assert store.get("wsgistack:tally:a") == b"3"


def test_who_is_asked_less_than_once_a_second_needs_no_alarm() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally, alarm = make_idle(store, clock)
    for _ in range(3):
        clock.now += 1.0
        tally.notes.add("a")
    assert (alarm.waits, store.get("wsgistack:tally:a")) == ([], b"3")


def test_who_counts_while_the_alarm_rings_sets_it_anew() -> None:
    store, clock = MemoryStore(1_000_000), Clock()

    def digest(notes: list[str]) -> dict[str, int]:
        if "last" in notes:
            tally.notes.add("late")
        return dict.fromkeys(notes, 1)

    tally = Tally(store, digest=digest, monotonic=clock, make_alarm=ByHand)
    assert isinstance(tally.alarm, ByHand)
    tally.notes.add("first")
    tally.notes.add("last")
    assert tally.alarm.waits == [1.0]
    tally.bring()
    assert tally.alarm.waits == [1.0, 1.0]


def test_what_a_store_did_not_take_is_brought_by_the_alarm() -> None:
    store = Failing(1_000_000)
    store.fails = 1
    tally, alarm = make_idle(store, Clock())
    tally.notes.add("a")
    tally.bring()
    assert alarm.waits == [1.0, 1.0]
    tally.bring()
    assert store.get("wsgistack:tally:a") == b"1"


def test_a_store_that_is_shared_later_has_what_was_counted_before() -> None:
    store, clock = MemoryStore(1_000_000), Clock()
    tally = Tally(digest=lambda notes: {"a": len(notes)}, monotonic=clock, make_alarm=ByHand)
    tally.notes.add("a")
    tally.share(store)
    tally.notes.add("a")
    assert store.get("wsgistack:tally:a") == b"2"


def test_a_real_alarm_brings_what_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.alarm.ENDS_WITHIN_S", 60.0)
    store = MemoryStore(1_000_000)
    tally = Tally(store, digest=lambda notes: {"a": len(notes)})
    tally.notes.add("a")
    assert isinstance(tally.alarm, Alarm)
    tally.alarm.end()  # rings at once
    assert store.get("wsgistack:tally:a") == b"1"
