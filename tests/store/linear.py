"""Whether what several saw of one entry, which they count in and swap, can be put into one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from tests import linear

__all__ = ["Seen", "find_order"]


class Seen(NamedTuple):
    """One operation as somebody saw it: when it was asked and answered, and what came of it.

    verb  given          token                  got
    incr  what to add    of what it became      what it became
    gets  0              of what is there       what is there, None: nothing
    cas   what to store  that it was asked with 1 if it was stored, else 0
    """

    began: int
    ended: int
    verb: str
    given: int
    token: int
    got: int | None


class _State(NamedTuple):
    """What is there and its token (None: nobody saw it yet), and the tokens that were seen."""

    value: int | None
    token: int | None
    used: frozenset[int]


def find_order(history: Sequence[Seen], *, tokens_may_lag: bool = False) -> list[Seen] | None:
    """Return the operations in an order that explains what was seen, None if there is none.

    An operation that was answered before another was asked stands before it.  The entry begins
    absent.  *tokens_may_lag*: `gets` may give a new value with the token before it, which swaps
    nothing.
    """
    nothing = _State(None, None, frozenset())
    return linear.find_order(history, nothing, partial(_outcomes, tokens_may_lag=tokens_may_lag))


def _outcomes(op: Seen, state: _State, *, tokens_may_lag: bool) -> Iterator[_State]:
    """Yield what may be there after *op*; nothing if it cannot have been answered so."""
    value, token, used = state
    match op.verb:
        case "incr":
            if op.got == max((value or 0) + op.given, 0) and op.token not in used:
                yield _State(op.got, op.token, used | {op.token})
        case "gets":
            if op.got != value:
                return
            if value is None or op.token == token:
                yield state
                return
            if token is None and op.token not in used:
                yield _State(value, op.token, used | {op.token})
            if tokens_may_lag:
                yield state
        case "cas":
            if bool(op.got) != (token == op.token):
                return
            yield _State(op.given, None, used) if op.got else state
