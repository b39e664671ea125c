"""Whether what several saw can be put into one order: linearizability.

Herlihy and Wing (1990).  The search is Wing and Gong's (1993) with Lowe's memory of what was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

__all__ = ["find_order"]


class Timed(Protocol):
    """An operation as somebody saw it: when it was asked and answered."""

    @property
    def began(self) -> int: ...

    @property
    def ended(self) -> int: ...


Op = TypeVar("Op", bound=Timed)
State = TypeVar("State", bound=Hashable)


def find_order(
    history: Sequence[Op], begin: State, outcomes: Callable[[Op, State], Iterable[State]]
) -> list[Op] | None:
    """Return the operations in an order that explains what was seen, None if there is none.

    An operation that was answered before another was asked stands before it.  *outcomes* gives what
    may be there after an operation; nothing if it cannot have been answered so.
    """
    ops = sorted(history, key=lambda op: (op.began, op.ended))
    tried: set[tuple[frozenset[int], State]] = set()
    order: list[int] = []

    def search(rest: frozenset[int], state: State) -> bool:
        if not rest:
            return True
        if (rest, state) in tried:
            return False
        first_end = min(ops[number].ended for number in rest)
        for number in sorted(rest):
            if ops[number].began > first_end:
                break
            for after in outcomes(ops[number], state):
                order.append(number)
                if search(rest - {number}, after):
                    return True
                order.pop()
        tried.add((rest, state))
        return False

    return [ops[number] for number in order] if search(frozenset(range(len(ops))), begin) else None
