"""A `Store` over a ring of memcached servers: bytes under text keys, StoreDown where nobody answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from wsgistack.errors import CounterError, StoreDown, StoreFull, TooLarge
from wsgistack.memos import LONGEST
from wsgistack.store.base import (
    LARGEST_COUNT,
    Addition,
    Change,
    Claim,
    Counted,
    Found,
    Step,
    check_entry,
    check_step,
    check_token,
    check_ttl,
    update_by_cas,
)
from wsgistack.store.codec import EMPTY, ZLIB
from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.cluster import Cluster
from wsgistack.store.memcached.deadlines import Deadline
from wsgistack.store.memcached.named import read_named
from wsgistack.store.memcached.operations import Operations, check
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.values import MISSING, Coding, Values

__all__ = ["MemcachedStore"]

MOST_KNOWN = 20_000  # keys whose form on the wire is remembered: about 5 MB
MOST_INFLATED, LARGEST_INFLATED = 256, 65_536  # values: at most 16 MB


class MemcachedStore:
    """See `wsgistack.store.base.Store`; what is particular:

    Other processes and machines share it.  Pinning is a wish that memcached does not know.  A time
    to live is rounded up to whole seconds.  A node that is away raises StoreDown for its keys,
    unless another stands in for it; after a write that raised it, what the write made of its key is
    removed before the node is used again.  Of `update` and `append_many` it stays: what it made of what
    was there is as good as that.
    """

    shared = True
    pins = False

    def __init__(self, cluster: Cluster, *, keys: Keys, coding: Coding, gutter_ttl: int) -> None:
        self._cluster = cluster
        self._keys = keys
        self._do = Operations(cluster, gutter_ttl=gutter_ttl)
        self._values = Values(coding, prefix=keys.prefix, do=self._do)
        self._made: dict[str, WireKey] = {}
        # By key on the wire: what came, and what it is.  A page that is asked for again and again comes as
        # the same bytes, which are compared in a hundredth of the time that zlib takes for 10 kB.
        self._inflated: dict[bytes, tuple[bytes, bytes]] = {}

    # -- reading ----------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """Return the value, or None.  1 RT, one more for a value above 1 MB."""
        wire = self._wire(key)
        reply = self._answered(self._do.read(wire.wire, requests.get), key)
        return self._load(wire, reply.value, reply.flags)

    def gets(self, key: str) -> Found | None:
        """Return the value with its token, or None."""
        wire = self._wire(key)
        reply = self._answered(self._do.read(wire.wire, requests.get), key)
        value = self._load(wire, reply.value, reply.flags)
        return None if value is None else Found(value, reply.cas)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return {key: value} of those that are there; those of a node that is away are not.  1 RT."""
        names = list(dict.fromkeys(keys))
        found, odd = read_named(
            self._do, names, self._made, self._wire, is_plain=self._values.plain_below > 0
        )
        for name, value in found.items():
            if value[-1:] == b" ":
                found[name] = _without_filling(value)
        for name, item in odd:
            loaded = self._load(self._wire(name), item.value, item.flags)
            if loaded is not None:
                found[name] = loaded
        return found

    # -- writing ----------------------------------------------------------------------

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        """Store *value*, whatever was there.  1 RT, one more for a value above 1 MB."""
        self._store("set", key, value, ttl_s)

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        """Store all *items*.  1 RT."""
        check_ttl(ttl_s)
        for key, value in items.items():
            check_entry(key, value, ttl_s)
        ttl = requests.expiry(ttl_s, "ttl_s")
        stored = [(self._wire(key).wire, *self._dump(key, value, ttl)) for key, value in items.items()]
        replies = self._do.write_many(
            [one[0] for one in stored],
            lambda numbers, ttl: requests.store_many([stored[number] for number in numbers], ttl),
            ttl,
        )
        for key, reply in zip(items, replies, strict=True):
            self._stored(reply, key)

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        """Store *value* if nothing is there; return whether it was stored.  1 RT."""
        return self._store("add", key, value, ttl_s)

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        """Do what `add` does, and return the token.  1 RT, 2 on a server without the meta protocol."""
        answer = self._send("add", key, value, ttl_s, tells=True)
        if not self._stored(answer, key):
            return Claim(False)
        if answer is not None and answer.cas:
            return Claim(True, answer.cas)
        found = self.gets(key)
        return Claim(True, None if found is None else found.token)

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        """Store *value* if the entry is still the one of *token*; return whether it was.  1 RT."""
        check_token(token)
        return self._store("set", key, value, ttl_s, token)

    def touch(self, key: str, ttl_s: float) -> bool:
        """Give an entry *ttl_s* from now on; return whether it is there.  1 RT."""
        check_entry(key, b"", ttl_s)
        wire = self._wire(key).wire
        reply = self._do.write(
            wire, lambda ttl: requests.touch(wire, ttl), requests.expiry(ttl_s, "ttl_s"), builds=True
        ).reply
        return self._answered(reply, key).code == b"HD"

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        """Replace the value by *change* of it, atomically.  2 RT, 2 more for each lost race."""
        return update_by_cas(_Swaps(self.gets, self._store), key, change, pinned=pinned)

    def append_many(self, additions: Sequence[Addition]) -> list[Found]:
        """Append each record and return what its key holds afterwards; see Appending.  1 RT."""
        replies = self._do.append_many(
            [
                requests.Append(
                    self._wire(one.key).wire, one.record, requests.expiry(one.ttl_s, "ttl_s"), one.instead
                )
                for one in additions
            ]
        )
        found = []
        for reply, one in zip(replies, additions, strict=True):
            answer = self._answered(reply, one.key)
            found.append(Found(answer.value or b"", answer.cas))
        return found

    def delete(self, key: str) -> bool:
        """Remove an entry; return whether it was there.  1 RT."""
        return self.delete_many([key]) == 1

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove entries; return how many were there.  1 RT."""
        names = list(dict.fromkeys(keys))
        wires = [self._wire(name).wire for name in names]
        replies = self._do.write_many(
            wires, lambda numbers, _: requests.delete_many([wires[number] for number in numbers])
        )
        answers = [self._answered(reply, key) for reply, key in zip(replies, names, strict=True)]
        return sum(answer.code == b"HD" for answer in answers)

    # -- counting ---------------------------------------------------------------------

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
        """Add *by* and return the new count.  1 RT."""
        return self.incr_many([Step(key, by, ttl_s, first, refresh)])[0].total

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        """Take all *steps* and return what came of them, in order.  1 RT."""
        for step in steps:
            check_step(step.key, step.by, step.ttl_s, step.first)
        wires = [self._wire(step.key).wire for step in steps]
        ttls = [requests.expiry(step.ttl_s, "ttl_s") for step in steps]

        def make(numbers: list[int], limit: int) -> Call:
            return requests.arithmetic_many(
                [
                    requests.Sum(
                        wires[n],
                        steps[n].by,
                        max(steps[n].by, 0) if steps[n].first is None else steps[n].first or 0,
                        min(ttls[n], limit) or limit if limit else ttls[n],
                        steps[n].refresh,
                    )
                    for n in numbers
                ]
            )

        replies = self._do.write_many(wires, make, builds=True)
        return [self._counted(reply, step) for reply, step in zip(replies, steps, strict=True)]

    def _counted(self, reply: Reply | None, step: Step) -> Counted:
        answer = self._answered(reply, step.key)
        check(answer, step.key.encode("utf-8", "surrogatepass"))
        if answer.code != b"VA" or answer.value is None:
            raise StoreDown(f"incr of {step.key!r:.80}: {answer.code.decode()}")
        total = int(answer.value)
        if total > LARGEST_COUNT:
            self._take_back(step)
            raise CounterError(f"{step.key!r:.80} holds {total - step.by}, which is no count below 2**63")
        return Counted(total, answer.cas)

    def _take_back(self, step: Step) -> None:
        """Undo a step beyond what a count may be: memcached counts up to 2**64."""
        wire = self._wire(step.key).wire
        self._do.write(wire, lambda _: requests.arithmetic(wire, -step.by), builds=True)

    # -- all --------------------------------------------------------------------------

    def clear(self) -> None:
        """Remove everything on all nodes, whoever stored it."""
        away = self._do.empty()
        if away:
            raise StoreDown(f"clear: {', '.join(away)} did not answer")

    def stats(self) -> dict[str, int]:
        """Return what the servers hold, and what this object found and missed."""
        calls = self._do.everywhere(requests.stats)
        totals = {"items": 0, "bytes": 0, "evictions": 0}
        for call in calls.values():
            told = call.answer if isinstance(call.answer, dict) else {}
            for name, theirs in (("items", b"curr_items"), ("bytes", b"bytes"), ("evictions", b"evictions")):
                totals[name] += int(told.get(theirs, b"0"))
        nodes = self._cluster.nodes()
        hits = sum(node.counters.hits for node in nodes)
        misses = sum(node.counters.misses for node in nodes)
        return {**totals, "hits": hits, "misses": misses}

    def within(self, seconds: float) -> Deadline:
        """Return a block in which calls end after *seconds*; see Bounded.  In threads connecting has its own limit."""
        return Deadline(seconds)

    def close(self) -> None:
        """Close all connections."""
        self._cluster.close()

    # -- below ------------------------------------------------------------------------

    def _wire(self, key: str) -> WireKey:
        wire = self._made.get(key) if type(key) is str else None
        if wire is None:
            if not isinstance(key, str):
                check_entry(key, b"", 1)
            wire = self._keys.make(key)
            if len(key) <= LONGEST:
                if len(self._made) >= MOST_KNOWN:
                    self._made.clear()
                self._made[key] = wire
        return wire

    def _dump(self, key: str, value: bytes, ttl: int, *, is_set: bool = True) -> tuple[bytes, int]:
        """Return what to store; if it cannot be, and *is_set*, what was there goes too: see `Store.set`."""
        try:
            dumped = self._values.dump(self._keys.make(key), value, ttl)
        except TooLarge:
            if is_set:
                with suppress(StoreDown):  # then it is removed before its node is used again
                    self.delete(key)
            raise
        if dumped is None:
            self.delete(key)
            raise StoreDown(f"{key!r:.80}: the chunks of its value could not be stored")
        if value[-1:] == b" " and dumped[1] == 0 and value.rstrip(b" ").isdigit():
            return value, EMPTY  # bytes as well; see _load
        return dumped

    def _load(self, key: WireKey, body: bytes | None, flags: int) -> bytes | None:
        if body is None:
            return None
        if flags == ZLIB:
            kept = self._inflated.get(key.wire)
            if kept is not None and kept[0] == body:
                return kept[1]
        value = self._values.load(key, body, flags, MISSING)
        if not isinstance(value, bytes):
            return None  # another client's, or half of it
        if flags == ZLIB and len(value) <= LARGEST_INFLATED:
            if len(self._inflated) >= MOST_INFLATED:
                self._inflated.clear()
            self._inflated[key.wire] = body, value
        return value if flags else _without_filling(value)

    def _store(
        self,
        mode: str,
        key: str,
        value: bytes,
        ttl_s: float,
        cas: int | None = None,
        *,
        is_swap: bool = False,
    ) -> bool:
        return self._stored(self._send(mode, key, value, ttl_s, cas, is_swap=is_swap), key)

    def _send(
        self,
        mode: str,
        key: str,
        value: bytes,
        ttl_s: float,
        cas: int | None = None,
        *,
        is_swap: bool = False,
        tells: bool = False,
    ) -> Reply | None:
        check_entry(key, value, ttl_s)
        ttl = requests.expiry(ttl_s, "ttl_s")
        wire = self._keys.make(key).wire
        body, flags = self._dump(key, value, ttl, is_set=mode == "set" and cas is None)
        make: Callable[[int], Call] = lambda ttl: requests.store(
            mode, wire, body, flags, ttl, cas=cas, is_swap=is_swap, tells=tells
        )
        return self._do.write(wire, make, ttl, builds=mode != "set" or cas is not None).reply

    def _stored(self, reply: Reply | None, key: str) -> bool:
        answer = self._answered(reply, key)
        check(answer, key.encode("utf-8", "surrogatepass"))
        if answer.code == b"SERVER_ERROR":
            raise StoreFull(f"{key!r:.80}: {(answer.value or b'').decode('latin-1')}")
        return answer.code == b"HD"

    def _answered(self, reply: Reply | None, key: str) -> Reply:
        if reply is None:
            raise StoreDown(f"{key!r:.80}: no node answered")
        return reply


class _Swaps:
    """How `update` changes an entry: so that an answer which does not come leaves either of both values."""

    def __init__(self, gets: Callable[[str], Found | None], store: Callable[..., bool]) -> None:
        self.gets = gets
        self._store = store

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        return self._store("add", key, value, ttl_s, is_swap=True)

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        return self._store("set", key, value, ttl_s, token, is_swap=True)


def _without_filling(value: bytes) -> bytes:
    """Return *value* without the spaces by which memcached fills a count that became shorter."""
    count = value.rstrip(b" ")
    return count if count.isdigit() else value
