"""The quicker of two nodes drawn by weight, by latency and requests in flight.

Compared is latency * (load + 1) / weight: how long the request would wait if the node answered one
after the other.  Latency is a peak that decays by time (Finagle's peak EWMA), so that a node that
becomes slow is left at once.  Such a measure is known to starve nodes: who gets no request shows no
improvement.  Three things against that:

- one slow answer at most doubles a node's latency (plane/board.pxd), for it may be one slow page;
- a node of which nothing is known is compared by load alone;
- a node that lost, has no request in flight and was not measured for PROBE_MS gets this one.

O(1) with equal weights, else O(n).
"""

from __future__ import annotations

from wsgistack.balancer.algorithms import Candidates, Draw, draw_by_weight

__all__ = ["HELP", "KERNEL", "NAME", "PROBE_MS", "next_latency", "pick", "score"]

NAME = "peak_ewma"
HELP = "the quicker of two drawn by lot, by latency and load"
KERNEL = "peak_ewma"

PROBE_MS = 1000
DECAY_US = 5_000_000  # plane/board.pxd, as the next two
SLOWEST_US = 60_000_000
LONGEST_US = 16 * DECAY_US


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the better of two, or the other one to see how it is now; two draws, none for a single node."""
    loads, weights, latencies = nodes.loads, nodes.weights, nodes.latencies_us
    if len(weights) == 1:
        return 0, state
    first = draw_by_weight(weights, draw)
    second = draw_by_weight(weights, draw, without=first)
    if latencies[first] and latencies[second]:
        cost_of_first = latencies[first] * (loads[first] + 1) * weights[second]
        cost_of_second = latencies[second] * (loads[second] + 1) * weights[first]
    else:
        cost_of_first, cost_of_second = loads[first] * weights[second], loads[second] * weights[first]
    winner, loser = (second, first) if cost_of_second < cost_of_first else (first, second)
    if loads[loser] == 0 and nodes.rested_ms[loser] >= PROBE_MS:
        return loser, state
    return winner, state


def next_latency(latency_ns: int, measured_us: int, now_us: int, taken_us: int) -> tuple[int, int]:
    """Return (latency_ns, measured_us) after one more answer that took *taken_us*; 0 is unknown."""
    taken_ns = min(taken_us, SLOWEST_US) * 1000 or 1000
    if latency_ns == 0:
        return taken_ns, now_us
    if taken_ns >= latency_ns:
        return min(taken_ns, 2 * latency_ns), now_us
    passed_us = min(now_us - measured_us, LONGEST_US)
    step = (latency_ns - taken_ns) * passed_us // (DECAY_US + passed_us)
    if step == 0:
        return latency_ns, measured_us
    return latency_ns - step, now_us


def score(nodes: Candidates) -> list[float]:
    """Return the microseconds for its weight that each one would let the request wait; 0 for unknown."""
    columns = zip(nodes.loads, nodes.weights, nodes.latencies_us, strict=True)
    return [latency * (load + 1) / weight for load, weight, latency in columns]
