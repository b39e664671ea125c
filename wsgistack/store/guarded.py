"""`Guarded`: a store whose trouble stays its own.

A store that fails looks like one that is empty and forgets at once what it is told: nothing is
found, everything is accepted, `add` always wins, a counter always begins.  Callers never see why.
After a few failures in a row the store is left alone for a while (a breaker), so that a store that
hangs costs its deadline a few times and not with every request; one call then tries again.  A store
that can give up waiting (`Bounded`) is made to at that deadline; the answer of another is waited for.

What was to be removed meanwhile stays removed: such a key holds nothing until the store has removed it
after all, which it is told as soon as it answers again, or has got something else for it.

What a caller does wrong (a key that is no text, a count over letters) is still raised: hiding it
would hide a bug.  Who must know that a store is down, a rate limiter say, catches StoreError
instead of using this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from wsgistack import forks
from wsgistack.errors import ConfigurationError, StoreError, TooLarge
from wsgistack.store.base import Change, Claim, Counted, Found, Step, Store, check_step, claim, is_bounded
from wsgistack.store.debts import Debts

__all__ = ["Breaker", "Guarded"]

Answer = TypeVar("Answer")
FAILURES = 3
REST_S = 1.0
LONGEST_REST_S = 30.0
SLOW_S = 0.25
FOR_EVER = nullcontext()
UNKNOWN = Claim(True)


class Breaker:
    """Whether to try: closed, open for a rest that doubles with each failed trial, then one trial.  Engine."""

    def __init__(self, *, failures: int, rest_s: float) -> None:
        self._most = failures
        self._first_rest_s = rest_s
        self._failures = 0
        self._rest_s = rest_s
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """True from the last of the failures to the next success."""
        return self._open_until is not None

    @property
    def is_calm(self) -> bool:
        """True while there is no failure that a success would make good."""
        return self._failures == 0 and self._open_until is None

    def may_try(self, now: float) -> bool:
        """Return whether this call may go through; after a rest only the first that asks may."""
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._rest_s  # whoever asks meanwhile waits for what comes of this one
        return True

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._failures = 0
        self._rest_s = self._first_rest_s
        self._open_until = None

    def failed(self, now: float) -> None:
        """Take note of a failure."""
        self._failures += 1
        if self._failures < self._most:
            return
        if self._failures > self._most:
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
        self._open_until = now + self._rest_s


class Guarded:
    """*store*, without its failures.

    *failures* in a row open the breaker for *rest_s*; an answer that took more than *slow_s*
    counts as one, and a store that is `Bounded` is not waited for any longer.
    *on_error(operation, error)* hears of each failure and must not raise.
    `errors` counts them by operation, `skipped` the calls that an open breaker answered.
    """

    def __init__(
        self,
        store: Store,
        *,
        failures: int = FAILURES,
        rest_s: float = REST_S,
        slow_s: float = SLOW_S,
        on_error: Callable[[str, Exception], None] = lambda operation, error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not failures >= 1 or not rest_s > 0 or not slow_s > 0:
            raise ConfigurationError("guarded: failures is at least 1, rest_s and slow_s are above 0")
        self.store = store
        self.errors: dict[str, int] = {}
        self.skipped = 0
        self._slow_s = slow_s
        self._within = store.within if is_bounded(store) else _without_end
        self._on_error = on_error
        self._clock = clock
        self._breaker = Breaker(failures=failures, rest_s=rest_s)
        self._trouble: dict[str, Exception] = {}
        self._debts = Debts()
        self._rest_s = rest_s
        self._is_calm = True  # nothing has failed since the last success: there is nothing to take note of
        self._lock = threading.Lock()
        forks.register(self)

    @property
    def shared(self) -> bool:
        return self.store.shared

    @property
    def pins(self) -> bool:
        return self.store.pins

    @property
    def is_down(self) -> bool:
        """True while calls are answered without asking the store."""
        return self._breaker.is_open

    def trouble(self, operation: str) -> Exception | None:
        """Return what the last call of *operation* failed with, None if it did not.

        A store may fail at one operation and not at another: a ring without a living node finds nothing.
        """
        return self._trouble.get(operation)

    def get(self, key: str) -> bytes | None:
        return self._ask("get", lambda: self.store.get(key), None, key)

    def gets(self, key: str) -> Found | None:
        return self._ask("gets", lambda: self.store.gets(key), None, key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return self._ask("get_many", lambda: self.store.get_many(self._unowed(keys)), {})

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        call = lambda: self.store.set(key, value, ttl_s, pinned=pinned)  # a partial takes 2 µs more
        self._ask("set", call if self._is_calm else self._paying(call, [key]), None)

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        self._ask("set_many", self._paying(lambda: self.store.set_many(items, ttl_s), items), None)

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        return self._ask("add", lambda: self.store.add(key, value, ttl_s, pinned=pinned), True, key)

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        """Do what `add` does; without a token while the store is in trouble."""
        return self._ask("add", lambda: claim(self.store, key, value, ttl_s), UNKNOWN, key)

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        return self._ask("cas", lambda: self.store.cas(key, value, ttl_s, token, pinned=pinned), False, key)

    def touch(self, key: str, ttl_s: float) -> bool:
        return self._ask("touch", lambda: self.store.touch(key, ttl_s), False, key)

    def incr(
        self,
        key: str,
        by: int,
        ttl_s: float,
        *,
        first: int | None = None,
        refresh: bool = False,
        pinned: bool = False,
    ) -> int:
        answer = self._ask(
            "incr",
            lambda: self.store.incr(key, by, ttl_s, first=first, refresh=refresh, pinned=pinned),
            None,
            key,
        )
        return _begin(Step(key, by, ttl_s, first)) if answer is None else answer

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        answer = self._ask("incr_many", lambda: self._count(steps, pinned), None)
        return [Counted(_begin(step), 0) for step in steps] if answer is None else answer

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        raised: list[Exception] = []

        def careful(old: bytes | None) -> tuple[bytes, float] | None:
            try:
                return change(old)
            except Exception as error:
                raised.append(error)
                raise

        nothing = object()
        answer = self._ask(
            "update", lambda: self.store.update(key, careful, pinned=pinned), nothing, key, raised
        )
        if answer is not nothing:
            return answer  # type: ignore[return-value]  # the sentinel is excluded
        wanted = change(None)
        return None if wanted is None else wanted[0]

    def delete(self, key: str) -> bool:
        return self._remove("delete", lambda: self.store.delete(key), False, [key])

    def delete_many(self, keys: Iterable[str]) -> int:
        names = list(keys)
        return self._remove("delete_many", lambda: self.store.delete_many(names), 0, names)

    def clear(self) -> None:
        self._ask("clear", self.store.clear, None)

    def stats(self) -> dict[str, int]:
        """Return the store's, or zeros, with `errors` and `skipped`."""
        names = ("items", "bytes", "hits", "misses", "evictions")
        found = self._ask("stats", self.store.stats, dict.fromkeys(names, 0))
        return {**found, "errors": sum(self.errors.values()), "skipped": self.skipped}

    def close(self) -> None:
        self.store.close()

    def forked(self) -> None:
        """Make the lock anew: what it guards is changed in steps that each leave it whole."""
        self._lock = threading.Lock()

    def _ask(
        self,
        operation: str,
        call: Callable[[], Answer],
        nothing: Answer,
        key: str | None = None,
        callers_errors: Sequence[Exception] = (),
    ) -> Answer:
        """Return what *call* gives, or *nothing*; *callers_errors* fills with what the caller's code raised.

        *key*: whose entry is looked at; nothing is there while it is still to be removed.
        """
        began = self._clock()
        if not self._is_calm:
            if not (self._may_try(began) and self._pay(began) and key not in self._debts):
                return nothing
            began = self._clock()  # what was to be removed first does not make this call a slow one
        try:
            with self._within(self._slow_s):
                answer = call()
        except Exception as error:  # whatever a store raises, it is not the client's trouble
            is_callers = isinstance(error, StoreError) and error.fault == "caller"
            if callers_errors or (is_callers and not isinstance(error, TooLarge)):
                self._settle(began, None)
                raise
            self._settle(began, error, operation)
            return nothing
        self._settle(began, None, operation)
        return answer

    def _remove(
        self, operation: str, call: Callable[[], Answer], nothing: Answer, keys: Sequence[str]
    ) -> Answer:
        """Return what *call* gives, which removes *keys*; *nothing* where that is still to be done."""
        refused = object()
        answer = self._ask(operation, call if self._is_calm else self._paying(call, keys), refused)
        if answer is not refused:
            return answer  # type: ignore[return-value]  # the sentinel is excluded
        with self._lock:
            # No store removes what is no text: it would refuse all the others with it, for ever.
            self._debts.owe([key for key in keys if isinstance(key, str)])
            self._is_calm = False
        return nothing

    def _paying(self, call: Callable[[], Answer], keys: Iterable[str]) -> Callable[[], Answer]:
        """Return *call*, after which nothing of before is at *keys*."""
        if not self._debts:
            return call
        with self._lock:
            debts = self._debts.of(keys)

        def paying() -> Answer:
            answer = call()
            with self._lock:
                self._debts.settle(debts)
            return answer

        return paying

    def _unowed(self, keys: Iterable[str]) -> Iterable[str]:
        return [key for key in keys if key not in self._debts] if self._debts else keys

    def _count(self, steps: Sequence[Step], pinned: bool) -> list[Counted] | None:
        """Return what the store counts, None where one of the counters is still to be removed."""
        if self._debts and any(step.key in self._debts for step in steps):
            return None
        return self.store.incr_many(steps, pinned=pinned)

    def _pay(self, now: float) -> bool:
        """Let the store remove what it was not told to; return whether it is worth a further call."""
        with self._lock:
            due = self._debts.due(now)
            if due:
                self._debts.put_off(now + self._slow_s)  # one removes them, the others go on
        if not due:
            return True
        try:
            with self._within(self._slow_s):
                self.store.delete_many(list(due))
        except Exception as error:  # noqa: BLE001 - a store may raise anything; one of several nodes may be away
            with self._lock:
                self._debts.put_off(now + self._rest_s, failed=due)
                is_down = self._breaker.is_open
            if is_down:
                self._settle(now, error, "delete_many")
            return not is_down
        with self._lock:
            self._debts.settle(due)
            self._debts.put_off(now)
        return True

    def _may_try(self, now: float) -> bool:
        with self._lock:
            may = self._breaker.may_try(now)
            self.skipped += not may
        return may

    def _settle(self, began: float, error: Exception | None, operation: str = "") -> None:
        now = self._clock()
        is_slow = now - began > self._slow_s
        if self._is_calm and error is None and not is_slow:
            return
        with self._lock:
            if error is not None:
                self.errors[operation] = self.errors.get(operation, 0) + 1
                self._trouble[operation] = error
            elif operation in self._trouble:
                del self._trouble[operation]
            if (error is None or isinstance(error, TooLarge)) and not is_slow:
                self._breaker.succeeded()
            else:
                self._breaker.failed(now)
            self._is_calm = self._breaker.is_calm and not self._trouble and not self._debts
        if error is not None:
            self._on_error(operation, error)


def _without_end(_: float) -> AbstractContextManager[object]:
    return FOR_EVER


def _begin(step: Step) -> int:
    """Return what a counter is that begins with *step*."""
    check_step(step.key, step.by, step.ttl_s, step.first)
    return max(step.by, 0) if step.first is None else step.first
