"""Who is asking: the keys under which a limit counts.

A key function takes an Asker and returns the keys, all of which a request must have room under.
It never returns none: a request without an API key counts for its address, so that leaving
something out is no way around a limit.  Keys are short bytes; credentials are hashed and never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from hashlib import blake2b
from ipaddress import IPv4Address
from typing import Any

from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import (
    LONGEST_HOP,
    Address,
    find_client,
    hops_of_forwarded,
    hops_of_x_forwarded_for,
    parse_hop,
)
from wsgistack.http.request import RequestView
from wsgistack.memos import Memo
from wsgistack.ratelimit.networks import Networks, parse_peers
from wsgistack.registry import find_hint

__all__ = [
    "EVERYBODY",
    "Asker",
    "Key",
    "Trust",
    "client_ip",
    "client_network",
    "environ_key",
    "everybody",
    "first_of",
    "hash_credential",
    "header_key",
]

KEY_BYTES = 16  # of a hash: 2**64 keys before two are alike by chance
LONGEST_REMEMBERED = 256  # characters of a credential whose hash is remembered
EVERYBODY = b"*"
NOBODY = b"-"  # clients whose address is unknown share one bucket

Key = Callable[["Asker"], tuple[bytes, ...]]


HOPS = {
    "x-forwarded-for": hops_of_x_forwarded_for,
    "forwarded": hops_of_forwarded,
}


class Trust:
    """Whose word about the client is taken, and how addresses become keys.

    *trusted*: networks of our own proxies, and `unix` for peers on a Unix socket.  *forwarded*: the
    one field that they set, `x-forwarded-for` or `forwarded`; the other is never looked at.
    *ipv6_prefix*, *ipv4_prefix*: how many leading bits of an address are one client; whoever has an
    IPv6 address usually has 2**64 of them.
    """

    _unix: bool
    _networks: Networks
    _field: str

    def __init__(
        self,
        *,
        trusted: Iterable[str] = (),
        forwarded: str = "x-forwarded-for",
        ipv6_prefix: int = 64,
        ipv4_prefix: int = 32,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(parse_peers, trusted, setting="trusted"),
            partial(_check_field, forwarded),
            *_prefix_checks(ipv4_prefix, ipv6_prefix),
        )
        (self._unix, self._networks), self._field, *_ = gather(steps)
        self._hops = HOPS[self._field]
        self.believes = self._unix or bool(self._networks)  # somebody's word about who asks
        self._pack = lru_cache(maxsize=8192)(lambda address: _pack(address, ipv4_prefix, ipv6_prefix))
        # The key of a peer's network, where no proxy has a say.
        self.key_of_peer: Callable[[str], bytes] = Memo[str, bytes](
            lambda peer: self._pack(parse_hop(peer)), 8192, longest=LONGEST_HOP
        )

    def is_trusted(self, address: Address | None) -> bool:
        """Tell whether the hop at *address* is one of ours; None stands for a Unix socket."""
        return self._unix if address is None else address in self._networks

    def address(self, request: RequestView) -> Address | None:
        """Return the client's address, None if nobody knows it."""
        told = request.field(self._field) if self.believes else None
        hops = self._hops(told) if told else ()
        return find_client(request.peer, hops, self.is_trusted)

    def key(self, request: RequestView) -> bytes:
        """Return the key of the client's network; quick when no proxy has a say."""
        if self.believes:
            return self._pack(self.address(request))
        return self.key_of_peer(request.peer)


def _check_field(forwarded: str) -> str:
    name = str(forwarded).lower()
    if name not in HOPS:
        hint = find_hint(name, HOPS)
        raise SettingError(f"forwarded: {forwarded!r} is not one of {', '.join(HOPS)}{hint}")
    return name


def _prefix_checks(ipv4_prefix: int, ipv6_prefix: int) -> Iterable[Callable[[], None]]:
    yield partial(_check_prefix, "ipv6_prefix", ipv6_prefix, 128)
    yield partial(_check_prefix, "ipv4_prefix", ipv4_prefix, 32)


def _check_prefix(name: str, prefix: int, most: int) -> None:
    if isinstance(prefix, bool) or not isinstance(prefix, int) or not 1 <= prefix <= most:
        raise SettingError(f"{name}: {prefix!r} is not a number from 1 to {most}")


