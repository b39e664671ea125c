"""Servers without the meta protocol, served through pymemcache with the same answers.

What the classic commands cannot say is left out: nobody wins a lease (mark W), so that `fetch`
falls back to its own means, and what is invalidated is removed at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

from wsgistack.errors import ConfigurationError
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.replies import Answer, Item, Reply

__all__ = ["VERBS", "Classic"]

STORED = {True: b"HD", False: b"NS", None: b"NF"}


class Classic:
    """The connections to one such server, each used by one call at a time."""

    def __init__(
        self, address: Address, sockets: ModuleType, *, timeout_s: float, connect_timeout_s: float
    ) -> None:
        try:
            from pymemcache.client.base import Client
        except ImportError:
            words = "speaks no meta protocol and is served through pymemcache: pip install pymemcache"
            raise ConfigurationError(f"{address.name} {words}") from None
        place = address.path or (address.host, address.port)
        self._make: Callable[[], Any] = lambda: Client(
            place,
            connect_timeout=connect_timeout_s,
            timeout=timeout_s,
            no_delay=True,
            socket_module=sockets,
            default_noreply=False,
            serde=_Raw(),
        )
        self._resting: deque[Any] = deque()

    def run(self, call: Call) -> None:
        """Make one call; it is over afterwards.

        pymemcache itself keeps a connection that an exception of another kind than Exception left
        in the middle of an answer; here such a connection is closed.
        """
        from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

        client = self._resting.pop() if self._resting else self._make()
        try:
            answer = VERBS[call.verb](client, call)
        except (MemcacheClientError, MemcacheServerError) as refusal:
            client.close()
            code = b"CLIENT_ERROR" if isinstance(refusal, MemcacheClientError) else b"SERVER_ERROR"
            words = refusal.args[0] if refusal.args else b""
            call.finish([Reply(code, words if isinstance(words, bytes) else b"")] * call.count, None)
        except (OSError, ValueError, KeyError) as trouble:
            client.close()
            call.finish(None, "timeout" if isinstance(trouble, TimeoutError) else "lost")
        except BaseException:
            client.close()
            raise
        else:
            self._resting.append(client)
            call.finish(answer, None)

    def close(self) -> None:
        """Close what rests."""
        while self._resting:
            self._resting.pop().close()


class _Raw:
    """What pymemcache calls a serde: flags beside the bytes."""

    def serialize(self, key: bytes, value: tuple[bytes, int]) -> tuple[bytes, int]:
        return value

    def deserialize(self, key: bytes, value: bytes, flags: int) -> tuple[bytes, int]:
        return value, flags


def _get(client: Any, call: Call) -> Answer:
    (ttl,) = call.words
    if ttl is not None:
        client.touch(call.keys[0], ttl)
    return [_value(*client.gets(call.keys[0]))]


def _value(found: tuple[bytes, int] | None, cas: bytes | None) -> Reply:
    if found is None:
        return Reply(b"EN")
    return Reply(b"VA", found[0], found[1], int(cas or 0))


def _get_many(client: Any, call: Call) -> Answer:
    found = client.gets_many(call.keys)
    items: list[Item | None] = []
    for key in call.keys:
        (value, flags), cas = found.get(key, ((None, 0), b"0"))
        items.append(None if value is None else Item(value, flags, int(cas)))
    return items


def _store(client: Any, call: Call) -> Answer:
    mode, value, flags, ttl, cas = call.words
    if cas is None:
        done = getattr(client, mode)(call.keys[0], (value, flags), ttl)
        return [Reply(STORED[done])]
    done = client.cas(call.keys[0], (value, flags), cas, ttl)
    return [Reply(b"EX" if done is False else STORED[done])]


def _store_many(client: Any, call: Call) -> Answer:
    items, ttl = call.words
    failed = set(client.set_many({key: (value, flags) for key, value, flags in items}, ttl))
    return [Reply(b"NS" if key in failed else b"HD") for key in call.keys]


def _delete(client: Any, call: Call) -> Answer:
    return [Reply(b"HD" if client.delete(key) else b"NF") for key in call.keys]


def _touch(client: Any, call: Call) -> Answer:
    return [Reply(b"HD" if client.touch(call.keys[0], call.words[0]) else b"EN")]


def _arithmetic(client: Any, call: Call) -> Answer:
    delta, first, ttl, refresh = call.words
    return [_step(client, call.keys[0], delta, first, ttl, refresh)]


def _arithmetic_many(client: Any, call: Call) -> Answer:
    return [_step(client, *one) for one in call.words[0]]


def _step(client: Any, key: bytes, delta: int, first: int | None, ttl: int, refresh: bool) -> Reply:
    count = client.incr if delta >= 0 else client.decr
    now = count(key, abs(delta))
    if now is None and first is not None:
        now = first if client.add(key, (b"%d" % first, 0), ttl) else count(key, abs(delta))
    elif now is not None and refresh:
        client.touch(key, ttl)
    return Reply(b"NF") if now is None else Reply(b"VA", b"%d" % now)


def _count_many(client: Any, call: Call) -> Answer:
    by, first, ttl = call.words
    replies = []
    for key in call.keys:
        now = client.incr(key, by)
        if now is None:
            now = first if client.add(key, (b"%d" % first, 0), ttl) else client.incr(key, by)
        replies.append(Reply(b"NF") if now is None else Reply(b"VA", b"%d" % now))
    return replies


def _append_many(client: Any, call: Call) -> Answer:
    replies = []
    for key, record, ttl, instead in call.words[0]:
        if instead is not None:
            done = client.cas(key, (instead[1], 0), instead[0], ttl)
            replies.append(Reply(b"EX" if done is False else STORED[done]))
        replies.append(Reply(STORED[client.add(key, (b"", 0), ttl)]))
        replies.append(Reply(STORED[client.append(key, (record, 0))]))
        client.touch(key, ttl)
        replies.append(_value(*client.gets(key)))
    return replies


def _line(client: Any, call: Call) -> Answer:
    code, _, words = client.raw_command(call.words[0]).partition(b" ")
    return [Reply(code, words)]


def _stats(client: Any, call: Call) -> Answer:
    told: dict[bytes, bytes] = client.stats(
        *call.words
    )  # numbers already, where `statistics` would make some
    return told


VERBS: dict[str, Callable[[Any, Call], Answer]] = {
    "append_many": _append_many,
    "get": _get,
    "lease": lambda client, call: [_value(*client.gets(call.keys[0]))],
    "get_many": _get_many,
    "store": _store,
    "swap": _store,
    "store_many": _store_many,
    "delete_many": _delete,
    "invalidate": _delete,
    "touch": _touch,
    "count_many": _count_many,
    "release": lambda client, call: [Reply(b"NF")],
    "arithmetic": _arithmetic,
    "arithmetic_many": _arithmetic_many,
    "line": _line,
    "flush": _line,
    "stats": _stats,
}
