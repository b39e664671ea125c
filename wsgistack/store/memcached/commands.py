"""The commands of memcached, with the names, arguments and results of pymemcache.

No method raises because a server is away: a read finds nothing, a write returns False.  What can
never be meant (a key that is not text, a time to live that is not a number, a value that is too
large) raises an error of `wsgistack.errors`, with nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from wsgistack.errors import CounterError
from wsgistack.memos import LONGEST
from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached import requests, statistics
from wsgistack.store.memcached.arguments import check_delta, check_flags, read_token
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.named import find_refused, read_named, store_named
from wsgistack.store.memcached.operations import Operations, Outcome
from wsgistack.store.memcached.replies import Item
from wsgistack.store.memcached.values import MISSING, Coding, Values

__all__ = ["Commands", "Looked"]

MOST_KNOWN = 20_000  # keys whose form on the wire is remembered: about 5 MB
UserKey = str | bytes
K = TypeVar("K", str, bytes)


class Looked(NamedTuple):
    """What `get_ex` found.  *state*: `hit`, `stale`, `miss`, or `down`: nobody could be asked."""

    value: Any
    state: str


class Commands:
    """The commands over *do*; see `wsgistack.store.memcached.ring.MemcacheRing`."""

    def __init__(self, do: Operations, keys: Keys, coding: Coding, *, default_noreply: bool) -> None:
        self._do = do
        self._keys = keys
        self._values = Values(coding, prefix=keys.prefix, do=do)
        self._default_noreply = default_noreply
        self._made: dict[UserKey, WireKey] = {}
        self._is_plain = self._values.plain_below > 0  # bytes mean themselves: there are short ways

    # -- reading --------------------------------------------------------------------

    def get(self, key: UserKey, default: Any = None) -> Any:
        """Return the value of *key*, or *default*."""
        found: Any = None
        if self._is_plain:
            do = self._do
            try:
                if do.near is None:
                    found = do.cluster.lanes.ask(do.cluster, self._made, do.large, key)
                else:
                    found = do.near.recall(self._made, key, monotonic())
            except TypeError:  # not even hashable: what makes keys says so
                self._keys.make(key)
                raise
            if type(found) is bytes:
                return found
        wire = self._wire(key)
        reply = self._do.get(wire[0]) if found is None else self._do.received(wire[0], *found)
        if reply is None or reply[1] is None:
            return default
        return self._values.load(wire, reply[1], reply[2], default)

    def get_ex(self, key: UserKey, default: Any = None) -> Looked:
        """Return the value of *key* with its state."""
        wire = self._wire(key)
        reply = self._do.get(wire.wire)
        if reply is None:
            return Looked(default, "down")
        value = MISSING
        if reply.value is not None:
            value = self._values.load(wire, reply.value, reply.flags, MISSING)
        if value is MISSING:
            return Looked(default, "miss")
        return Looked(value, "stale" if b"X" in reply.marks else "hit")

    def gets(self, key: UserKey, default: Any = None, cas_default: Any = None) -> tuple[Any, Any]:
        """Return the value of *key* and the token for `cas`, or the defaults."""
        return self._read_cas(key, requests.get, default, cas_default)

    def gat(self, key: UserKey, expire: float = 0, default: Any = None) -> Any:
        """Return the value of *key*, which lives *expire* seconds from now on, or *default*."""
        return self._read(key, partial(requests.get, ttl=requests.expiry(expire)), default)

    def gats(
        self, key: UserKey, expire: float = 0, default: Any = None, cas_default: Any = None
    ) -> tuple[Any, Any]:
        """Do what `gat` and `gets` do, in one."""
        make = partial(requests.get, ttl=requests.expiry(expire))
        return self._read_cas(key, make, default, cas_default)

    def get_many(self, keys: Iterable[K], gets: bool = False) -> dict[K, Any]:
        """Return {key: value} of those that are there; one round trip over all nodes.

        *gets*: do what `gets_many` does, as a HashClient of pymemcache.
        """
        if gets:
            return self.gets_many(keys)
        names = keys if type(keys) is list else list(keys)
        try:
            values, odd = read_named(self._do, names, self._made, self._wire, is_plain=self._is_plain)
        except TypeError:  # of a key that is not hashable: _wire says so better
            list(map(self._wire, names))
            raise
        for name, item in odd:
            value = self._values.load(self._wire(name), item.value, item.flags, MISSING)
            if value is not MISSING:
                values[name] = value
        return values

    def gets_many(self, keys: Iterable[K]) -> dict[K, tuple[Any, bytes]]:
        """Return {key: (value, token for `cas`)} of those that are there."""
        names, wires, items = self._read_many(keys, with_cas=True)
        values: dict[K, tuple[Any, bytes]] = {}
        for name, wire in zip(names, wires, strict=True):
            item = items.get(wire.wire)
            if item is not None:
                value = self._values.load(wire, item.value, item.flags, MISSING)
                if value is not MISSING:
                    values[name] = value, b"%d" % item.cas
        return values

    # -- writing --------------------------------------------------------------------

    def set(
        self,
        key: UserKey,
        value: Any,
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Store *value* for *expire* seconds (0: until room is needed); return whether it was stored."""
        return bool(self._store("set", key, value, expire, noreply, flags))

    def add(
        self,
        key: UserKey,
        value: Any,
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Store *value* if nothing is there; return whether it was stored."""
        return bool(self._store("add", key, value, expire, noreply, flags))

    def replace(
        self,
        key: UserKey,
        value: Any,
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Store *value* if something is there; return whether it was stored."""
        return bool(self._store("replace", key, value, expire, noreply, flags))

    def append(
        self,
        key: UserKey,
        value: Any,
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Add *value* behind what is there; return False if nothing is."""
        return bool(self._store("append", key, value, expire, noreply, flags))

    def prepend(
        self,
        key: UserKey,
        value: Any,
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Add *value* before what is there; return False if nothing is."""
        return bool(self._store("prepend", key, value, expire, noreply, flags))

    def cas(
        self,
        key: UserKey,
        value: Any,
        cas: int | str | bytes,
        expire: float = 0,
        noreply: bool = False,
        flags: int | None = None,
    ) -> bool | None:
        """Store *value* if the entry is still the one of the token *cas* of `gets`.

        False: it is another one by now (or its node is away); None: there is none.
        """
        return self._store("set", key, value, expire, noreply, flags, cas=read_token(cas))

    def touch(self, key: UserKey, expire: float = 0, noreply: bool | None = None) -> bool:
        """Let *key* live *expire* seconds from now on; return whether it is there."""
        wire = self._wire(key)
        outcome = self._do.write(
            wire.wire, lambda ttl: requests.touch(wire.wire, ttl), requests.expiry(expire), builds=True
        )
        return self._said(outcome, noreply)

    def delete(self, key: UserKey, noreply: bool | None = None) -> bool:
        """Remove *key*; return whether it was there."""
        wire = self._wire(key)
        outcome = self._do.write(wire.wire, lambda _: requests.delete_many([wire.wire]))
        return self._said(outcome, noreply)

    def incr(self, key: UserKey, value: int, noreply: bool | None = False) -> int | None:
        """Add *value* to a number; return the new one, or None if there is none or its node is away."""
        return self._count(key, check_delta(value), noreply)

    def decr(self, key: UserKey, value: int, noreply: bool | None = False) -> int | None:
        """Take *value* off a number, down to 0; return as `incr` does."""
        return self._count(key, -check_delta(value), noreply)

    def set_many(
        self,
        values: Mapping[K, Any],
        expire: float = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> list[K]:
        """Store all *values*; return the keys that were not stored.  One round trip over all nodes."""
        ttl = requests.expiry(expire)
        if flags is not None:
            check_flags(flags)
        if type(values) is dict:
            below = self._values.plain_below
            done = store_named(self._do, values, self._made, below, flags, ttl)
            if done is not None:
                return [] if self._is_quiet(noreply) else done
        failed: list[K] = []
        names: list[K] = []
        items: list[tuple[bytes, bytes, int]] = []
        for name, value in values.items():
            wire = self._wire(name)
            dumped = self._values.dump(wire, value, ttl, flags)
            if dumped is None:
                failed.append(name)
                self.delete(name)
            else:
                names.append(name)
                items.append((wire.wire, dumped[0], dumped[1]))
        replies = self._do.write_many(
            [item[0] for item in items],
            lambda numbers, ttl: requests.store_many([items[number] for number in numbers], ttl),
            ttl,
        )
        return [] if self._is_quiet(noreply) else failed + find_refused(names, replies)  # type: ignore[arg-type]  # None is no reply

    def delete_many(self, keys: Iterable[UserKey], noreply: bool | None = None) -> bool:
        """Remove *keys*, in one round trip over all nodes; True as in pymemcache."""
        wires = list(dict.fromkeys(self._wire(key).wire for key in keys))
        self._do.write_many(
            wires, lambda numbers, _: requests.delete_many([wires[number] for number in numbers])
        )
        return True

    set_multi = set_many
    get_multi = get_many
    gets_multi = gets_many
    delete_multi = delete_many

    # -- all servers ----------------------------------------------------------------

    def flush_all(self, delay: int = 0, noreply: bool | None = None) -> bool:
        """Remove everything on all nodes, in *delay* seconds; return whether all of them do.

        One that is away is emptied before it is used again.
        """
        refused = self._do.empty(requests.expiry(delay, "delay"))
        return self._is_quiet(noreply) or not refused

    def stats(self, *args: str | bytes) -> dict[str, dict[bytes, Any]]:
        """Return {node: {name: value}}, as pymemcache of one; nodes that are away are left out.

        So are those that do not know what *args* ask for.
        """
        words = statistics.make_words(args)
        calls = self._do.everywhere(lambda: requests.stats(*words))
        told = {node.name: call.answer for node, call in calls.items()}
        return {name: statistics.read_values(one) for name, one in told.items() if isinstance(one, dict)}

    def version(self) -> dict[str, bytes]:
        """Return {node: version}; nodes that are away are left out."""
        calls = self._do.everywhere(lambda: requests.line(b"version"))
        return {
            node.name: call.answer[0].value or b""  # type: ignore[union-attr]  # of a call for lines
            for node, call in calls.items()
            if isinstance(call.answer, list)
        }

    # -- below ----------------------------------------------------------------------

    def _store(
        self,
        mode: str,
        key: UserKey,
        value: Any,
        expire: float,
        noreply: bool | None,
        flags: int | None,
        cas: int | None = None,
    ) -> bool | None:
        wire = self._wire(key)
        ttl = requests.expiry(expire)
        dumped = self._values.dump(wire, value, ttl, flags)
        if dumped is None:
            self.delete(key)
            return self._is_quiet(noreply)
        body, body_flags = dumped
        outcome = self._do.write(
            wire.wire,
            lambda ttl: requests.store(mode, wire.wire, body, body_flags, ttl, cas=cas),
            ttl,
            builds=mode != "set" or cas is not None,
        )
        is_gone = cas is not None and outcome.reply is not None and outcome.reply.code == b"NF"
        return None if is_gone and not self._is_quiet(noreply) else self._said(outcome, noreply)

    def _count(self, key: UserKey, delta: int, noreply: bool | None) -> int | None:
        wire = self._wire(key)
        try:
            outcome = self._do.write(wire.wire, lambda _: requests.arithmetic(wire.wire, delta), builds=True)
        except CounterError:
            if noreply:
                return None
            raise
        reply = outcome.reply
        if noreply or reply is None or reply.value is None or reply.code != b"VA":
            return None
        return int(reply.value)

    def _wire(self, key: UserKey) -> WireKey:
        """Return the key on the wire, which is remembered for keys that are asked for again."""
        try:
            wire = self._made.get(key)
        except TypeError:  # not even hashable: what makes keys says so
            return self._keys.make(key)
        if wire is None:
            wire = self._keys.make(key)
            if len(key) <= LONGEST:
                if len(self._made) >= MOST_KNOWN:
                    self._made.clear()
                self._made[key] = wire
        return wire

    def _read(self, key: UserKey, make: Callable[[bytes], Call], default: Any) -> Any:
        wire = self._wire(key)
        reply = self._do.read(wire.wire, make)
        if reply is None or reply.value is None:
            return default
        return self._values.load(wire, reply.value, reply.flags, default)

    def _read_cas(
        self, key: UserKey, make: Callable[[bytes], Call], default: Any, cas_default: Any
    ) -> tuple[Any, Any]:
        wire = self._wire(key)
        reply = self._do.read(wire.wire, make)
        if reply is None or reply.value is None:
            return default, cas_default
        value = self._values.load(wire, reply.value, reply.flags, MISSING)
        return (default, cas_default) if value is MISSING else (value, b"%d" % reply.cas)

    def _read_many(
        self, keys: Iterable[K], *, with_cas: bool
    ) -> tuple[list[K], list[WireKey], dict[bytes, Item]]:
        names = keys if isinstance(keys, list) else list(keys)
        made = self._made
        try:
            wires = [made.get(name) or self._wire(name) for name in names]
        except TypeError:  # of a key that is not hashable: _wire says so better
            wires = list(map(self._wire, names))
        return names, wires, self._do.read_many([wire[0] for wire in wires], with_cas=with_cas)

    def _said(self, outcome: Outcome, noreply: bool | None) -> bool:
        if self._is_quiet(noreply):
            return True
        return outcome.reply is not None and outcome.reply.code == b"HD"

    def _is_quiet(self, noreply: bool | None) -> bool:
        return self._default_noreply if noreply is None else noreply
