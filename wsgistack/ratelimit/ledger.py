"""What was asked of one rule under one key, as a log that everybody replays to the same answer.

A store that can append puts all processes' records into one order.  Each process then computes what
the records before its own left, and so what became of its own: no lock, no second try, one round
trip.  When a log has grown, whoever looks at it may write the states in place of its older records.

    log    = *( base / record )
    base   = "b" *( " " number "=" state ) ";"
    record = kind now " " nonce *( " " number ":" units [ ":" taken ] ) ";"
    kind   = "d" (decide) / "c" (charge) / "g" (give back)
    state  = integer *( "." integer )            ; taken is a state

It is text, so that whoever looks into the store can read it.  What cannot be read is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.limits import Limit

__all__ = ["NOTHING", "Known", "Ledger", "Replayed", "show_state"]

LONG_BYTES = 1000  # from then on a log is worth a base

Part = tuple[int, int]  # (number of the limit in the rule, units)


class Known(NamedTuple):
    """The begin of a log that was replayed before, and the states after it."""

    log: bytes
    states: dict[int, State]


NOTHING = Known(b"", {})


@dataclass(slots=True)
class Replayed:
    """What a log says: the *states* at its end, what became of the decision that was looked for.

    *index*: of the first part of it that has no room, -1 if all have, None if it is not in the log.
    *after*: the states of all its parts.  *shorter*: a log that says the same, None if this is short.
    """

    states: dict[int, State]
    index: int | None = None
    wait: int = 0
    after: list[State | None] = field(default_factory=list)
    shorter: bytes | None = None


def show_state(state: State) -> str:
    """Return the text of a state.

    >>> show_state(17), show_state((3, 4))
    ('17', '3.4')
    """
    return ".".join(map(str, state)) if isinstance(state, tuple) else str(state)


class Ledger:
    """The limits of one rule; their numbers here are their places in *limits*."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)
        self._counters = [limit.counter for limit in limits]
        self._are_tuples = [isinstance(counter.charge(None, 0, 1), tuple) for counter in self._counters]

    def record(self, kind: str, now: int, nonce: str, parts: Sequence[Part]) -> bytes:
        """Return the record of a decision or a charge of *parts*."""
        units = " ".join([f"{number}:{cost}" for number, cost in parts])
        return f"{kind}{now} {nonce} {units};".encode()

    def giving(self, now: int, nonce: str, parts: Sequence[tuple[int, int, State]]) -> bytes:
        """Return the record that gives back units, each with the state that its decision gave."""
        texts = [f"{number}:{units}:{self._brief(number, units, taken)}" for number, units, taken in parts]
        return f"g{now} {nonce} {' '.join(texts)};".encode()

    def lives_us(self, now: int) -> int:
        """Return how long a log must be kept from *now* on if nobody is in debt."""
        longest = 0
        for limit, counter in zip(self.limits, self._counters, strict=True):
            if limit.ban is not None:
                longest = max(longest, limit.ban.window_us + 2 * limit.ban.longest_us)
            else:
                full = counter.charge(None, now, limit.rate.burst if limit.rate.algorithm == "gcra" else 1)
                longest = max(longest, counter.ends_at(full) - now)
        return longest

    def ends_at(self, states: dict[int, State]) -> int:
        """Return from when on *states* are as good as none."""
        return max([self._counters[number].ends_at(state) for number, state in states.items()], default=0)

    def replay(
        self, log: bytes, nonce: str = "", *, known: Known = NOTHING, settled: Known = NOTHING
    ) -> Replayed:
        """Return what *log* says, and what became of the decision *nonce*.

        What is *known* of its begin is not replayed, unless the decision is in there.  *settled* is the
        begin that nobody looks for his record in any more: in *shorter* its states stand in its place, what
        is younger stays as it is.
        """
        if not log.startswith(known.log):
            known = NOTHING
        found = Replayed(dict(known.states))
        tail = log[len(known.log) :]
        if settled.log and len(log) > LONG_BYTES and log.startswith(settled.log):
            found.shorter = self._base(settled.states).encode() + log[len(settled.log) :]
        for record in tail.decode("ascii", "replace").split(";")[:-1]:
            try:
                self._play(record, nonce, found)
            except (ValueError, IndexError):
                continue  # none of ours
        if nonce and found.index is None and known.log:
            # Another thread read the log later, and was quicker to say what it saw: with this record in it.
            return self.replay(log, nonce, settled=settled)
        return found

    def _play(self, record: str, nonce: str, found: Replayed) -> None:
        head, *texts = record.split(" ")
        if head == "b":
            found.states = {int(number): self._parse(int(number), text) for number, text in _pairs(texts)}
            return
        kind, now, name = head[0], int(head[1:]), texts[0]
        fields = [text.split(":") for text in texts[1:]]
        if kind == "d":
            parts = [(int(number), int(units)) for number, units in fields]
            index, wait, after = self._decide(found.states, now, parts)
            if name == nonce:
                found.index, found.wait, found.after = index, wait, after
        elif kind == "c":
            for number, units in [(int(number), int(units)) for number, units in fields]:
                state = found.states.get(number)
                found.states[number] = self._counters[number].charge(state, now, int(units))
        elif kind == "g":
            for number, units, taken in [(int(n), int(u), self._parse(int(n), t)) for n, u, t in fields]:
                state = self._counters[number].give_back(found.states.get(number), now, units, taken)
                if state is None:
                    found.states.pop(number, None)
                else:
                    found.states[number] = state

    def _decide(
        self, states: dict[int, State], now: int, parts: Sequence[Part]
    ) -> tuple[int, int, list[State | None]]:
        after: dict[int, State] = {}
        for index, (number, cost) in enumerate(parts):
            before = after.get(number) if number in after else states.get(number)
            wait, state = self._counters[number].decide(before, now, cost)
            if wait:
                return index, wait, [states.get(number) for number, _ in parts]
            if state is not None:
                after[number] = state
        states.update(after)
        return -1, 0, [states.get(number) for number, _ in parts]

    def _base(self, states: dict[int, State]) -> str:
        return "".join(["b", *[f" {number}={show_state(state)}" for number, state in states.items()], ";"])

    def _parse(self, number: int, text: str) -> State:
        numbers = tuple(map(int, text.split(".")))
        return numbers if self._are_tuples[number] else numbers[0]

    def _brief(self, number: int, units: int, taken: State) -> str:
        if self.limits[number].rate.algorithm in ("concurrent", "exact"):
            taken = taken[-units:]  # the very stamps: all that give_back looks at
        return show_state(taken)


def _pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(number, state) for number, _, state in [text.partition("=") for text in texts]]
