"""Many values by the names that callers use: sorted by node, made as calls, sorted out again.

This is `Operations.read_many` and `write_many` for what is simple, at a tenth of their cost where all
is known already; see `batches`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.cluster import Target
from wsgistack.store.memcached.near import Near, Promise
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.replies import Item, Reply

try:
    from wsgistack.store.memcached.batches_cy import (
        collect,
        find_refused,
        read_known,
        sort_names,
        store_known,
    )
except ImportError:  # there was no C compiler: the same, at several times the cost
    from wsgistack.store.memcached.batches import collect, find_refused, read_known, sort_names, store_known

__all__ = ["find_refused", "read_named", "store_named"]

K = TypeVar("K", str, bytes)


def read_named(
    do: Operations, names: list[K], made: dict[K, WireKey], make: Callable[[K], WireKey], *, is_plain: bool
) -> tuple[dict[K, Any], list[tuple[K, Item]]]:
    """Return {name: value} of those that are there, and (name, item) of what the codec has to read.

    *made*: keys by their names, to which *make* adds.  *is_plain*: the codec stores bytes, text and
    numbers as they are.  One round trip over all nodes.
    """
    if is_plain and do.near is None:
        found = read_known(do.cluster, names, made)
        if found is not None:
            return found
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
    do: Operations,
    values: dict[K, Any],
    made: dict[K, WireKey],
    plain_below: int,
    flags: int | None,
    ttl: int,
) -> list[K] | None:
    """Do what `batches.store_known` does, and forget what this process keeps of the keys."""
    near, cluster = do.near, do.cluster
    snapshot = cluster.snapshot
    try:
        failed = store_known(do, values, made, plain_below, flags, ttl)
    finally:
        if near is not None:
            near.forget([made[name].wire for name in values if name in made])
    if failed is not None and cluster.snapshot is not snapshot:
        for key in [made[name].wire for name in values if name in made]:
            if key in snapshot.known:
                cluster.check_late(snapshot, key, Target(snapshot.known[key], False))
    return failed
