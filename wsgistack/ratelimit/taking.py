"""Decisions over the states of limits in the memory of one process.

`wsgistack.ratelimit.taking_cy` is the compiled twin of this module; `takers` picks one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from wsgistack.ratelimit.algorithms import State

__all__ = ["HASH_BITS", "Claim", "Outcome", "Shard", "Taker"]

Claim = tuple[int, bytes, int]  # (number of the limit, key, cost)
Outcome = tuple[int, int, list[State | None]]  # (index of the claim that refused or -1, wait, states)
Bucket = tuple[int, int, int]  # Gcra.numbers
Decide = Callable[[State | None, int, int], tuple[int, State | None]]

# An int of 60 bits takes 32 bytes; at a million keys two are alike once in 2 million.
HASH_BITS = (1 << 60) - 1


class Shard(dict[int, State]):
    """The states of some keys, by the hash of the key; *sweep_at*: how many there are before a sweep."""

    __slots__ = ("sweep_at",)

    def __init__(self, sweep_at: int) -> None:
        super().__init__()
        self.sweep_at = sweep_at


class Taker:
    """Decides over *shards*, of each limit a list of the same length.

    *decides*: Counter.decide of each limit; *buckets*: Gcra.numbers of those that are one, else None.
    *place(number, mark, now)* tells where a key that is not in its shard is counted, after a sweep
    if there is no room; *get(number, key)* its state.  Both are called with the *lock* held.
    """

    def __init__(
        self,
        shards: list[list[Shard]],
        decides: Sequence[Decide],
        buckets: Sequence[Bucket | None],
        lock: threading.Lock,
        place: Callable[[int, int, int], tuple[dict[int, State], int]],
        get: Callable[[int, bytes], State | None],
    ) -> None:
        self._shards = shards
        self._count = len(shards[0]) if shards else 1
        self._decides = list(decides)
        # What a single claim needs, in one place: each look-up is 3 % of a decision.
        self._ones = [
            (own, one, lock.acquire, lock.release) for own, one in zip(shards, buckets, strict=True)
        ]
        self._lock = lock
        self._place = place
        self._get = get

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none: a refused request consumes nothing.

        Returns the index of the first that has no room, -1 if all have; how long that one has to wait
        (algorithms.NEVER: for ever), and the state of each claim after it.
        """
        if len(claims) == 1:
            wait, state = self.decide_one(*claims[0], now)
            return (0 if wait else -1), wait, [state]
        count = self._count
        with self._lock:
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

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
        """Do the same for a single claim, at a third of the price; return the wait and the state."""
        shards, bucket, acquire, release = self._ones[number]
        mark = hash(key) & HASH_BITS
        shard: dict[int, State] = shards[mark % self._count]
        acquire()  # `with` takes twice as long as both calls
        try:
            state = shard.get(mark)
            if state is None:
                shard, mark = self._place(number, mark, now)
                state = shard.get(mark)
            if bucket is None:
                wait, state = self._decides[number](state, now, cost)
                if not wait and state is not None:
                    shard[mark] = state
                return wait, state
            # What Gcra.decide does, written out: it is what nearly every request asks.
            parts, step, full = bucket
            scaled = now * parts
            tat = (scaled if state is None or state < scaled else state) + cost * step
            if tat - scaled <= full:
                shard[mark] = tat
                return 0, tat
        finally:
            release()
        return self._decides[number](state, now, cost)
