"""What is known of the balancer at one moment, as values: what state pages and metrics are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.model import Snapshot
from wsgistack.balancer.outside import LimitCounts, NodeCounts, Outcomes, TableUse

__all__ = ["NodeRow", "Picture", "ProcessView", "ServiceCounts", "WorkerState"]

WorkerState = Literal["starting", "accepting", "draining", "gone"]


class NodeRow(NodeCounts):
    """A node's row with what only the scoreboard itself tells; *connecting* is a gauge."""

    connecting: int
    bytes_in: int
    bytes_out: int
    outcomes: Outcomes


class ServiceCounts(TypedDict):
    """A service's row of the scoreboard over all workers, those that died included.

    *responses* by class (2 for 2xx); *latency* by bucket: the i-th counts requests that took
    from 2**(i/2) to 2**((i+1)/2) microseconds, *latency_us* is their sum.  *unbudgeted*: not sent again
    because the retry budget was spent.  *queue*: {class: (length, seconds that the oldest one waits)}.
    The next three are gauges, *waiting* with those that wait for a connection to be opened.  Of the page
    cache: *cache_hits* were answered by workers, *cache_hops* sent to the keeper, *cache_bypasses* were
    somebody's own, *cache_fallbacks* went to a node because no keeper was there.  *denied*: by the deny_file.
    *throttled* were delayed by Throttle, *crowded* and *shut_out* refused; *held* is a gauge of those that wait.
    *buckets*: requests by the counter of their visitor's bucket, see Service.cells; *strayed* found no place
    in its pool.
    """

    requests: int
    refused: int
    retries: int
    unbudgeted: int
    bytes_in: int
    bytes_out: int
    accepted: int
    responses: Mapping[int, int]
    latency: list[int]
    latency_us: int
    queue: Mapping[str, tuple[int, float]]
    client_connections: int
    in_flight: int
    waiting: int
    cache_hits: int
    cache_hops: int
    cache_bypasses: int
    cache_fallbacks: int
    denied: int
    throttled: int
    crowded: int
    shut_out: int
    held: int
    buckets: list[int]
    strayed: int


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process: a worker, or the supervisor or the keeper, whose *number* is None; see *kind*.

    *starts* and *deaths* count the processes that sat there; times in seconds, of the one that sits
    there now; *acknowledged* is the version of the last snapshot that it applied, -1 for none.
    """

    number: int | None
    pid: int | None
    state: WorkerState
    starts: int
    deaths: int
    acknowledged: int
    user_s: float
    system_s: float
    memory_bytes: int
    kind: Literal["supervisor", "worker", "keeper"] = "worker"


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at *now* (epoch seconds); *health* is {(pool, address): what is known}.

    *unready*: why no request should be sent here, "" if nothing speaks against it.

    *nodes* has the rows of all addresses that have one, removed nodes too.
    """

    now: float
    started_at: float
    version: str
    snapshot: Snapshot
    nodes: Mapping[str, NodeRow]
    services: Mapping[str, ServiceCounts]
    limits: Mapping[str, LimitCounts]
    limit_table: TableUse
    health: Mapping[tuple[str, str], NodeHealth]
    processes: tuple[ProcessView, ...]
    unready: str = ""

    @property
    def workers(self) -> list[ProcessView]:
        """Return the workers."""
        return [process for process in self.processes if process.number is not None]
