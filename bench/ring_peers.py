"""The memcached clients that are compared, those that are here, behind one face."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["PEERS", "RingPeer", "find_peer"]


@dataclass(frozen=True, slots=True)
class RingPeer:
    """One client: how to make it for some addresses, and whether it lets other greenlets run."""

    name: str
    module: str
    make: Callable[[Sequence[str], float], Any]
    cooperates: bool
    stated: str
    shared: bool = True  # greenlets may use one object at the same time

    def find(self) -> bool:
        """Return whether it is installed."""
        try:
            importlib.import_module(self.module)
        except ImportError:
            return False
        return True


def _ours(addresses: Sequence[str], timeout_s: float) -> Any:
    from wsgistack import MemcacheRing

    return MemcacheRing(addresses, timeout=timeout_s)


def _hash_client(addresses: Sequence[str], timeout_s: float, *, pooled: bool) -> Any:
    from pymemcache.client.hash import HashClient

    return HashClient(
        addresses,
        use_pooling=pooled,
        timeout=timeout_s,
        connect_timeout=timeout_s,
        no_delay=True,
        ignore_exc=True,
        retry_attempts=0,
        dead_timeout=1,
        default_noreply=False,
    )


class _Pylibmc:
    """pylibmc with the names of the others."""

    def __init__(self, addresses: Sequence[str], timeout_s: float) -> None:
        import pylibmc

        limit = int(timeout_s * 1_000_000)
        self._client = pylibmc.Client(
            list(addresses),
            behaviors={"ketama_weighted": True, "tcp_nodelay": True, "_poll_timeout": int(timeout_s * 1000)}
            | {"receive_timeout": limit, "send_timeout": limit},
        )
        self.get, self.set = self._client.get, self._client.set
        self.get_many, self.set_many = self._client.get_multi, self._client.set_multi


class _MetaMemcache:
    """meta-memcache with the names of the others."""

    def __init__(self, addresses: Sequence[str], timeout_s: float) -> None:
        from meta_memcache import CacheClient, Key, ServerAddress, connection_pool_factory_builder

        places = [address.rpartition(":") for address in addresses]
        self._key = Key
        self._client = CacheClient.cache_client_from_servers(
            servers=[ServerAddress(host, int(port)) for host, _, port in places],
            connection_pool_factory_fn=connection_pool_factory_builder(
                recv_timeout=timeout_s, connection_timeout=timeout_s
            ),
        )

    def get(self, key: str) -> Any:
        return self._client.get(key=self._key(key))

    def set(self, key: str, value: bytes) -> Any:
        return self._client.set(key=self._key(key), value=value, ttl=0)

    def get_many(self, keys: Sequence[str]) -> Any:
        return self._client.multi_get(keys=[self._key(key) for key in keys])

    def set_many(self, values: dict[str, bytes]) -> None:
        for key, value in values.items():
            self.set(key, value)


PEERS = {
    peer.name: peer
    for peer in (
        RingPeer("wsgistack", "wsgistack", _ours, True, "as shipped: ketama, codec, breaker, counters"),
        RingPeer(
            "HashClient", "pymemcache", partial(_hash_client, pooled=False), True, "rendezvous, no serde"
        ),
        RingPeer("HashClient pooled", "pymemcache", partial(_hash_client, pooled=True), True, "the same"),
        RingPeer("pylibmc", "pylibmc", _Pylibmc, False, "ketama_weighted; holds up the hub"),
        RingPeer("meta-memcache", "meta_memcache", _MetaMemcache, False, "no set_many: one after another"),
    )
}


def find_peer(name: str) -> RingPeer:
    """Return the peer of that name."""
    return PEERS[name]
