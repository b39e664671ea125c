"""The arguments that pymemcache's HashClient has, for a MemcacheRing that stands where one was; pure.

    mapped       key_prefix, serializer, deserializer, encoding
    no effect    connections are shared, kept, probed and brought back by the ring itself: see NO_EFFECT
    refused      what would be silently different: see REFUSED

`servers`, `serde`, `timeout`, `connect_timeout` and `default_noreply` are the ring's own.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypedDict

from wsgistack.errors import ArgumentError, UnknownName
from wsgistack.registry import find_nearest
from wsgistack.store.codec import Codec
from wsgistack.store.memcached.values import Coding, Serde

__all__ = ["HashClientArguments", "find_server", "read_arguments"]


class HashClientArguments(TypedDict, total=False):
    """Those that are not the ring's own; docs/memcached.md says what each comes to."""

    key_prefix: str | bytes
    serializer: Callable[[Any, Any], tuple[Any, int]] | None
    deserializer: Callable[[Any, Any, int], Any] | None
    encoding: str
    no_delay: bool
    use_pooling: bool
    max_pool_size: int | None
    pool_idle_timeout: float
    lock_generator: Callable[[], Any] | None
    retry_attempts: int
    retry_timeout: float
    dead_timeout: float
    allow_unicode_keys: bool
    socket_keepalive: Any
    ignore_exc: bool
    hasher: Any
    tls_context: Any
    socket_module: Any


MAPPED = frozenset(["key_prefix", "serializer", "deserializer", "encoding"])
NO_EFFECT = frozenset(
    [
        *("no_delay", "use_pooling", "max_pool_size", "pool_idle_timeout", "lock_generator"),
        *("retry_attempts", "retry_timeout", "dead_timeout", "allow_unicode_keys", "socket_keepalive"),
    ]
)


class _Refusal(NamedTuple):
    """*fits*: whether a value asks for what the ring does anyway; *instead*: what to do if it does not."""

    fits: Callable[[Any], bool]
    instead: str


REFUSED = {
    "ignore_exc": _Refusal(
        bool, "no call raises because a server is away; leave it out, and ask get_ex() for the state"
    ),
    "hasher": _Refusal(
        lambda value: value is None, "ring= tells which node owns a key: 'ketama', 'libmemcached', 'nginx', …"
    ),
    "tls_context": _Refusal(
        lambda value: value is None, "servers are spoken to without TLS; put a proxy such as stunnel between"
    ),
    "socket_module": _Refusal(
        lambda value: getattr(value, "__name__", "") in ("socket", "gevent.socket"),
        "sockets are gevent's where gevent runs, and those of the standard library elsewhere; leave it out",
    ),
}


def read_arguments(
    theirs: HashClientArguments,
    *,
    ours: Iterable[str] = (),
    prefix: str | bytes,
    codec: Codec | None,
    serde: Any,
) -> tuple[str | bytes, Coding]:
    """Return the prefix of all keys and the coding of values, by a HashClient's arguments and the ring's own.

    Raises ArgumentError for what the ring does not do, with what to use instead; UnknownName, with the
    nearest of *ours* too.
    """
    known = [*MAPPED, *NO_EFFECT, *REFUSED]
    for name, value in theirs.items():
        if name not in known:
            text = f"{name}: neither a MemcacheRing nor a HashClient has such an argument"
            raise UnknownName(text, met=name, nearest=find_nearest(name, [*known, *ours]))
        refusal = REFUSED.get(name)
        if refusal is not None and not refusal.fits(value):
            raise ArgumentError(f"{name}: {value!r:.80} is not what a MemcacheRing does: {refusal.instead}")
    return _read_prefix(theirs.get("key_prefix", b""), prefix), _read_coding(theirs, codec, serde)


def find_server(server: Any, port: int | None) -> Any:
    """Return the server that `add_server(server, port)` names, as one thing."""
    if port is not None and not isinstance(server, str):
        raise ArgumentError(f"server: {server!r:.80} is not a host, which it has to be beside a port")
    return server if port is None else (server, port)


def _read_prefix(theirs: Any, ours: str | bytes) -> str | bytes:
    if theirs and ours:
        raise ArgumentError(
            f"key_prefix: {theirs!r:.80} beside prefix {ours!r:.80}; they are the same, give one"
        )
    if not isinstance(theirs, str | bytes):
        raise ArgumentError(f"key_prefix: {theirs!r:.80} is neither str nor bytes")
    return theirs or ours


def _read_coding(theirs: HashClientArguments, codec: Codec | None, serde: Any) -> Coding:
    serialize, deserialize = theirs.get("serializer"), theirs.get("deserializer")
    if serialize is not None or deserialize is not None:
        if serde is not None:
            raise ArgumentError("serializer, deserializer: there is a serde too; give one of them")
        serde = _Functions(serialize, deserialize)
    encoding = _find_encoding(theirs.get("encoding", "ascii"))
    if serde is not None:
        if codec is not None:
            raise ArgumentError("codec: values have a serde already; give one of them")
        return Serde(serde, encoding=encoding)
    if encoding not in ("ascii", "utf-8"):
        raise ArgumentError(f"encoding: {encoding!r} needs a serde; the codec keeps text as UTF-8")
    return codec or Codec()


def _find_encoding(name: Any) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, TypeError):
        raise ArgumentError(f"encoding: {name!r:.80} is not the name of one, such as 'ascii'") from None


class _Functions:
    """The serde that two functions are; pymemcache's `LegacyWrappingSerde`: without one values stay as they are."""

    def __init__(self, serialize: Any, deserialize: Any) -> None:
        for name, function in (("serializer", serialize), ("deserializer", deserialize)):
            if function is not None and not callable(function):
                raise ArgumentError(f"{name}: {function!r:.80} cannot be called")
        self.serialize: Callable[[Any, Any], tuple[Any, int]] = serialize or (lambda key, value: (value, 0))
        self.deserialize: Callable[[Any, Any, int], Any] = deserialize or (lambda key, value, flags: value)
