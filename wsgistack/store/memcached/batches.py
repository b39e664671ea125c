"""Many keys at once: which node each belongs to, what to ask it, and what came for which of them.

Only what is known already is read and stored here, at the speed that a hundred keys want; the rest
is left to whoever can find a way for it.  `wsgistack.store.memcached.batches_cy` is the compiled
twin of this module; `named` picks one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from wsgistack.store.codec import NUMBER, TEXT
from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.replies import Answer, Item

if TYPE_CHECKING:
    from wsgistack.store.memcached.cluster import Cluster
    from wsgistack.store.memcached.nodes import Node
    from wsgistack.store.memcached.operations import Operations

__all__ = ["collect", "find_refused", "read_known", "sort_names", "store_known"]

MOST_DIGITS = 18  # of a number that is read here
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


def read_known(
    cluster: Cluster, names: list[K], made: dict[Any, WireKey]
) -> tuple[dict[K, Any], list[tuple[K, Item]]] | None:
    """Return {name: value}, and (name, item) where the value is more than bytes, text or a number.

    One round trip over all nodes.  None, with nothing asked: the owner of one of the keys is not
    known yet or is away, or a key is a hash of its name.
    """
    groups, others = sort_names(names, made, cluster.snapshot.known)
    if others or not all(node.may_read for node in groups):
        return None
    values: dict[K, Any] = {}
    odd: list[tuple[K, Item]] = []
    pairs = [(node, requests.get_bare(keys)) for node, (_, keys) in groups.items()]
    if pairs:
        cluster.run(pairs)
    for (node, call), (asked, _) in zip(pairs, groups.values(), strict=True):
        if type(call.answer) is list:
            more: list[tuple[K, Item]] = []
            hits = collect(asked, call.answer, values, more)  # type: ignore[arg-type]  # of values
            for name, item in more:
                value = _read_text(item)
                if value is None:
                    odd.append((name, item))
                else:
                    values[name] = value
            node.counters.hits += hits
            node.counters.misses += call.count - hits
    return values, odd


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


def _read_text(item: Item) -> str | int | None:
    """Return the text or the number that *item* is; None where whoever knows all values has to look."""
    body, flags, _ = item
    if flags == TEXT:
        try:
            return body.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None
    digits = body.removeprefix(b"-")
    return int(body) if flags == NUMBER and len(digits) <= MOST_DIGITS and digits.isdigit() else None


def store_known(
    do: Operations,
    values: dict[K, Any],
    made: dict[Any, WireKey],
    plain_below: int,
    flags: int | None,
    ttl: int,
) -> list[K] | None:
    """Store *values* and return the names of those that were not stored; one round trip over all nodes.

    None, with nothing done: one of them is not bytes, text or a number that takes less than
    *plain_below* bytes, or not under a name whose owner is known and there.  *flags*: None for
    those that the codec gives.
    """
    cluster = do.cluster
    groups = _sort_values(values, made, cluster.snapshot.known, plain_below, flags)
    if groups is None or cluster.policy == "replicate" or not all(node.may_read for node in groups):
        return None
    pairs = [(node, requests.store_many(items, ttl)) for node, (_, items) in groups.items()]
    if pairs:
        do.run_clearly(pairs)
    failed: list[K] = []
    for (node, call), (names, _) in zip(pairs, groups.values(), strict=True):
        if call.answer is not None:
            node.counters.writes += len(names)
        failed += find_refused(names, call.answer)
    return failed


def _sort_values(
    values: dict[K, Any],
    made: Mapping[Any, WireKey],
    known: Mapping[bytes, Node],
    plain_below: int,
    flags: int | None,
) -> dict[Node, tuple[list[K], list[tuple[bytes, bytes, int]]]] | None:
    """Return {node: (names, (key, body, flags) of each)}, or None where one of them is not simple."""
    groups: dict[Node, tuple[list[K], list[tuple[bytes, bytes, int]]]] = {}
    for name, value in values.items():
        wire = made.get(name)
        node = None if wire is None or wire.full is not None else known.get(wire.wire)
        found = _find_body(value)
        if wire is None or node is None or found is None or len(found[0]) >= plain_below:
            return None
        group = groups.get(node)
        if group is None:
            group = groups[node] = [], []
        group[0].append(name)
        group[1].append((wire.wire, found[0], found[1] if flags is None else flags))
    return groups


def _find_body(value: Any) -> tuple[bytes, int] | None:
    """Return what `Codec.encode` says of bytes, text and numbers, None of anything else."""
    kind = type(value)
    if kind is bytes:
        return (value, 0) if value else None
    if kind is str:
        return value.encode("utf-8", "surrogatepass"), TEXT
    if kind is int and -(2**63) <= value < 2**63:
        return b"%d" % value, NUMBER
    return None


def find_refused(names: list[K], answer: Answer | None) -> list[K]:
    """Return those of *names* that a write did not store, as its *answer* says; all if there is none."""
    if not isinstance(answer, list):
        return list(names)
    return [name for name, reply in zip(names, answer, strict=True) if reply is None or reply[0] != b"HD"]
