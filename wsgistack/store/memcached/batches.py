"""Many keys at once: which node each belongs to, and what came for which of them.

Only what is known already is sorted here, at the speed that a hundred keys want; the rest is left
to whoever can find a way for it.  `wsgistack.store.memcached.batches_cy` is the compiled twin of
this module; `wire` picks one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached.replies import Answer, Item

__all__ = ["collect", "find_refused", "sort_names", "sort_values"]

K = TypeVar("K", str, bytes)
N = TypeVar("N")


def sort_names(
    names: list[K], made: Mapping[Any, WireKey], known: Mapping[bytes, N]
) -> tuple[dict[N, tuple[list[K], list[bytes]]], list[K]]:
    """Return {node: (names, keys)}, and the names that have no key or whose key has no owner yet.

    A name whose key is a hash of it is among the latter: its value is not read like others.
    """
    groups: dict[N, tuple[list[K], list[bytes]]] = {}
    others: list[K] = []
    for name in names:
        wire = made.get(name)
        node = None if wire is None or wire.full is not None else known.get(wire.wire)
        if wire is None or node is None:
            others.append(name)
            continue
        group = groups.get(node)
        if group is None:
            group = groups[node] = [], []
        group[0].append(name)
        group[1].append(wire.wire)
    return groups, others


def sort_values(
    values: dict[K, Any], made: Mapping[Any, WireKey], known: Mapping[bytes, N], plain_below: int, flags: int
) -> dict[N, tuple[list[K], list[tuple[bytes, bytes, int]]]] | None:
    """Return {node: (names, (key, value, flags) of each)}, or None where one of them is not simple.

    Simple are bytes, of at least one and less than *plain_below*, under names whose owners are known.
    """
    groups: dict[N, tuple[list[K], list[tuple[bytes, bytes, int]]]] = {}
    for name, value in values.items():
        wire = made.get(name)
        if wire is None or wire.full is not None or type(value) is not bytes:
            return None
        node = known.get(wire.wire)
        if node is None or not 0 < len(value) < plain_below:
            return None
        group = groups.get(node)
        if group is None:
            group = groups[node] = [], []
        group[0].append(name)
        group[1].append((wire.wire, value, flags))
    return groups


def collect(
    names: list[K], items: list[bytes | Item | None], values: dict[K, Any], odd: list[tuple[K, Item]]
) -> int:
    """Put what came into *values* where it is bytes alone, else into *odd*; return how many came."""
    hits = 0
    for name, item in zip(names, items, strict=True):
        if item is None:
            continue
        hits += 1
        if isinstance(item, bytes):
            values[name] = item
        else:
            odd.append((name, item))
    return hits


def find_refused(names: list[K], answer: Answer | None) -> list[K]:
    """Return those of *names* that a write did not store, as its *answer* says; all if there is none."""
    if not isinstance(answer, list):
        return list(names)
    return [name for name, reply in zip(names, answer, strict=True) if reply is None or reply[0] != b"HD"]
