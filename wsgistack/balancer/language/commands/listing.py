"""SHOW, nodes, node, backends: what there is and what it did, from our own tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

from wsgistack.balancer.address import parse_member
from wsgistack.balancer.discovery import show_record
from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ask, Lines, Reply, Row
from wsgistack.balancer.model import Service
from wsgistack.balancer.outside import NodeCounts
from wsgistack.balancer.pools import Standing
from wsgistack.balancer.warming import SCALE, warm_weight
from wsgistack.errors import AddressError, CommandError

__all__ = ["COMMANDS"]


def show(desk: Desk, line: Line) -> Reply:
    """List the services or the pools, or describe one of them."""
    found = line.match(rf"(service|pool)(?: ({NAME}))?")
    what, name = found[1].lower(), (found[2] or "").lower()
    if what == "pool":
        return Lines(tuple(_one_pool(desk, name) if name else _all_pools(desk)))
    return _show_one_service(desk, name) if name else Lines(tuple(_all_services(desk)))


def _all_pools(desk: Desk) -> list[str]:
    users = [pool for service in desk.estate.services.publish().values() for pool in service.pools]
    lines = []
    for name in sorted(desk.estate.pools.names()):
        lines.append(f"{name} nodes {len(desk.estate.pools.members(name))}")
        lines.append(f"{name} services {users.count(name)}")
    return lines


def _one_pool(desk: Desk, name: str) -> list[str]:
    # Scripts of Perlbal's users split these lines in two: what else there is stands in `nodes`.
    return [f"{address} {handed}" for address, _, handed in desk.estate.pools.members(name)]


def _find_warmth(desk: Desk, pool: str, address: str) -> int | None:
    """Return the per cent of its weight that a node in its slow start has by now, None for any other."""
    health = desk.estate.pools.health.get(pool, address)
    slow_start_s = desk.estate.pools.settings(pool)["slow_start"]
    if health.state != "warming" or not slow_start_s:
        return None
    assert isinstance(slow_start_s, float)
    return round(warm_weight(1, health.since, slow_start_s, desk.now) * 100 / SCALE)


def _all_services(desk: Desk) -> list[str]:
    return [
        f"{name} {', '.join(service.listen) or 'not_listening'} {'ENABLED' if service.enabled else 'DISABLED'}"
        for name, service in sorted(desk.estate.services.publish().items())
    ]


def _show_one_service(desk: Desk, name: str) -> Reply:
    service = desk.estate.services.get(name, "Unknown service")
    head = [
        f"SERVICE {name}",
        f"     listening: {', '.join(service.listen) or '--'}",
        f"          role: {service.role or '--'}",
    ]
    if service.role != "reverse_proxy":
        return Lines(tuple(head))
    tail = _pool_of(desk, service)
    return Ask("socks", lambda rows: [*head, *_live(name, rows), *tail])


def _live(service: str, rows: list[list[Row]]) -> list[str]:
    mine = [row for worker in rows for row in worker if row.get("service") == service]
    nodes = [row for row in mine if row["kind"] == "node"]
    clients = [row for row in mine if row["kind"] == "client" and row["state"] == "wait_backend"]
    opening = [row for row in nodes if row["state"] in ("connecting", "verifying_backend")]
    bored = sum(row["state"] == "bored" for row in nodes)
    pending = sorted((str(row["node"]), str(row["state"]), int(row["age"])) for row in opening)
    return [
        f"  pend clients: {len(clients)}",
        f"  pend backend: {len(opening)}",
        *(f"   {node} - {state} - {age}s" for node, state, age in pending),
        f" connect-ahead: {bored}/0",
    ]


def _pool_of(desk: Desk, service: Service) -> list[str]:
    if service.pool is None:
        return []
    members = desk.estate.pools.members(service.pool)
    nodes = [f"                {address:<21} {handed:7d}" for address, _, handed in members]
    return [f"          pool: {service.pool}", "         nodes:", *nodes, *_split_of(desk, service)]


def _split_of(desk: Desk, service: Service) -> list[str]:
    if service.split is None:
        return []
    counts, strayed = desk.estate.stats.buckets(service.slot)
    buckets = [f"                {name:<21} {counts[cell]:7d}" for name, cell in service.cells.items()]
    return [f"         split: {service.split}", "       buckets:", *buckets, f"       strayed: {strayed}"]


def nodes(desk: Desk, line: Line) -> Reply:
    """List the counters of one node or of all, removed ones too; an unknown one has none."""
    rows = desk.estate.pools.rows()
    wanted = sorted(rows)
    if line.rest:
        try:
            wanted = _find_nodes(desk, str(parse_member(line.match(r"(\S+)")[1])), wanted)
        except AddressError as error:
            raise CommandError(f"Invalid syntax to '{line.word}' command: {error}") from None
    lines: list[str] = []
    for address in wanted:
        if address in rows:
            lines += _node_lines(desk, address, desk.estate.stats.node(rows[address]))
    return Lines(tuple(lines))


def _find_nodes(desk: Desk, text: str, known: list[str]) -> list[str]:
    """Return the node of that address, or those that the name leads to."""
    if text in known:
        return [text]
    pools = desk.estate.pools
    return [address for address in known if any(s.origin == text for s in pools.standings(address))]


def _node_lines(desk: Desk, address: str, counts: NodeCounts) -> list[str]:
    """Return Perlbal's lines, in the order of its manual, and after them those of our own."""
    seen = {
        "attempts": counts["attempts"],
        "verifies": counts["verifies"],
        **{f"responsecodes {code}": n for code, n in sorted(counts["responsecodes"].items())},
        "lastattempt": int(counts["lastattempt"]),
        "lastconnect": int(counts["lastconnect"]),
        "connects": counts["connects"],
        "requests": counts["requests"],
        "lastresponse": int(counts["lastresponse"]),
        "failures": counts["failures"],
    }
    always = ("attempts", "connects", "requests")
    lines = [f"{address} {key} {n}" for key, n in seen.items() if n or key in always]
    lines.append(f"{address} inflight {counts['in_flight']}")
    standings = desk.estate.pools.standings(address)
    if not standings and counts["in_flight"]:
        lines.append(f"{address} removed inflight {counts['in_flight']}")
    for standing in standings:
        health = desk.estate.pools.health.get(standing.pool, address)
        warmth = _find_warmth(desk, standing.pool, address)
        about = [
            *_health_lines(standing.pool, health),
            *([] if warmth is None else [f"warming {standing.pool} {warmth}%"]),
            *_standing_lines(standing, counts["in_flight"]),
        ]
        lines += [f"{address} {line}" for line in about]
    return lines