def _pack(address: Address | None, ipv4_prefix: int, ipv6_prefix: int) -> bytes:
    if address is None:
        return NOBODY
    prefix = ipv4_prefix if isinstance(address, IPv4Address) else ipv6_prefix
    bits = address.max_prefixlen
    network = int(address) >> (bits - prefix) << (bits - prefix)
    # 4 bytes or the 16 of IPv6, cut to whole bytes of the prefix: their lengths differ.
    return network.to_bytes(bits // 8, "big")[: max(-(-prefix // 8), 5 if bits == 128 else 4)]


class Asker:
    """One request as key functions see it: what it says, and who sends it."""

    __slots__ = ("_ip", "request", "trust")

    def __init__(self, request: RequestView, trust: Trust) -> None:
        self.request = request
        self.trust = trust
        self._ip: bytes | None = None

    @property
    def ip(self) -> bytes:
        """The key of the client's network."""
        ip = self._ip
        if ip is None:
            ip = self._ip = self.trust.key(self.request)
        return ip


def client_ip(asker: Asker) -> tuple[bytes, ...]:
    """Count by the client's address (its /64 where that is IPv6)."""
    return (asker.ip,)


def client_network(*, ipv4_prefix: int = 24, ipv6_prefix: int = 48) -> Key:
    """Return a key function that counts by a wider network of the client.

    A second rule with it stops who rotates through the networks that are one client each: a site
    usually has 2**16 of IPv6's /64.
    """
    gather(_prefix_checks(ipv4_prefix, ipv6_prefix))
    pack = lru_cache(maxsize=8192)(lambda address: _pack(address, ipv4_prefix, ipv6_prefix))
    return lambda asker: (pack(asker.trust.address(asker.request)),)


def everybody(asker: Asker) -> tuple[bytes, ...]:
    """Count all requests together."""
    return (EVERYBODY,)


def header_key(
    name: str,
    *,
    known: Callable[[str], bool] | None = None,
    else_: Key = client_ip,
    secret: bytes = b"",
) -> Key:
    """Return a key function that counts by a credential in the field *name*, such as X-Api-Key.

    *known(credential)* tells whether it is valid.  One that is not, or none, counts by *else_*.
    Without *known* anybody could invent a credential for each request, so the request then needs room
    under both the credential and *else_*.  *secret* keys the hash under which credentials are counted.
    """
    return _credential(lambda asker: asker.request.field(name), known, else_, secret)


def environ_key(
    name: str = "REMOTE_USER",
    *,
    else_: Key = client_ip,
    secret: bytes = b"",
) -> Key:
    """Return a key function that counts by an environ variable that the server or a middleware set.

    Nothing that a client sends becomes such a variable (its fields begin with HTTP_, which is
    refused here), so its value needs no second opinion.
    """
    if name.startswith("HTTP_"):
        raise SettingError(f"environ_key: {name} is written by the client; header_key is for that")

    return _credential(lambda asker: asker.request.variable(name), lambda value: True, else_, secret)


def first_of(*keys: Callable[[Asker], tuple[bytes, ...] | None]) -> Key:
    """Return a key function that counts by the first of *keys* that gives one, else by the address."""

    def choose(asker: Asker) -> tuple[bytes, ...]:
        for key in keys:
            found = key(asker)
            if found:
                return found
        return client_ip(asker)

    return choose


def hash_credential(credential: str, *, secret: bytes = b"") -> bytes:
    """Return the key under which a credential is counted."""
    return blake2b(credential.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES, key=secret).digest()


def _credential(
    read: Callable[[Asker], str | None],
    known: Callable[[str], bool] | None,
    else_: Key,
    secret: bytes,
) -> Key:
    if len(secret) > 64:
        raise SettingError(f"secret: {len(secret)} bytes, at most 64 fit")

    hash_one = partial(hash_credential, secret=secret)
    hash_known = Memo(hash_one, 8192, longest=LONGEST_REMEMBERED)

    def key(asker: Asker) -> tuple[bytes, ...]:
        credential = read(asker)
        if not credential or not credential.strip() or (known is not None and not known(credential)):
            return else_(asker)
        mark = hash_known(credential)
        return (mark, *else_(asker)) if known is None else (mark,)

    return key
