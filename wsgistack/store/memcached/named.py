"""Many values by the names that callers use: sorted by node, made as calls, sorted out again.

This is `Operations.read_many` and `write_many` for what is simple and known already, at a tenth of
their cost; see `batches`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.near import Near, Promise
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.replies import Item, Reply
from wsgistack.store.memcached.wire import collect, find_refused, sort_names, sort_values

__all__ = ["read_named", "store_named"]

K = TypeVar("K", str, bytes)


def read_named(
    do: Operations, names: list[K], made: dict[K, WireKey], make: Callable[[K], WireKey], *, is_plain: bool
) -> tuple[dict[K, Any], list[tuple[K, Item]]]:
    """Return {name: bytes} of those that are there, and (name, item) of what is more than bytes.

    *made*: keys by their names, to which *make* adds.  *is_plain*: bytes without flags mean
    themselves.  One round trip over all nodes.
    """
    values: dict[K, Any] = {}
    odd: list[tuple[K, Item]] = []
    promises: dict[bytes, Promise] = {}
    now = 0.0
    near, cluster = do.near, do.cluster
    if near is not None:
        now = time.monotonic()
        names = _find_near(near, names, make, now, odd, promises)
    groups, others = sort_names(names, made, cluster.snapshot.known)
    for node in [node for node in groups if not node.may_read]:
        others += groups.pop(node)[0]
    hashed = []
    for name in others:
        wire = make(name)
        reader = cluster.find_reader(wire.wire)
        if reader is not None:
            group = groups.setdefault(reader, ([], []))
            group[0].append(name)
            group[1].append(wire.wire)
        if wire.full is not None:
            hashed.append(name)
    if not groups:
        return values, odd
    make_call = requests.get_bare if is_plain else requests.get_many
    pairs = [(node, make_call(keys)) for node, (_, keys) in groups.items()]
    cluster.run(pairs)
    for (node, call), (asked, _) in zip(pairs, groups.values(), strict=True):
        if type(call.answer) is list:
            hits = collect(asked, call.answer, values, odd)  # type: ignore[arg-type]  # of values
            node.counters.hits += hits
            node.counters.misses += call.count - hits
            if near is not None and promises:
                _keep_near(near, call, promises, now)
    odd += [(name, Item(values.pop(name), 0, 0)) for name in dict.fromkeys(hashed) if name in values]
    return values, odd


def _find_near(
    near: Near,
    names: list[K],
    make: Callable[[K], WireKey],
    now: float,
    found: list[tuple[K, Item]],
    promises: dict[bytes, Promise],
) -> list[K]:
    """Put what is kept of *names* into *found*; return those to ask for, with *promises* for some keys."""
    left = []
    for name in names:
        key = make(name).wire
        reply = near.find(key, now)
        if reply is not None:
            found.append((name, Item(reply.value or b"", reply.flags, reply.cas)))
            continue
        left.append(name)
        promise = near.promise(key, now)
        if promise is not None:
            promises[key] = promise
    return left


def _keep_near(near: Near, call: Call, promises: dict[bytes, Promise], now: float) -> None:
    """Keep what was promised of the values of *call*; how long they have to live is not known."""
    for key, item in zip(call.keys, call.answer or (), strict=True):
        if item is None or key not in promises:
            continue
        kept = Reply(b"VA", item) if type(item) is bytes else Reply(b"VA", item.value, item.flags)  # type: ignore[union-attr]  # of a call for values
        near.keep(key, promises[key], kept, now)


def store_named(
    do: Operations, values: dict[K, Any], made: dict[K, WireKey], plain_below: int, flags: int, ttl: int
) -> list[K] | None:
    """Store *values* and return the names of those that were not stored; one round trip over all nodes.

    None, with nothing done: one of them is more than bytes, or goes to a node that is away.
    """
    cluster = do.cluster
    groups = sort_values(values, made, cluster.snapshot.known, plain_below, flags)
    if groups is None or cluster.policy == "replicate" or not all(node.may_read for node in groups):
        return None
    pairs = [(node, requests.store_many(items, ttl)) for node, (_, items) in groups.items()]
    try:
        do.run_clearly(pairs)
    finally:
        if do.near is not None:
            for _, call in pairs:
                do.near.forget(call.keys)
    failed: list[K] = []
    for (node, call), (names, _) in zip(pairs, groups.values(), strict=True):
        if call.answer is not None:
            node.counters.writes += len(names)
        failed += find_refused(names, call.answer)
    return failed
