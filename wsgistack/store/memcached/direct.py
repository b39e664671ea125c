"""The value of one key by the shortest way, for what nearly every `get` under gevent is.

The key was asked for before, its node is up, a connection stands, and the value is plain bytes that
are not large.  For all else there is no short way, and `Operations.read` goes the long one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent import getcurrent

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import hubs
from wsgistack.store.memcached.calls import LINES
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.singles import FIRST_OPAQUE, LAST_OPAQUE, find_plain, write_get
from wsgistack.store.memcached.wire import Call

if TYPE_CHECKING:
    from wsgistack.store.memcached.cluster import Cluster

__all__ = ["ask"]

_opaque = LAST_OPAQUE


def ask(
    cluster: Cluster, made: dict[Any, WireKey], large: set[bytes], name: Any
) -> bytes | tuple[Node, Call] | None:
    """Return the value of *name*, or the node that was asked and the call if it is not that simple.

    None: there is no short way, and nothing was asked.  *made*: keys by their names; *large*: keys
    whose values are large.  TypeError for a name that is not hashable.
    """
    global _opaque
    wire = made.get(name)
    if wire is None or wire.full is not None:
        return None
    key = wire.wire
    node = cluster.snapshot.known.get(key)
    hub, lane = cluster.lanes.last
    if node is None or not node.may_read or hub is None or hubs.peek() is not hub or (large and key in large):
        return None
    link = lane.links.get(node)  # type: ignore[attr-defined]  # the lane of a hub is a Coop
    greenlet = getcurrent()
    bulk = lane.bulk_links.get(node)  # type: ignore[attr-defined]  # as above
    if link is None or node.is_classic or greenlet is hub or (bulk is not None and bulk.is_busy):
        return None
    channel = link.channel
    if channel.sock is None or channel.is_full:
        return None
    _opaque = _opaque + 1 if _opaque < LAST_OPAQUE else FIRST_OPAQUE
    call = Call(write_get(key, _opaque), LINES, "get", (None,), keys=[key], opaque=_opaque)
    channel.carry(call)
    value = find_plain(call.answer)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value
