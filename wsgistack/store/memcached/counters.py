"""What is counted per node; pure.

Counters are plain additions: two threads may lose one now and then, which no decision rests on.
"""

from __future__ import annotations

from wsgistack.store.memcached.wire import Histogram

__all__ = ["Counters"]


class Counters:
    """One node's counters since it is in the ring."""

    __slots__ = (
        "calls",
        "connects",
        "failures",
        "hits",
        "latency",
        "misses",
        "outages",
        "refused",
        "restarts",
        "timeouts",
        "writes",
    )

    def __init__(self) -> None:
        self.calls = 0
        self.hits = 0
        self.misses = 0
        self.writes = 0
        self.timeouts = 0
        self.failures = 0  # of connections: lost, refused, garbage
        self.refused = 0  # requests that were not made because the node was down
        self.outages = 0
        self.restarts = 0
        self.connects = 0
        self.latency = Histogram()
