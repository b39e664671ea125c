"""`MemcacheRing`: many memcached servers as one cache.

No method raises because a server is away: a read finds nothing, a write returns False.  What can
never be meant (a key that is not text, a time to live that is not a number, a value that is too
large) raises an error of `wsgistack.errors`, with nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, Unpack

from wsgistack.errors import SettingError
from wsgistack.store.codec import Codec
from wsgistack.store.keys import Keys
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.addresses import parse_servers
from wsgistack.store.memcached.cluster import Cluster
from wsgistack.store.memcached.commands import Commands, Looked
from wsgistack.store.memcached.fetch import Fetcher, Order
from wsgistack.store.memcached.gauges import LEAST_PATIENCE_S
from wsgistack.store.memcached.hashclient import HashClientArguments, find_server, read_arguments
from wsgistack.store.memcached.membership import Membership, MovePlan
from wsgistack.store.memcached.near import Near
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.tags import Tags

__all__ = ["Looked", "MemcacheRing"]

T = TypeVar("T")
LIMIT_S = 0.2  # of a call and of a connection, where nothing is said


class MemcacheRing(Commands):
    """A cache over *servers*: `"10.0.0.1:11211"`, `(host, port)`, `(host, port, weight)`, `/path`.

    Safe in threads and greenlets and across a fork.  Nothing is connected before it is needed,
    but where *servers* are endpoints that tell the nodes (*discover* seconds apart): they are asked here.
    *of_hash_client*: what else a HashClient of pymemcache takes; see docs/memcached.md.
    """

    def __init__(
        self,
        servers: Any,
        *,
        ring: str = "ketama",
        on_down: str = "gutter",
        timeout: float | None = LIMIT_S,
        least_timeout: float = LEAST_PATIENCE_S,
        connect_timeout: float | None = LIMIT_S,
        gutter_ttl: float = 10,
        discover: float = 0,
        near: int = 0,
        near_ttl: float = 1.0,
        default_noreply: bool = False,
        prefix: str | bytes = b"",
        codec: Codec | None = None,
        serde: Any = None,
        **of_hash_client: Unpack[HashClientArguments],
    ) -> None:
        ours = MemcacheRing.__init__.__kwdefaults__ or ()
        prefix, coding = read_arguments(of_hash_client, ours=ours, prefix=prefix, codec=codec, serde=serde)
        self._cluster = Cluster(
            parse_servers(servers),
            layout=ring,
            on_down=on_down,
            timeout_s=_seconds(LIMIT_S if timeout is None else timeout, "timeout"),
            least_timeout_s=_seconds(least_timeout, "least_timeout"),
            connect_timeout_s=_seconds(
                LIMIT_S if connect_timeout is None else connect_timeout, "connect_timeout"
            ),
            discover_s=_seconds(discover, "discover") if discover else 0.0,
        )
        self._near = _make_near(near, _seconds(near_ttl, "near_ttl"))
        do = Operations(
            self._cluster, gutter_ttl=requests.expiry(_seconds(gutter_ttl, "gutter_ttl")), near=self._near
        )
        super().__init__(do, Keys(prefix), coding, default_noreply=default_noreply)
        self._members = Membership(self._cluster)
        self._tags = Tags(do, self._keys)
        self._fetcher = Fetcher(do, self._keys, self._values, self._tags)

    def fetch(
        self,
        key: str | bytes,
        build: Callable[[], T],
        ttl: float,
        *,
        early: float = 0,
        grace: float = 0,
        tags: Iterable[str] = (),
        wait: float = 2,
        lease: float = 10,
    ) -> T:
        """Return the value of *key*; where there is none, what *build* returns, and keep that for *ttl*.

        One caller builds, of all processes, and all others of this process have its result.
        *early*: seconds before the end from which on one caller builds anew and the others still
        have the old value.  *grace*: seconds for which the old value is served after its end, after
        a soft `invalidate`, and if *build* raises, while one caller builds.  *tags*: names; the
        value is outdated once `invalidate_tags` was told one of them, also while it is built.
        *wait*: seconds to wait for another process that builds, before building too.  *lease*:
        seconds for which the builder of another process is waited for if it died.

        One round trip for a value that is there, tags included; one more when it was built,
        and a second where its tags were new or outdated.
        """
        names = tuple(dict.fromkeys([tags] if isinstance(tags, str) else tags)) if tags else ()
        order = Order(build, requests.expiry(ttl, "ttl"), early, grace, names, wait, lease).check()
        return self._fetcher.fetch(self._wire(key), order)  # type: ignore[no-any-return]  # of build

    def invalidate(self, key: str | bytes, *, soft: bool = False, grace: float = 30) -> bool:
        """Remove *key*; return whether it was there.

        *soft*: keep it for *grace* seconds, for `fetch` with a grace to serve while one caller builds.
        """
        wire = self._keys.make(key).wire
        try:
            if not soft:
                return self.delete(key)
            ttl = requests.expiry(grace, "grace")
            outcome = self._do.write(wire, lambda ttl: requests.invalidate(wire, ttl), ttl, builds=True)
        finally:
            self._fetcher.flights.part(wire)
        return outcome.reply is not None and outcome.reply.code == b"HD"

    def invalidate_tags(self, *tags: str) -> bool:
        """Make every value of `fetch` that has one of *tags* outdated; return whether all nodes know.

        A node that is down learns it before it is used again.
        """
        try:
            return self._tags.invalidate(tuple(dict.fromkeys(tags)))
        finally:
            self._fetcher.flights.part_tags(tags)

    def nodes(self) -> list[dict[str, Any]]:
        """Return state and counters of each node; docs/memcached.md says what they mean."""
        return self._members.report()

    def near_stats(self) -> dict[str, int]:
        """Return what is kept in this process (`entries`, `bytes`), and what it was asked (`hits`, `misses`)."""
        near = self._near
        if near is None:
            return {"entries": 0, "bytes": 0, "hits": 0, "misses": 0}
        return {"entries": len(near), "bytes": near.size_bytes, "hits": near.hits, "misses": near.misses}

    def discovery(self) -> dict[str, Any]:
        """Return what the configuration endpoint told: `version`, `polls`, `failures`, and the last `trouble`."""
        watch = self._cluster.watch
        if watch is None:
            return {}
        told = {"version": watch.version, "polls": watch.polls, "failures": watch.failures}
        return {**told, "trouble": watch.trouble}

    def plan_add(self, server: Any) -> MovePlan:
        """Return which share of the keys would move, and from where, if *server* joined."""
        return self._members.plan_add(server)

    def add_node(self, server: Any) -> None:
        """Let *server* join; the ring with it is made in the background and used once it is made."""
        self._members.add(server)

    def remove_node(self, server: Any) -> None:
        """Let *server* leave; its keys are not copied."""
        self._members.remove(server)

    def add_server(self, server: Any, port: int | None = None) -> None:
        """Do what `add_node` does, as a HashClient of pymemcache."""
        self.add_node(find_server(server, port))

    def remove_server(self, server: Any, port: int | None = None) -> None:
        """Do what `remove_node` does, as a HashClient of pymemcache."""
        self.remove_node(find_server(server, port))

    def set_weight(self, server: Any, weight: int) -> None:
        """Change the share of *server*."""
        self._members.set_weight(server, weight)

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        self._cluster.close()

    disconnect_all = close
    quit = close


def _make_near(most_bytes: Any, ttl_s: float) -> Near | None:
    if isinstance(most_bytes, bool) or not isinstance(most_bytes, int) or most_bytes < 0:
        raise SettingError(f"near: {most_bytes!r} is not a number of bytes (0: nothing is kept)")
    return Near(most_bytes, ttl_s) if most_bytes else None


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 3600:
        raise SettingError(f"{name}: {value!r} is not a number of seconds above 0 and below 3600")
    return float(value)