def _health_lines(pool: str, health: NodeHealth) -> Iterator[str]:
    """Yield how a node does in one pool; times are whole epoch seconds, as those of the counters."""
    yield f"health {pool} {health.state}"
    if health.since is not None:
        yield f"health_since {pool} {int(health.since)}"
    if health.until is not None:
        yield f"health_until {pool} {math.ceil(health.until)}"
    if health.ejected_times:
        yield f"health_ejections {pool} {health.ejected_times}"
    if health.why:
        yield f"health_reason {pool} {health.why}"


def _standing_lines(standing: Standing, in_flight: int) -> Iterator[str]:
    """Yield what the node is in a pool where that is not as usual."""
    pool = standing.pool
    if standing.weight != 1:
        yield f"weight {pool} {standing.weight}"
    if standing.most:
        yield f"max {pool} {standing.most}"
    if standing.backup:
        yield f"backup {pool}"
    if standing.draining:
        yield f"draining {pool} inflight {in_flight}"
    if standing.origin != standing.address:
        yield f"from {pool} {standing.origin}"


def names(desk: Desk, line: Line) -> Reply:
    """List what host names and SRV names lead to, and what was wrong with the last look-up."""
    line.take_nothing()
    lines = []
    for name in desk.estate.pools.hosts():
        lookup = desk.estate.pools.lookup(name)
        lines += [f"{name} leads {show_record(record)}" for record in lookup.records]
        if lookup.answered_at is None:
            lines.append(f"{name} unresolved")
        else:
            lines.append(f"{name} age {max(0, int(desk.now - lookup.answered_at))}")
        lines += [f"{name} kept {lookup.kept}"] if lookup.kept else []
        lines += [f"{name} dropped {lookup.dropped}"] if lookup.dropped else []
        lines += [f"{name} failed {lookup.detail}"] if lookup.detail else []
    return Lines(tuple(lines))


def backends(desk: Desk, line: Line) -> Reply:
    """List how many connections are open to each node."""
    line.take_nothing()
    rows = sorted(desk.estate.pools.rows().items())
    counted = [(address, desk.estate.stats.node(row)["open"]) for address, row in rows]
    return Lines(tuple(f"{address} {n}" for address, n in counted if n))


NODES_HELP = "counters of a node, or of all"

COMMANDS = (
    Command(
        "show",
        "SHOW {SERVICE|POOL} [<name>]",
        "list services or pools, or describe one",
        show,
        example="show pool mypool",
        reads=True,
    ),
    Command("nodes", "nodes [<address>[:<port>]]", NODES_HELP, nodes, example="nodes", reads=True),
    Command(
        "node", "node [<address>[:<port>]]", NODES_HELP, nodes, example="node 127.0.0.1:8001", reads=True
    ),
    Command(
        "backends", "backends", "connections open to each node", backends, example="backends", reads=True
    ),
    Command(
        "names",
        "names",
        "what host names lead to: addresses, seconds since the answer, failures",
        names,
        example="names",
        reads=True,
    ),
)
