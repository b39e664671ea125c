"""The shortest way under gevent, for what nearly every call is: the node is up, and a connection stands.

`ask` gives the value of a key that was asked for before, where it is plain bytes that are not large;
`carry_all` makes calls of several nodes.  For all else there is no short way: `Operations.read` and
`Coop` go the long one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gevent import getcurrent

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import hubs
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.singles import find_plain, make_get
from wsgistack.store.memcached.wire import Wait

if TYPE_CHECKING:
    from wsgistack.store.memcached.calls import Call
    from wsgistack.store.memcached.cluster import Cluster
    from wsgistack.store.memcached.links import Link

__all__ = ["ask", "carry_all"]


def ask(
    cluster: Cluster, made: dict[Any, WireKey], large: set[bytes], name: Any
) -> bytes | tuple[Node, Call] | None:
    """Return the value of *name*, or the node that was asked and the call if it is not that simple.

    None: there is no short way, and nothing was asked.  *made*: keys by their names; *large*: keys
    whose values are large.  TypeError for a name that is not hashable.
    """
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
    call = make_get(key)
    channel.carry(call)
    value = find_plain(call.answer)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value


def carry_all(
    links: Mapping[Node, Link], bulk_links: Mapping[Node, Link], hub: Any, pairs: Sequence[tuple[Node, Call]]
) -> bool:
    """Make calls over *links*, as `Coop.run` does; each is over afterwards.

    False, with nothing done: one of them cannot leave at once, or has to go another way.
    """
    greenlet = getcurrent()
    if greenlet is hub:
        return False
    channels = []
    for node, call in pairs:
        link, bulk = links.get(node), bulk_links.get(node)
        if link is None or call.is_bulk or not node.may_write or node.is_classic:
            return False
        channel = link.channel
        if channel.sock is None or channel.is_full or (bulk is not None and bulk.is_busy):
            return False
        channels.append(channel)
    wait = Wait(len(channels), None)
    try:
        for channel, (_, call) in zip(channels, pairs, strict=True):
            call.wait = wait
            channel.submit(call)
        wait.wake = greenlet.switch
        while wait.missing:
            hub.switch()
    finally:
        wait.wake = None
    return True
