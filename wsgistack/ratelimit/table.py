"""The states of all limits in the memory of one process.

No thread sweeps: a shard is swept by the request that fills it.  A table that is full of states that
still matter forgives nobody: further keys are counted together in a few shared entries, which can
only be stricter.  A decision takes no system call and, under gevent, never switches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack import forks
from wsgistack.ratelimit.algorithms import Counter, State
from wsgistack.ratelimit.algorithms.gcra import Gcra
from wsgistack.ratelimit.takers import Taker
from wsgistack.ratelimit.taking import HASH_BITS, Bound, Claim, Door, Outcome, Shard, Step

__all__ = ["Claim", "Outcome", "Table"]

# A dict of up to 682 entries takes 1024 slots: growing it, or sweeping it, pauses for 0.05 ms.
SHARD_KEYS = 682
USUAL_KEYS = 590  # so that a full table's shards, which are not equally full, stay below that
SHARED_ENTRIES = 256
FIRST_SWEEP = 64


class Table:
    """The states of some limits, by number; *max_keys* for each.  Safe for threads and greenlets.

    Keys are known by 60 bits of their hash, which is keyed anew in each process (PEP 456).

    *before*: a table of as many keys, whose limits go on here: *numbers* has the old number of each limit,
    None of a new one.  Both may be used; they are one.

    *decide*, *decide_one* and *bind* are those of taking.Taker.
    """

    trouble = 0  # there is no store that could fail

    def __init__(
        self,
        counters: Sequence[Counter],
        *,
        max_keys: int = 100_000,
        before: Table | None = None,
        numbers: Sequence[int | None] = (),
    ) -> None:
        self._counters = tuple(counters)
        self._count = max(-(-max_keys // USUAL_KEYS), 1)
        self._shards = [[Shard(FIRST_SWEEP) for _ in range(self._count)] for _ in self._counters]
        self._shared: list[dict[int, State]] = [{} for _ in self._counters]
        for number, old in enumerate(numbers):
            if before is not None and old is not None:
                self._shards[number], self._shared[number] = before._shards[old], before._shared[old]
        self._taker = taker = Taker(
            self._shards,
            [counter.decide for counter in self._counters],
            [counter.numbers if isinstance(counter, Gcra) else None for counter in self._counters],
            self._place,
            self._get,
            None if before is None else before._lock,
        )
        self._lock: Door = taker.lock
        self.decide: Callable[[Sequence[Claim], int], Outcome] = taker.decide
        self.decide_one: Callable[[int, bytes, int, int], tuple[int, State | None]] = taker.decide_one
        self.bind: Callable[[Sequence[Step]], Bound] = taker.bind
        forks.register(self)

    def forked(self) -> None:
        """Make the lock anew; states stay: each is changed in one step, and nobody is forgiven by a fork."""
        self._lock.renew()  # which tables of before have too

    def charge(self, claims: Sequence[Claim], now: int) -> None:
        """Count the costs of *claims* whatever the limits say."""
        with self._lock:
            for number, key, cost in claims:
                shard, mark = self._place(number, hash(key) & HASH_BITS, now)
                shard[mark] = self._counters[number].charge(shard.get(mark), now, cost)

    def give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> None:
        """Give back the costs of claims, each with the state that its decision gave."""
        with self._lock:
            for (number, key, cost), taken in claims:
                shard, mark = self._place(number, hash(key) & HASH_BITS, now)
                state = self._counters[number].give_back(shard.get(mark), now, cost, taken)
                if state is None:
                    shard.pop(mark, None)
                else:
                    shard[mark] = state

    def get(self, number: int, key: bytes) -> State | None:
        """Return the state of a key, None if there is none."""
        with self._lock:
            return self._get(number, key)

    def reset(self, number: int, key: bytes) -> bool:
        """Forget a key; return whether there was anything to forget."""
        with self._lock:
            mark = hash(key) & HASH_BITS
            return self._shards[number][mark % self._count].pop(mark, None) is not None

    def __len__(self) -> int:
        """How many keys are held, over all limits, those that could be dropped included."""
        return sum(len(shard) for shards in self._shards for shard in shards)

    def _get(self, number: int, key: bytes) -> State | None:
        mark = hash(key) & HASH_BITS
        shard = self._shards[number][mark % self._count]
        if mark not in shard and len(shard) >= SHARD_KEYS:
            return self._shared[number].get(mark % SHARED_ENTRIES)
        return shard.get(mark)

    def _place(self, number: int, mark: int, now: int) -> tuple[dict[int, State], int]:
        """Return where *mark* is counted, after a sweep if it is new and there is no room for it."""
        shard = self._shards[number][mark % self._count]
        if mark in shard or len(shard) < shard.sweep_at:
            return shard, mark
        ends_at = self._counters[number].ends_at
        for old in [old for old, state in shard.items() if ends_at(state) <= now]:
            del shard[old]
        shard.sweep_at = min(max(2 * len(shard), FIRST_SWEEP), SHARD_KEYS)
        if len(shard) < SHARD_KEYS:
            return shard, mark
        return self._shared[number], mark % SHARED_ENTRIES
