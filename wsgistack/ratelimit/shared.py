"""The states of limits in a store that several processes, or machines, share.

Each claim is one compare-and-swap, so no race admits too many; a claim that was granted is given back
when a later one of the same request is refused, or meets trouble.  When the store is in trouble, requests go on as
*on_store_error* says, and the store is left alone for a moment instead of making everybody wait.

Processes bring their own clocks: a skew between machines is an error of as much time in a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b

from wsgistack.errors import StoreError
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.fallback import Fallback
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.table import Claim, Outcome
from wsgistack.store.base import Store

__all__ = ["SharedTable", "pack", "unpack"]

LEEWAY_US = 2_000_000  # a state outlives its use by the skew of clocks and the store's whole seconds

# A text, so that whoever looks into the store can read it: numbers, comma-separated.
WORST_STATE_BYTES = 21 * 10_000


def pack(state: State) -> bytes:
    """Return the bytes of a state.

    >>> pack(17), pack((3, 4))
    (b'17', b'3,4')
    """
    numbers = state if isinstance(state, tuple) else (state,)
    return ",".join(map(str, numbers)).encode()


def unpack(text: bytes | None, *, is_tuple: bool) -> State | None:
    """Return the state that *text* holds; None for nothing, and for what is none of ours."""
    if not text or len(text) > WORST_STATE_BYTES:
        return None
    try:
        numbers = tuple(map(int, text.split(b",")))
    except ValueError:
        return None
    if not is_tuple:
        return numbers[0] if len(numbers) == 1 else None
    return numbers


class SharedTable:
    """The states of *limits* in *store*, under keys that begin with *prefix*.

    *on_store_error*: see Fallback.
    Safe for threads, greenlets and processes, as the store is.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        store: Store,
        *,
        prefix: str = "rl:",
        on_store_error: str = "local",
        max_keys: int = 100_000,
        processes: int = 1,
    ) -> None:
        self._fallback = Fallback(limits, on_store_error, max_keys=max_keys, processes=processes)
        self._limits = tuple(limits)
        self._store = store
        self._prefixes = [f"{prefix}{limit.policy}:{_digest(limit)}:" for limit in limits]
        self._tuples = [isinstance(limit.counter.charge(None, 0, 1), tuple) for limit in limits]

    @property
    def trouble(self) -> int:
        """How often the store failed."""
        return self._fallback.trouble

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none; see Table.decide.  1 update for each claim."""
        return self._fallback.decide(claims, now, lambda: self._decide(claims, now))

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
        """Do the same for a single claim; see Table.decide_one."""
        _, wait, (state,) = self.decide([(number, key, cost)], now)
        return wait, state

    def charge(self, claims: Sequence[Claim], now: int) -> None:
        """Count the costs of *claims* whatever the limits say."""
        self._fallback.charge(claims, now, lambda: self._charge_all(claims, now))

    def give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> None:
        """Give back the costs of claims, each with the state that its decision gave."""
        self._fallback.give_back(claims, now, lambda granted: self._give_back_all(granted, now))

    def get(self, number: int, key: bytes) -> State | None:
        """Return the state of a key, None if there is none; raises StoreError."""
        return unpack(self._store.get(self._text(number, key)), is_tuple=self._tuples[number])

    def reset(self, number: int, key: bytes) -> bool:
        """Forget a key; return whether there was anything to forget.  Raises StoreError."""
        self._fallback.table.reset(number, key)
        return self._store.delete(self._text(number, key))

    def _decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        granted: list[tuple[Claim, State]] = []
        states: list[State | None] = []
        for index, claim in enumerate(claims):
            try:
                wait, state = self._take(claim, now)
            except StoreError:
                # Somebody else decides now, and counts all of it; another server's part may be well.
                with suppress(StoreError):
                    self._give_back_all(granted, now)
                raise
            states.append(state)
            if wait:
                # Who is refused is told what there is when all of it was given back.
                back = iter(self._give_back_all(granted, now))
                states = [
                    next(back) if one[2] else was for one, was in zip(claims, states[:-1], strict=False)
                ] + [state]
                rest = [self.get(number, key) for number, key, _ in claims[index + 1 :]]
                return index, wait, states + rest
            if claim[2]:
                granted.append((claim, state))
        return -1, 0, states

    def _take(self, claim: Claim, now: int) -> tuple[int, State | None]:
        number, key, cost = claim
        decide = self._limits[number].counter.decide
        wait, state = 0, None

        def change(state: State | None) -> State | None:
            nonlocal wait
            wait, after = decide(state, now, cost)
            return None if wait else after

        state = self._update(number, key, now, change)
        return wait, state

    def _charge_all(self, claims: Sequence[Claim], now: int) -> None:
        for number, key, cost in claims:
            charge = partial(self._limits[number].counter.charge, now=now, cost=cost)
            self._update(number, key, now, charge)

    def _give_back_all(self, claims: Sequence[tuple[Claim, State]], now: int) -> list[State | None]:
        """Return what is there afterwards, of each."""
        left: list[State | None] = []
        for (number, key, cost), taken in claims:
            give_back = partial(self._limits[number].counter.give_back, now=now, cost=cost, taken=taken)
            # What is as good as nothing is left to expire: to remove it would race with its next user.
            left.append(
                self._update(number, key, now, lambda state, give_back=give_back: give_back(state) or 0)  # type: ignore[misc]
            )
        return left

    def _update(
        self, number: int, key: bytes, now: int, change: Callable[[State | None], State | None]
    ) -> State | None:
        is_tuple, ends_at = self._tuples[number], self._limits[number].counter.ends_at

        def change_bytes(text: bytes | None) -> tuple[bytes, float] | None:
            state = change(unpack(text, is_tuple=is_tuple))
            if state is None:
                return None
            lives_us = max(ends_at(state) - now, 0) if state else 0
            return (pack(state) if state else b""), (lives_us + LEEWAY_US) / 1e6

        text = self._store.update(self._text(number, key), change_bytes, pinned=True)
        return unpack(text, is_tuple=is_tuple)

    def _text(self, number: int, key: bytes) -> str:
        return self._prefixes[number] + key.hex()


def _digest(limit: Limit) -> str:
    # Another rate counts in other numbers: its states are not to be taken for these.
    return blake2b(f"{limit.rate} in 1/{limit.rate.parts} us".encode(), digest_size=4).hexdigest()
