"""The metrics, one row each; everything is read off a picture, nothing is counted here.

Prometheus' conventions: base units, `_total` for what only grows, a label for what is summed
over.  Counters are those of the scoreboard: sums over all workers, which outlive them.  How many
series there can be is bounded: by nodes, services, workers, and by the registered status codes
(others are folded into their class).  docs/metrics.md is written from this table.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from wsgistack.balancer.metric import Metric, Sample
from wsgistack.balancer.metrics_limits import LIMITS
from wsgistack.balancer.picture import NodeRow, Picture, ProcessView, ServiceCounts

__all__ = ["LIMITS", "METRICS", "NODES", "PROCESSES", "SERVICES"]

REGISTERED = frozenset(status.value for status in HTTPStatus)
# The scoreboard has a bucket an octave, at even places: [2**(i/2), 2**(i/2+1)) microseconds.
# Shown are those from 256 us to 67 s; what is faster or slower is in the first or in +Inf.
OCTAVES = range(8, 27)


def _pools_of(picture: Picture) -> dict[str, str]:
    """Return {address: the pools that have it, with commas}: its counters are not kept by pool."""
    found: dict[str, list[str]] = {}
    for name, pool in sorted(picture.snapshot.pools.items()):
        for node in pool.nodes:
            found.setdefault(node.address, []).append(name)
    return {address: ",".join(names) for address, names in found.items()}


def _by_node(value: Callable[[NodeRow], float]) -> Callable[[Picture], Iterator[Sample]]:
    def read(picture: Picture) -> Iterator[Sample]:
        for address, pools in _pools_of(picture).items():
            if address in picture.nodes:  # else it was made a moment ago
                yield (pools, address), value(picture.nodes[address])

    return read


def _by_code(picture: Picture) -> Iterator[Sample]:
    for address, pools in _pools_of(picture).items():
        counts: dict[str, int] = {}
        for code, n in picture.nodes[address]["responsecodes"].items() if address in picture.nodes else ():
            name = str(code) if code in REGISTERED else f"{code // 100}xx"
            counts[name] = counts.get(name, 0) + n
        for name, n in sorted(counts.items()):
            yield (pools, address, name), n


def _by_member(value: Callable[[Any], float]) -> Callable[[Picture], Iterator[Sample]]:
    def read(picture: Picture) -> Iterator[Sample]:
        for name, pool in picture.snapshot.pools.items():
            for node in pool.nodes:
                yield (name, node.address), value(node)

    return read


def _health(picture: Picture) -> Iterator[Sample]:
    for (pool, address), health in picture.health.items():
        yield (pool, address, health.state), 1


def _ejections(picture: Picture) -> Iterator[Sample]:
    return ((names, health.ejected_times) for names, health in picture.health.items())


def _by_service(value: Callable[[ServiceCounts], float]) -> Callable[[Picture], Iterator[Sample]]:
    def read(picture: Picture) -> Iterator[Sample]:
        for name, counts in _proxies(picture):
            yield (name,), value(counts)

    return read


def _by_class(picture: Picture) -> Iterator[Sample]:
    for name, counts in _proxies(picture):
        for kind, n in counts["responses"].items():
            yield (name, f"{kind}xx"), n


def _by_lane(part: int) -> Callable[[Picture], Iterator[Sample]]:
    def read(picture: Picture) -> Iterator[Sample]:
        for name, counts in _proxies(picture):
            for lane, told in counts["queue"].items():
                yield (name, lane), told[part]

    return read


def _durations(picture: Picture) -> Iterator[Sample]:
    for name, counts in _proxies(picture):
        total, buckets = 0, []
        for octave in range(len(counts["latency"]) // 2):
            total += counts["latency"][2 * octave] + counts["latency"][2 * octave + 1]
            if octave + 1 in OCTAVES:
                buckets.append((repr(2 ** (octave + 1) / 1e6), total))
        yield (name,), ([*buckets, ("+Inf", total)], counts["latency_us"] / 1e6)


def _proxies(picture: Picture) -> Iterator[tuple[str, ServiceCounts]]:
    for name, service in picture.snapshot.services.items():
        if service.role == "reverse_proxy":
            yield name, picture.services[name]


def _by_bucket(picture: Picture) -> Iterator[Sample]:
    for name, counts in _proxies(picture):
        cells = picture.snapshot.services[name].cells
        for bucket, cell in cells.items() if len(cells) > 1 else ():
            yield (name, bucket), counts["buckets"][cell]


def _by_throttle(picture: Picture) -> Iterator[Sample]:
    for name, counts in _proxies(picture):
        for outcome, row in (("throttled", "throttled"), ("concurrent", "crowded"), ("banned", "shut_out")):
            yield (name, outcome), counts[row]  # type: ignore[literal-required]


def _by_worker(value: Callable[[ProcessView], float]) -> Callable[[Picture], Iterator[Sample]]:
    return lambda picture: (((str(one.number),), value(one)) for one in picture.workers)


def _name(process: ProcessView) -> str:
    return process.kind if process.number is None else f"worker{process.number}"


def _processor(picture: Picture) -> Iterator[Sample]:
    for process in picture.processes:
        yield (_name(process), "user"), process.user_s
        yield (_name(process), "system"), process.system_s


def _memory(picture: Picture) -> Iterator[Sample]:
    return (((_name(process),), process.memory_bytes) for process in picture.processes)


def _admitted(picture: Picture) -> Iterator[Sample]:
    return (((name,), pool.admits / 100) for name, pool in picture.snapshot.pools.items())


def _once(value: Callable[[Picture], object]) -> Callable[[Picture], list[Sample]]:
    return lambda picture: [((), value(picture))]


def _build(picture: Picture) -> dict[str, str]:
    return {"version": picture.version, "python": platform.python_version()}


NODE, MEMBER, SERVICE, WORKER = ("pool", "node"), ("pool", "node"), ("service",), ("worker",)

NODES = [
    Metric("node_requests", "counter", "responses of a node, complete ones", (*NODE, "code"), _by_code),
    Metric("node_handed", "counter", "requests handed to it", NODE, _by_node(lambda n: n["handed"])),
    Metric("node_failures", "counter", "failures to get a response", NODE, _by_node(lambda n: n["failures"])),
    Metric("node_attempts", "counter", "connections tried", NODE, _by_node(lambda n: n["attempts"])),
    Metric("node_connects", "counter", "connections made", NODE, _by_node(lambda n: n["connects"])),
    Metric("node_in_flight", "gauge", "requests it works on", NODE, _by_node(lambda n: n["in_flight"])),
    Metric("node_connections", "gauge", "open connections to it", NODE, _by_node(lambda n: n["open"])),
    Metric("node_received_bytes", "counter", "bytes it sent us", NODE, _by_node(lambda n: n["bytes_in"])),
    Metric("node_sent_bytes", "counter", "bytes we sent it", NODE, _by_node(lambda n: n["bytes_out"])),
    Metric(
        "node_good_responses",
        "counter",
        "responses that speak for it",
        NODE,
        _by_node(lambda n: n["outcomes"].good),
    ),
    Metric(
        "node_bad_responses",
        "counter",
        "failures and statuses that speak against it",
        NODE,
        _by_node(lambda n: n["outcomes"].bad),
    ),
    Metric(
        "node_latency_seconds",
        "gauge",
        "its decaying peak of the time to the first byte",
        NODE,
        _by_node(lambda n: n["outcomes"].latency_us / 1e6),
    ),
    Metric("node_up", "gauge", "1 if requests may go to it", MEMBER, _by_member(lambda n: int(n.up))),
    Metric("node_draining", "gauge", "1 while it drains", MEMBER, _by_member(lambda n: int(n.draining))),
    Metric(
        "pool_admitted_ratio",
        "gauge",
        "share of its requests that are let through; below 1 its breaker is open",
        ("pool",),
        _admitted,
    ),
    Metric("node_ejections", "counter", "times that it was ejected", MEMBER, _ejections),
    Metric("node_health", "gauge", "1 for the state that it is in", (*MEMBER, "state"), _health),
]

SERVICES = [
    Metric("requests", "counter", "requests of clients", SERVICE, _by_service(lambda s: s["requests"])),
    Metric("responses", "counter", "responses to clients by class", (*SERVICE, "code"), _by_class),
    Metric(
        "refused",
        "counter",
        "requests that we answered with 4xx or 5xx ourselves",
        SERVICE,
        _by_service(lambda s: s["refused"]),
    ),
    Metric("retries", "counter", "requests sent again", SERVICE, _by_service(lambda s: s["retries"])),
    Metric(
        "retries_over_budget",
        "counter",
        "requests not sent again because the retry budget was spent",
        SERVICE,
        _by_service(lambda s: s["unbudgeted"]),
    ),
    Metric(
        "received_bytes", "counter", "bytes that clients sent", SERVICE, _by_service(lambda s: s["bytes_in"])
    ),
    Metric("sent_bytes", "counter", "bytes sent to clients", SERVICE, _by_service(lambda s: s["bytes_out"])),
    Metric("accepted", "counter", "client connections", SERVICE, _by_service(lambda s: s["accepted"])),
    Metric(
        "client_connections",
        "gauge",
        "open client connections",
        SERVICE,
        _by_service(lambda s: s["client_connections"]),
    ),
    Metric("in_flight", "gauge", "requests at work", SERVICE, _by_service(lambda s: s["in_flight"])),
    Metric(
        "waiting",
        "gauge",
        "requests that have no node's connection yet, in the queue or while one is opened",
        SERVICE,
        _by_service(lambda s: s["waiting"]),
    ),
    Metric("queue_length", "gauge", "requests that wait for a node", (*SERVICE, "class"), _by_lane(0)),
    Metric(
        "queue_oldest_seconds", "gauge", "for how long the oldest waits", (*SERVICE, "class"), _by_lane(1)
    ),
    Metric(
        "cache_hits",
        "counter",
        "requests that workers answered out of ready pages",
        SERVICE,
        _by_service(lambda s: s["cache_hits"]),
    ),
    Metric(
        "cache_hops",
        "counter",
        "requests that the keeper of the page caches decided",
        SERVICE,
        _by_service(lambda s: s["cache_hops"]),
    ),
    Metric(
        "cache_bypasses",
        "counter",
        "requests that are somebody's own and went past the page cache",
        SERVICE,
        _by_service(lambda s: s["cache_bypasses"]),
    ),
    Metric(
        "cache_fallbacks",
        "counter",
        "requests that went to a node because no keeper was there",
        SERVICE,
        _by_service(lambda s: s["cache_fallbacks"]),
    ),
    Metric(
        "denied",
        "counter",
        "requests of clients on the deny_file, also those that log_only let pass",
        SERVICE,
        _by_service(lambda s: s["denied"]),
    ),
    Metric(
        "throttle_requests",
        "counter",
        "requests that Throttle delayed (throttled) or refused (concurrent, banned), also those that log_only let pass",
        (*SERVICE, "outcome"),
        _by_throttle,
    ),
    Metric(
        "throttle_held", "gauge", "requests that it delays now", SERVICE, _by_service(lambda s: s["held"])
    ),
    Metric(
        "split_requests",
        "counter",
        "requests by the bucket of their visitor; - for who is in none",
        (*SERVICE, "bucket"),
        _by_bucket,
    ),
    Metric(
        "split_strayed",
        "counter",
        "requests that found no place in the pool of their visitor's bucket",
        SERVICE,
        _by_service(lambda s: s["strayed"]),
    ),
    Metric(
        "request_duration_seconds",
        "histogram",
        "from the head of a request to the end of its response",
        SERVICE,
        _durations,
    ),
]

PROCESSES = [
    Metric("worker_starts", "counter", "processes started", WORKER, _by_worker(lambda w: w.starts)),
    Metric(
        "worker_deaths", "counter", "processes that ended unasked", WORKER, _by_worker(lambda w: w.deaths)
    ),
    Metric(
        "worker_accepting",
        "gauge",
        "1 while it accepts connections",
        WORKER,
        _by_worker(lambda w: int(w.state == "accepting")),
    ),
    Metric(
        "worker_snapshot_version",
        "gauge",
        "the version that it acts on, -1 for none",
        WORKER,
        _by_worker(lambda w: w.acknowledged),
    ),
    Metric(
        "process_cpu_seconds",
        "counter",
        "processor time of the process that sits there now",
        ("process", "mode"),
        _processor,
    ),
    Metric("process_resident_memory_bytes", "gauge", "resident memory", ("process",), _memory),
    Metric(
        "snapshot_version",
        "gauge",
        "the version of the state that holds",
        (),
        _once(lambda p: p.snapshot.version),
    ),
    Metric(
        "start_time_seconds", "gauge", "when it started, since the epoch", (), _once(lambda p: p.started_at)
    ),
    Metric("ready", "gauge", "1 while requests are welcome", (), _once(lambda p: int(not p.unready))),
    Metric("build", "info", "what runs", (), _once(_build)),
]

METRICS = [*NODES, *SERVICES, *LIMITS, *PROCESSES]
