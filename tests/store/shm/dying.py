"""Die at every step of an operation, once each, and look at what is left; run by test_death.py.

A process of its own, because it forks: `python -m tests.store.shm.dying SCENARIO` prints how many
steps were died at, or fails with what was wrong.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from wsgistack.errors import StoreFull
from wsgistack.store.shm.store import ShmStore

SIZE = 1024 * 1024
LARGE = bytes(range(256)) * 20
State = dict[str, bytes]


def fill(store: ShmStore) -> None:
    """Store a few entries, so that buckets, lines and free cells have neighbours."""
    for number in range(40):
        store.set(f"other {number}", b"%d" % number * 20, 600)
    store.set("key", b"old", 600)
    store.incr("count", 41, 600)
    store.set("pinned", b"kept", 600, pinned=True)


def crowd(store: ShmStore) -> None:
    """Store until entries have to go, some of them used."""
    fill(store)
    for number in range(1200):
        store.set(f"crowd {number}", LARGE[: number % 2000], 600)
        store.get("key")
        store.get("count")
        store.get(f"crowd {number - 3}")


def fill_briefly(store: ShmStore) -> None:
    """Store some that end soon."""
    fill(store)
    store.set("key", b"old", 1)
    store.set("pinned for a moment", b"x", 1, pinned=True)


def later(store: ShmStore) -> ShmStore:
    """Let two seconds pass, for this process."""
    store.arena.skew_ns += 2_000_000_000
    return store


def pin_all(store: ShmStore) -> None:
    """Store pinned entries until no more fit."""
    fill(store)
    with suppress(StoreFull):
        for number in range(100_000):
            store.set(f"blocked {number}", b"x" * 100, 600, pinned=True)


def swap(store: ShmStore) -> None:
    found = store.gets("key")
    assert found is not None
    store.cas("key", b"new", 600, found.token)


@dataclass(frozen=True)
class Scenario:
    """*act* after *prepare* changes *keys* from their old values to the new ones, all else stays."""

    prepare: Callable[[ShmStore], None]
    act: Callable[[ShmStore], object]
    changes: dict[str, tuple[bytes | None, bytes | None]]
    keeps_all: bool = True  # False: others may be evicted, but not change
    every: int = 1  # of how many steps one is died at


SCENARIOS = {
    "set a new key": Scenario(fill, lambda s: s.set("new", LARGE, 600), {"new": (None, LARGE)}),
    "set over a value": Scenario(fill, lambda s: s.set("key", LARGE, 600), {"key": (b"old", LARGE)}),
    "set a pinned one": Scenario(
        fill, lambda s: s.set("key", b"n", 600, pinned=True), {"key": (b"old", b"n")}
    ),
    "set over a counter": Scenario(fill, lambda s: s.set("count", b"n", 600), {"count": (b"41", b"n")}),
    "add": Scenario(fill, lambda s: s.add("new", b"n", 600), {"new": (None, b"n")}),
    "cas": Scenario(fill, swap, {"key": (b"old", b"new")}),
    "delete": Scenario(fill, lambda s: s.delete("other 7"), {"other 7": (b"7" * 20, None)}),
    "touch": Scenario(fill, lambda s: s.touch("key", 700), {}),
    "begin a counter": Scenario(fill, lambda s: s.incr("new", 5, 600), {"new": (None, b"5")}),
    "count on": Scenario(fill, lambda s: s.incr("count", 1, 600), {"count": (b"41", b"42")}),
    "count on and pin": Scenario(
        fill, lambda s: s.incr("count", 1, 600, refresh=True, pinned=True), {"count": (b"41", b"42")}
    ),
    "read what has expired": Scenario(fill_briefly, lambda s: later(s).get("key"), {"key": (b"old", None)}),
    "set over what has expired": Scenario(
        fill_briefly, lambda s: later(s).set("key", b"n", 600), {"key": (b"old", b"n")}, keeps_all=False
    ),
    "set where others must go": Scenario(
        crowd, lambda s: s.set("new", LARGE, 600), {"new": (None, LARGE)}, keeps_all=False
    ),
    "count where others must go": Scenario(
        crowd, lambda s: [s.incr(f"new {n}", 1, 600) for n in range(99)], {}, keeps_all=False, every=7
    ),
    "replace where all is pinned": Scenario(
        pin_all, lambda s: s.set("pinned", b"new", 600, pinned=True), {"pinned": (b"kept", b"new")}
    ),
    "clear": Scenario(fill, lambda s: s.clear(), {}, keeps_all=False, every=211),
}


def all_of(store: ShmStore) -> State:
    names = ["key", "new", "count", "pinned", *(f"other {n}" for n in range(40))]
    names += [*(f"crowd {n}" for n in range(1200)), *(f"new {n}" for n in range(99))]
    names += [f"blocked {n}" for n in range(0, 8000, 7)]
    return store.get_many(names)


def die(store: ShmStore, act: Callable[[ShmStore], object], step: int) -> bool:
    """Let a child die at *step* of *act*; return False if that has fewer steps, so the child lived."""
    pid = os.fork()
    if pid == 0:
        store.arena.die_after(step)
        act(store)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, f"exit status {status}"
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL
    return True


def look(store: ShmStore, scenario: Scenario, before: State, where: str) -> None:
    """Fail if anything but the change itself has happened, or cannot happen any more."""
    assert store.arena.check() == [], f"{where}: damaged {store.arena.check()}"
    after = all_of(store)
    for key, (old, new) in scenario.changes.items():
        allowed = {old, new} if scenario.keeps_all else {old, new, None}
        assert after.get(key) in allowed, f"{where}: {key} is {after.get(key)!r}"
    for key in before.keys() | after.keys():
        if key not in scenario.changes and not key.startswith("new "):
            gone = key not in after and not scenario.keeps_all
            assert gone or after.get(key) == before.get(key), f"{where}: {key} is {after.get(key)!r}"
    if after.get("count", b"0").isdigit():
        store.incr("count", 1, 600)
    store.set("key", b"it works", 600)
    assert store.get("key") == b"it works"
    assert store.arena.check() == [], f"{where}: damaged afterwards {store.arena.check()}"


def die_everywhere(scenario: Scenario) -> int:
    """Die at each step of an operation; return how many there were."""
    died, step = 0, scenario.every
    while True:
        store = ShmStore(None, SIZE)
        scenario.prepare(store)
        before = all_of(store)
        if not die(store, scenario.act, step):
            return died
        look(store, scenario, before, f"step {step}")
        assert store.stats()["recoveries"] == 1
        died, step = died + 1, step + scenario.every


def die_while_mending(scenario: Scenario, every: int) -> int:
    """Die in the middle of an operation, then at each step of what mends that; return how many."""
    died, step = 0, 1
    while True:
        store = ShmStore(None, SIZE)
        scenario.prepare(store)
        before = all_of(store)
        assert die(store, scenario.act, 3)
        if not die(store, lambda store: store.get("key"), step):
            return died
        look(store, scenario, before, f"mending, step {step}")
        died, step = died + 1, step + every


def main(name: str) -> None:
    if name == "mending":
        print(die_while_mending(SCENARIOS["set over a value"], 3))
    else:
        print(die_everywhere(SCENARIOS[name]))


if __name__ == "__main__":
    main(sys.argv[1])
