"""Decisions over the states of limits in the memory of one process.

`wsgistack.ratelimit.taking_cy` is the compiled twin of this module; `takers` picks one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from wsgistack.ratelimit.algorithms import State

__all__ = ["HASH_BITS", "Claim", "Door", "Outcome", "Shard", "Taker"]

Claim = tuple[int, bytes, int]  # (number of the limit, key, cost)
Outcome = tuple[int, int, list[State | None]]  # (index of the claim that refused or -1, wait, states)
Bucket = tuple[int, int, int]  # Gcra.numbers
Decide = Callable[[State | None, int, int], tuple[int, State | None]]

# CPython with its global lock takes a thread off, runs a handler of a signal or collects garbage only at
# calls and at jumps back.  So lines without either are one step for everybody else, as
# test_what_is_one_step_has_no_call_and_no_jump_back reads in the bytecode.
HAS_STEPS = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()

# An int of 60 bits takes 32 bytes; at a million keys two are alike once in 2 million.
HASH_BITS = (1 << 60) - 1


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
    for whoever else changes states.
    """

    __slots__ = ("_count", "_decides", "_get", "_place", "_shards", "decide_one", "lock")

    def __init__(
        self,
        shards: list[list[Shard]],
        decides: Sequence[Decide],
        buckets: Sequence[Bucket | None],
        place: Callable[[int, int, int], tuple[dict[int, State], int]],
        get: Callable[[int, bytes], State | None],
    ) -> None:
        self._shards = shards
        self._count = len(shards[0]) if shards else 1
        self._decides = list(decides)
        self.lock = Door()
        self._place = place
        self._get = get
        self.decide_one = self._make_decide_one(buckets)

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none: a refused request consumes nothing.

        Returns the index of the first that has no room, -1 if all have; how long that one has to wait
        (algorithms.NEVER: for ever), and the state of each claim after it.
        """
        if len(claims) == 1:
            wait, state = self.decide_one(*claims[0], now)
            return (0 if wait else -1), wait, [state]
        count = self._count
        with self.lock:
            places = []
            states = []
            for index, (number, key, cost) in enumerate(claims):
                mark = hash(key) & HASH_BITS
                shard: dict[int, State] = self._shards[number][mark % count]
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

    def _make_decide_one(
        self, buckets: Sequence[Bucket | None]
    ) -> Callable[[int, bytes, int, int], tuple[int, State | None]]:
        door, count, decide_slowly = self.lock, self._count, self._decide_slowly
        # What a claim needs, in one place: each look-up is 3 % of a decision.
        ones = [(own, *(one or (0, 0, 0))) for own, one in zip(self._shards, buckets, strict=True)]

        def decide_one(number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
            """Do the same for a single claim, at a third of the price; return the wait and the state."""
            shards, parts, step, full = ones[number]
            mark = hash(key) & HASH_BITS
            if parts:
                # What Gcra.decide does, written out: it is what nearly every request asks.
                shard: dict[int, State] = shards[mark % count]
                scaled = now * parts
                step *= cost
                try:
                    # One step from here to the write: no call, and no jump back; see HAS_STEPS.
                    state = shard[mark]
                    tat = (scaled if state < scaled else state) + step  # noqa: FURB136 - max() is a call
                    if tat - scaled <= full and not door.inside:
                        shard[mark] = tat
                        return 0, tat
                except KeyError:
                    pass
            return decide_slowly(number, mark, cost, now)

        return decide_one

    def _decide_slowly(self, number: int, mark: int, cost: int, now: int) -> tuple[int, State | None]:
        shard: dict[int, State] = self._shards[number][mark % self._count]
        with self.lock:
            state = shard.get(mark)
            if state is None:
                shard, mark = self._place(number, mark, now)
                state = shard.get(mark)
            wait, state = self._decides[number](state, now, cost)
            if not wait and state is not None:
                shard[mark] = state
        return wait, state
