"""The states of limits in memory that the worker processes of one machine share.

Each limit has a table of slots, 24 bytes a key: a mark (a keyed hash of 64 bits) and two numbers.
A key's slot is in one of two buckets of 16, in the one that has more room.  What has ended makes
room by itself.  A table that is full of states that still matter forgives nobody: further keys are
counted together in a few shared slots, which can only be stricter.

Processes exclude each other by record locks of the file, one of 64 by the key: the kernel lets go of
them when a process dies, however it does.  One that was stopped is waited for a moment, then
requests go on as *on_store_error* says; see Fallback.  A number is written whole, and the order of
writes is such that a process that dies between two of them forgives or takes one request at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from hashlib import blake2b
from typing import NamedTuple

from wsgistack import forks
from wsgistack.errors import StoreDown
from wsgistack.memos import remember
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.fallback import Fallback
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.segment import Segment
from wsgistack.ratelimit.table import Claim, Outcome

__all__ = ["PACKINGS", "SlotTable", "may_be_packed", "segment_bytes", "slots_for"]

WAYS = 16
STRIPES = 64
SHARED = 4  # slots of each stripe for keys that find no room
MARKS_BYTES, STATES_BYTES = 8 * WAYS, 16 * WAYS
BUCKET_BYTES = MARKS_BYTES + STATES_BYTES
FULLEST = 0.8  # with two choices of 16, one key in 20,000 has to share a slot then (simulated)
WAIT_S = 0.25  # a lock is held for microseconds, unless its holder was stopped
MOST_64 = 2**64 - 1
MOST_32 = 2**32 - 1
MARKS_REMEMBERED = 8192


class Packing(NamedTuple):
    """How the states of an algorithm are two numbers of 64 bits, the first of which is never 0."""

    pack: Callable[[State, int], tuple[int, int]]  # of (state, Rate.parts)
    unpack: Callable[[int, int, int], State]  # of (first, second, Rate.parts)
    most: int  # amounts above do not fit


PACKINGS = {
    "gcra": Packing(
        lambda state, parts: divmod(min(state, MOST_64 * parts), parts),  # a debt of 584,542 years
        lambda a, b, parts: a * parts + b,
        10**12,
    ),
    "fixed": Packing(lambda state, _: (state[0], min(state[1], MOST_64)), lambda a, b, _: (a, b), 10**12),
    "calendar": Packing(lambda state, _: (state[0], min(state[1], MOST_64)), lambda a, b, _: (a, b), 10**12),
    "sliding": Packing(
        lambda state, _: (state[0], min(state[1], MOST_32) << 32 | min(state[2], MOST_32)),
        lambda a, b, _: (a, b >> 32, b & MOST_32),
        MOST_32 // 2,
    ),
}


def may_be_packed(limits: Sequence[Limit]) -> bool:
    """Tell whether the states of all *limits* fit into slots."""
    return all(
        limit.ban is None
        and limit.rate.algorithm in PACKINGS
        and limit.rate.amount <= PACKINGS[limit.rate.algorithm].most
        for limit in limits
    )


def slots_for(max_keys: int) -> int:
    """Return how many slots a table of *max_keys* has."""
    return -(-round(max_keys / FULLEST) // (STRIPES * WAYS)) * STRIPES * WAYS


def segment_bytes(limits: int, max_keys: int) -> int:
    """Return the memory of so many tables."""
    return limits * _table_bytes(max_keys)


def _table_bytes(max_keys: int) -> int:
    return slots_for(max_keys) // WAYS * BUCKET_BYTES + STRIPES * SHARED * 16


class SlotTable:
    """The states of *limits* in a segment of `segment_bytes`; see Table.  Safe for threads and greenlets.

    *wait_s*: how long the lock of another process is waited for.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        segment: Segment,
        *,
        max_keys: int = 100_000,
        on_store_error: str = "local",
        processes: int = 1,
        wait_s: float = WAIT_S,
    ) -> None:
        self._fallback = Fallback(limits, on_store_error, max_keys=max_keys, processes=processes)
        self._counters = [limit.counter for limit in limits]
        self._parts = [limit.rate.parts for limit in limits]
        self._packings = [PACKINGS[limit.rate.algorithm] for limit in limits]
        self._buckets = slots_for(max_keys) // WAYS // STRIPES  # of a stripe
        self._bases = [number * _table_bytes(max_keys) for number in range(len(limits))]
        self._shared = [base + self._buckets * STRIPES * BUCKET_BYTES for base in self._bases]
        self._segment = segment
        self._memory = segment.memory
        self._words = memoryview(segment.memory).cast("Q")
        self.wait_s = wait_s
        self._lock = threading.Lock()
        secret = segment.secret

        @remember(MARKS_REMEMBERED)
        def mark_of(key: bytes) -> tuple[bytes, int, int, int]:
            """Return a key's mark, its stripe, and its two buckets."""
            mark = blake2b(key, digest_size=8, key=secret).digest()
            if mark == bytes(8):
                mark = b"\1" * 8  # 0 is an empty slot
            number = int.from_bytes(mark, "little")
            rest = number // STRIPES
            first, second = rest % self._buckets, (rest >> 29) % self._buckets
            stripe = number % STRIPES
            return mark, stripe, stripe * self._buckets + first, stripe * self._buckets + second

        self._mark_of = mark_of
        forks.register(self)

    @property
    def trouble(self) -> int:
        """How often a lock was not to be had."""
        return self._fallback.trouble

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none; see Table.decide."""
        return self._fallback.decide(claims, now, lambda: self._decide(claims, now))

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
        """Do the same for a single claim, at half of the price; see Table.decide_one."""
        _, wait, (state,) = self._fallback.decide(
            [(number, key, cost)], now, lambda: self._decide_one(number, key, cost, now)
        )
        return wait, state

    def charge(self, claims: Sequence[Claim], now: int) -> None:
        """Count the costs of *claims* whatever the limits say."""

        def step() -> None:
            for number, key, cost in claims:
                at, state = self._find(number, key, now)
                self._write(number, key, at, self._counters[number].charge(state, now, cost))

        keys = [key for _, key, _ in claims]
        self._fallback.charge(claims, now, lambda: self._alone(keys, step))

    def give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> None:
        """Give back the costs of claims, each with the state that its decision gave."""

        def give(granted: Sequence[tuple[Claim, State]]) -> None:
            def step() -> None:
                for (number, key, cost), taken in granted:
                    at, state = self._find(number, key, now)
                    self._write(number, key, at, self._counters[number].give_back(state, now, cost, taken))

            self._alone([key for (_, key, _), _ in granted], step)

        self._fallback.give_back(claims, now, give)

    def get(self, number: int, key: bytes) -> State | None:
        """Return the state of a key, None if there is none; raises StoreDown."""
        found: list[State | None] = []
        self._alone([key], lambda: found.append(self._find(number, key, 0)[1]))
        return found[0]

    def reset(self, number: int, key: bytes) -> bool:
        """Forget a key; return whether there was anything to forget.  Raises StoreDown."""
        had: list[bool] = []

        def step() -> None:
            at, state = self._find(number, key, 0)
            had.append(state is not None)
            self._write(number, key, at, None)

        self._fallback.table.reset(number, key)
        self._alone([key], step)
        return had[0]

    def _decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        outcome: list[Outcome] = []

        def step() -> None:
            places, states = [], []
            for index, (number, key, cost) in enumerate(claims):
                at, state = self._find(number, key, now)
                wait, state = self._counters[number].decide(state, now, cost)
                if wait:
                    outcome.append((index, wait, [self._find(n, k, now)[1] for n, k, _ in claims]))
                    return
                places.append(at)
                states.append(state)
            for (number, key, _), at, state in zip(claims, places, states, strict=True):
                if state is not None:
                    # A slot that was free may be another claim's by now.
                    self._write(number, key, at if at >= 0 else self._find(number, key, now)[0], state)
            outcome.append((-1, 0, states))

        self._alone([key for _, key, _ in claims], step)
        return outcome[0]

    def _decide_one(self, number: int, key: bytes, cost: int, now: int) -> Outcome:
        fd, stripe = self._segment.fd, self._mark_of(key)[1]
        with self._lock:
            self._hold(fd, stripe)
            try:
                at, state = self._find(number, key, now)
                wait, state = self._counters[number].decide(state, now, cost)
                if not wait and state is not None:
                    self._write(number, key, at, state)
            finally:
                lockf(fd, LOCK_UN, 1, stripe)
        return (0 if wait else -1), wait, [state]

    def _alone(self, keys: Sequence[bytes], step: Callable[[], None]) -> None:
        """Do *step* while no other thread or process works with the *keys*; raises StoreDown."""
        stripes = sorted({self._mark_of(key)[1] for key in keys})
        fd = self._segment.fd
        with self._lock:
            held = []
            try:
                for stripe in stripes:
                    self._hold(fd, stripe)
                    held.append(stripe)
                step()
            finally:
                for stripe in held:
                    lockf(fd, LOCK_UN, 1, stripe)

    def _hold(self, fd: int, stripe: int) -> None:
        tries = 0
        deadline = 0.0
        while True:
            try:
                lockf(fd, LOCK_EX | LOCK_NB, 1, stripe)
                return
            except OSError:
                tries += 1
            now = time.monotonic()
            deadline = deadline or now + self.wait_s
            if now > deadline:
                raise StoreDown("shared memory of the limits: a process that holds a lock does not go on")
            time.sleep(0 if tries < 100 else 0.0005)

    def _find(self, number: int, key: bytes, now: int) -> tuple[int, State | None]:
        """Return where a key's state is or may be written, as an index of words, and the state.

        A slot that is not its own yet stands there with its sign changed.
        """
        mark, stripe, first, second = self._mark_of(key)
        memory, words = self._memory, self._words
        for bucket in (first, second):
            begin = self._bases[number] + bucket * BUCKET_BYTES
            found = memory.find(mark, begin, begin + MARKS_BYTES)
            while found >= 0 and (found - begin) % 8:
                found = memory.find(mark, found + 1, begin + MARKS_BYTES)
            if found >= 0:
                at = (begin + MARKS_BYTES) // 8 + (found - begin) // 4
                return at, self._unpack(number, words[at], words[at + 1])
        rooms = sorted([self._free(number, bucket, now) for bucket in (first, second)])
        if rooms[-1][0]:
            return -rooms[-1][1], None
        at = self._shared[number] // 8 + (stripe * SHARED + mark[3] % SHARED) * 2
        return at, self._unpack(number, words[at], words[at + 1])

    def _unpack(self, number: int, first: int, second: int) -> State | None:
        return self._packings[number].unpack(first, second, self._parts[number]) if first else None

    def _free(self, number: int, bucket: int, now: int) -> tuple[int, int]:
        """Return how many slots of a bucket may be taken, and one of them."""
        begin = (self._bases[number] + bucket * BUCKET_BYTES) // 8
        words, ends_at = self._words, self._counters[number].ends_at
        count = found = 0
        for way in range(WAYS):
            at = begin + WAYS + 2 * way
            state = self._unpack(number, words[at], words[at + 1]) if words[begin + way] else None
            if state is None or ends_at(state) <= now:
                count, found = count + 1, at
        return count, found

    def _write(self, number: int, key: bytes, at: int, state: State | None) -> None:
        words = self._words
        is_new, at = at < 0, abs(at)
        if state is None:
            if not is_new:
                words[at] = 0
            return
        first, second = self._packings[number].pack(state, self._parts[number])
        if is_new:
            base = self._bases[number] // 8
            bucket, rest = divmod(at - base, BUCKET_BYTES // 8)
            place = base + bucket * (BUCKET_BYTES // 8) + (rest - WAYS) // 2
            words[place] = 0  # while it is nobody's
            words[at + 1], words[at] = second, first
            words[place] = int.from_bytes(self._mark_of(key)[0], "little")
        else:
            words[at + 1], words[at] = second, first

    def forked(self) -> None:
        """Make the lock anew; those of stripes are the parent's (fcntl), which goes on with what it holds."""
        self._lock = threading.Lock()
