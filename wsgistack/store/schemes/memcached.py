"""`memcached://10.0.0.1,10.0.0.2:11212`: real memcached servers, as one store for all machines."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from wsgistack.errors import ConfigurationError
from wsgistack.settings import DURATION, SIZE, TEXT, Setting, Table, Value, make_choice
from wsgistack.store.base import Store
from wsgistack.store.codec import Codec
from wsgistack.store.keys import Keys
from wsgistack.store.layouts import LAYOUTS

__all__ = ["EXAMPLE", "HELP", "NAME", "OPTIONS", "check", "make"]

NAME = "memcached"
HELP = "memcached servers, many as one: all processes of all machines see the same entries"
EXAMPLE = "memcached://10.0.0.1,10.0.0.2:11212?on_down=miss"
POLICIES = ("gutter", "miss", "rehash", "replicate")
OPTIONS = Table(
    "memcached store",
    [
        Setting(
            "ring", make_choice(LAYOUTS.names, "ring '{text}' is no layout"), "ketama", "which node has a key"
        ),
        Setting(
            "on_down",
            make_choice(lambda: POLICIES, "on_down '{text}' is no way to go on"),
            "gutter",
            "who stands in for a node that is down",
        ),
        Setting("gutter_ttl", DURATION, 10.0, "how long values live on a node that stands in", least=1),
        Setting("timeout", DURATION, 0.2, "how long a call may take", least=0.001, most=3600),
        Setting(
            "least_timeout",
            DURATION,
            0.015,
            "how long a node is waited for at least before it counts as down",
            least=0.001,
            most=3600,
        ),
        Setting("connect_timeout", DURATION, 0.2, "how long a connection may take", least=0.001, most=3600),
        Setting(
            "discover",
            DURATION,
            0.0,
            "the servers tell which nodes there are, as ElastiCache's do, and are asked that often; 0: they are the nodes",
            least=0,
            most=3600,
        ),
        Setting("prefix", TEXT, "", "stands before every key"),
        Setting("compress_from", SIZE, 2048, "values from this size on are compressed"),
    ],
)


def check(place: str, options: Mapping[str, Value]) -> None:
    """Refuse what are no servers, or no prefix."""
    from wsgistack.store.memcached.addresses import parse_servers

    if not place:
        raise ConfigurationError(f"memcached:// has no servers: expected {EXAMPLE}")
    parse_servers(unquote(place))
    Keys(str(options["prefix"]))


def make(place: str, options: Mapping[str, Value]) -> Store:
    """Return the store over the servers of *place*; nothing is connected yet."""
    from wsgistack.store.memcached.addresses import parse_servers
    from wsgistack.store.memcached.cluster import Cluster
    from wsgistack.store.memcached.requests import expiry
    from wsgistack.store.memcached.store import MemcachedStore

    seconds = {
        f"{name}_s": float(value)
        for name in ("timeout", "least_timeout", "connect_timeout", "discover")
        if isinstance(value := options[name], int | float)
    }
    gutter_ttl, compress_from = options["gutter_ttl"], options["compress_from"]
    assert isinstance(gutter_ttl, int | float)
    assert isinstance(compress_from, int)
    cluster = Cluster(
        parse_servers(unquote(place)), layout=str(options["ring"]), on_down=str(options["on_down"]), **seconds
    )
    return MemcachedStore(
        cluster,
        keys=Keys(str(options["prefix"])),
        coding=Codec(compress_from=compress_from),
        gutter_ttl=expiry(gutter_ttl),
    )
