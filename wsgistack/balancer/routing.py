"""Who would get a request, and why: the plane's choice (plane/pick.pyx) told in Python for `explain`.

The groups, in this order; the algorithm chooses within the first that has somebody: nodes that can
be used; backups that can; nodes on hold; backups on hold.  A node that is full makes requests wait for
its group.  A node that drains takes only requests that stick to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from wsgistack.balancer.algorithms import ALGORITHMS, Candidates
from wsgistack.balancer.model import Node, Pool, Snapshot
from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.warming import SCALE, warm_weight

__all__ = ["Ranked", "Row", "rank_nodes"]


class Row(NamedTuple):
    """What the scoreboard says of a node: requests in flight, and how it does."""

    in_flight: int = 0
    outcomes: Outcomes = Outcomes()


class Ranked(NamedTuple):
    """One node.  *score*: what the algorithm compares, the lowest wins; None for who is no candidate."""

    node: Node
    score: float | None
    why: str


def rank_nodes(
    snapshot: Snapshot,
    pool: str,
    rows: Mapping[int, Row],
    *,
    key: int | None = None,
    sticks_to: str | None = None,
    tried: Collection[str] = (),
    now: float,
    clock: float,
) -> list[Ranked]:
    """Return all nodes of a pool, those that a request would go to first in front.

    *rows* by the slot of the scoreboard.  *key* is what the request hashes to (hash_key.find_key),
    *sticks_to* the address that its session is bound to, *tried* those that failed it.  *now* in epoch
    seconds, *clock* on the monotonic clock.  What a draw decides is shown as the number that it compares.
    """
    members = snapshot.pools[pool]
    whys = [_hindrance(node, rows.get(node.slot, Row()), tried) for node in members.nodes]
    groups = [_group(node, why) for node, why in zip(members.nodes, whys, strict=True)]
    first = min((group for group in groups if group is not None), default=None)
    # A group is chosen before its full nodes are left out: they are waited for.
    chosen = [
        index
        for index, group in enumerate(groups)
        if group is not None and group == first and whys[index] != FULL
    ]
    scores = _score(members, rows, chosen, key, now, clock)
    ranked = []
    for index, node in enumerate(members.nodes):
        why = _why(node, rows.get(node.slot, Row()), whys[index], groups[index], first)
        if node.address == sticks_to and whys[index] in ("", DRAINS):
            ranked.append((-1.0, index, Ranked(node, 0.0, "the session sticks to it")))
        elif index in scores:
            ranked.append((scores[index], index, Ranked(node, scores[index], why)))
        else:
            ranked.append((float("inf"), index, Ranked(node, None, why)))
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])]


DOWN, UNKNOWN, DRAINS, TRIED, HELD, FULL = "down", "address unknown", "drains", "tried", "on hold", "full"


def _hindrance(node: Node, row: Row, tried: Collection[str]) -> str:
    """Return the first thing that speaks against a node, "" for nothing."""
    full = node.max_connections > 0 and row.in_flight >= node.max_connections
    table = {
        DOWN: not node.up,
        UNKNOWN: node.connect is None,
        DRAINS: node.draining,
        TRIED: node.address in tried,
        HELD: row.outcomes.held,
        FULL: full,
    }
    return next((why for why, holds in table.items() if holds), "")


def _group(node: Node, why: str) -> int | None:
    if why in ("", FULL):
        return 1 if node.backup else 0
    if why == HELD:
        return 3 if node.backup else 2
    return None


def _why(node: Node, row: Row, hindrance: str, group: int | None, first: int | None) -> str:
    if hindrance == FULL:
        return f"full: {row.in_flight} of {node.max_connections} requests"
    if hindrance and not (hindrance == HELD and group == first):
        return hindrance
    if group != first:
        return "backup, not needed"
    words = ["backup" if node.backup else "", "on hold, but nobody else is left" if hindrance else ""]
    return ", ".join(word for word in words if word) or "candidate"


def _score(
    pool: Pool, rows: Mapping[int, Row], chosen: Sequence[int], key: int | None, now: float, clock: float
) -> dict[int, float]:
    if not chosen:
        return {}
    algorithm = ALGORITHMS.get(str(pool.settings["balance_method"]))
    nodes = [pool.nodes[index] for index in chosen]
    seen = [rows.get(node.slot, Row()) for node in nodes]
    ring = pool.ring() if algorithm.keyed else None
    percent, slow_start = pool.settings["hash_balance_factor"], pool.settings["slow_start"]
    assert isinstance(percent, int) and isinstance(slow_start, float)
    weights = [warm_weight(node.weight, node.warm_from, slow_start, now) for node in nodes]
    candidates = Candidates(
        loads=[row.in_flight for row in seen],
        weights=weights if any(w % SCALE for w in weights) else [node.weight for node in nodes],
        latencies_us=[row.outcomes.latency_us for row in seen],
        rested_ms=[max(int(clock * 1000) - row.outcomes.measured_us // 1000, 0) for row in seen],
        places=chosen,
        key=key,
        points=ring.points if ring else (),
        owners=ring.owners if ring else (),
        most_percent=percent,
    )
    return dict(zip(chosen, algorithm.score(candidates), strict=True))
