"""Decisions over the states of limits in the memory of one process.

`wsgistack.ratelimit.taking_cy` is the compiled twin of this module; `takers` picks one.
"""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

from wsgistack.ratelimit.algorithms import State

__all__ = ["HASH_BITS", "Bound", "Claim", "Door", "Outcome", "Shard", "Step", "Taker"]

Claim = tuple[int, bytes, int]  # (number of the limit, key, cost)
Step = tuple[int, int]  # (number of the limit, cost)
Outcome = tuple[int, int, list[State | None]]  # (index of the claim that refused or -1, wait, states)
Bucket = tuple[int, int, int]  # Gcra.numbers
Bound = Callable[[bytes, int], Outcome]  # of a key, now
Decide = Callable[[State | None, int, int], tuple[int, State | None]]

# CPython with its global lock takes a thread off, runs a handler of a signal or collects garbage only at
# calls and at jumps back.  So lines without either are one step for everybody else, as
# test_what_is_one_step_has_no_call_and_no_jump_back reads in the bytecode.
HAS_STEPS = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()

# An int of 60 bits takes 32 bytes; at a million keys two are alike once in 2 million.
HASH_BITS = (1 << 60) - 1

# Of so many keys it is remembered where they stand, which takes longer to find than the rest of a decision.
# To forget them all pauses for 0.1 ms.
KEYS_REMEMBERED = 2048


class Shard(dict[int, State]):
    """The states of some keys, by the hash of the key; *sweep_at*: how many there are before a sweep."""

    __slots__ = ("sweep_at",)

    def __init__(self, sweep_at: int) -> None:
        super().__init__()
        self.sweep_at = sweep_at


class Door:
    """A lock that tells without a call whether somebody is *inside*: always, where there are no steps."""

    __slots__ = ("_acquire", "_release", "inside", "locked")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Be open, whoever was inside: another process has its own."""
        lock = threading.Lock()
        self._acquire, self._release, self.locked = lock.acquire, lock.release, lock.locked
        self.inside = not HAS_STEPS

    def __enter__(self) -> None:
        self._acquire()
        self.inside = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.inside = not HAS_STEPS
        self._release()


class Taker:
    """Decides over *shards*, of each limit a list of the same length.

    *decides*: Counter.decide of each limit; *buckets*: Gcra.numbers of those that are one, else None.
    *place(number, mark, now)* tells where a key that is not in its shard is counted, after a sweep
    if there is no room; *get(number, key)* its state.  Both are called with the *lock* held, which is
    for whoever else changes states; Takers of the same shards have the same one.
    """

    __slots__ = ("_buckets", "_count", "_decides", "_get", "_marks", "_ones", "_place", "_shards", "lock")

    def __init__(
        self,
        shards: list[list[Shard]],
        decides: Sequence[Decide],
        buckets: Sequence[Bucket | None],
        place: Callable[[int, int, int], tuple[dict[int, State], int]],
        get: Callable[[int, bytes], State | None],
        lock: Door | None = None,
    ) -> None:
        self._shards = shards
        self._count = len(shards[0]) if shards else 1
        self._decides = list(decides)
        self._buckets = list(buckets)
        self.lock = lock or Door()
        self._place = place
        self._get = get
        self._marks: dict[bytes, tuple[int, int]] = {}
        self._ones = [self.bind([(number, 1)]) for number in range(len(shards))]

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none: a refused request consumes nothing.

        Returns the index of the first that has no room, -1 if all have; how long that one has to wait
        (algorithms.NEVER: for ever), and the state of each claim after it.
        """
        if len(claims) == 1:
            number, key, cost = claims[0]
            if cost == 1:
                return self._ones[number](key, now)
        return self._decide_slowly(claims, now)

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
        """Do the same for a single claim; return the wait and the state."""
        _, wait, (state,) = self.decide([(number, key, cost)], now)
        return wait, state

    def bind(self, steps: Sequence[Step]) -> Bound:
        """Return what decides for a key about *steps* as `decide` does about claims, at a third of the price.

        What a request needs is in the function's own variables, and Gcra.decide written out: buckets are
        what nearly every request asks.
        """

        def slowly(key: bytes, now: int) -> Outcome:
            return self._decide_slowly([(number, key, cost) for number, cost in steps], now)

        rows: list[Any] = []
        for number, cost in steps:
            parts, step, full = self._buckets[number] or (1, 0, -1)
            if full < step * cost:
                return slowly  # it is no bucket, or never has room
            rows += [self._shards[number], parts, step * cost, full - step * cost]
        make = _make_quick(tuple([parts != 1 for parts in rows[1::4]]))
        quick: Bound = make(self._marks, self.lock, slowly, *rows)
        return quick

    def _decide_slowly(self, claims: Sequence[Claim], now: int) -> Outcome:
        with self.lock:
            places = []
            states = []
            for index, (number, key, cost) in enumerate(claims):
                mark, at = self._mark(key)
                shard: dict[int, State] = self._shards[number][at]
                state = shard.get(mark)
                if state is None:
                    shard, mark = self._place(number, mark, now)
                    state = shard.get(mark)
                wait, state = self._decides[number](state, now, cost)
                if wait:
                    return index, wait, [self._get(number, key) for number, key, _ in claims]
                places.append((shard, mark))
                states.append(state)
            for (shard, mark), state in zip(places, states, strict=True):
                if state is not None:
                    shard[mark] = state
        return -1, 0, states

    def _mark(self, key: bytes) -> tuple[int, int]:
        """Return under which mark, and in which shard, a key is counted."""
        marks = self._marks
        found = marks.get(key)
        if found is None:
            mark = hash(key) & HASH_BITS
            if len(marks) >= KEYS_REMEMBERED:
                marks.clear()
            found = marks[key] = mark, mark % self._count
        return found


@lru_cache(maxsize=256)
def _make_quick(scaled: tuple[bool, ...]) -> Callable[..., Bound]:
    """Return what makes the function of Taker.bind for so many buckets; *scaled*: which have parts."""
    numbers = range(len(scaled))
    names = "".join([f", own{i}, parts{i}, step{i}, slack{i}" for i in numbers])
    lines = [
        f"def make(marks, door, slowly{names}):",
        "    def quick(key, now):",
        "        try:",
        "            mark, at = marks[key]",
        *[f"            shard{i} = own{i}[at]" for i in numbers],
        *[f"            now{i} = now{f' * parts{i}' * scaled[i]}" for i in numbers],
        "            # One step from here to the last write: no call, and no jump back; see HAS_STEPS.",
        *[f"            was{i} = shard{i}[mark]" for i in numbers],
        *[f"            ahead{i} = was{i} - now{i}" for i in numbers],
        f"            if {' and '.join([f'ahead{i} <= slack{i}' for i in numbers])} and not door.inside:",
        *[f"                tat{i} = (was{i} if ahead{i} > 0 else now{i}) + step{i}" for i in numbers],
        *[f"                shard{i}[mark] = tat{i}" for i in numbers],
        f"                return -1, 0, [{', '.join([f'tat{i}' for i in numbers])}]",
        "        except KeyError:",
        "            pass",
        "        return slowly(key, now)",
        "    return quick",
    ]
    name = f"<a decision about {len(scaled)} buckets, {scaled}>"
    linecache.cache[name] = (0, None, [f"{line}\n" for line in lines], name)  # for who reads a traceback
    space: dict[str, Any] = {}
    exec(compile("\n".join(lines), name, "exec"), space)  # noqa: S102 - of nothing that is given
    make: Callable[..., Bound] = space["make"]
    return make
