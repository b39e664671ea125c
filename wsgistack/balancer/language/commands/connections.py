"""pending, queues, states, socks: what the workers' connections are doing right now."""

from __future__ import annotations

from collections import Counter

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ask, Lines, Reply, Row
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]

# Monitoring scripts know these names.
CLASSES = {
    "client": "Perlbal::ClientProxy",
    "node": "Perlbal::BackendHTTP",
    "listener": "Perlbal::TCPListener",
    "manage": "Perlbal::ClientManage",
}
QUEUES = ("normal", "highpri", "lowpri")
MODES = ("all", "summary")


def pending(desk: Desk, line: Line) -> Reply:
    """List the node connections that are being opened, with their age in seconds."""
    line.take_nothing()

    def render(rows: list[list[Row]]) -> list[str]:
        found = sorted((str(row["service"]), str(row["node"]), int(row["age"])) for row in _flat(rows))
        return [f"{service} {node} {age}" for service, node, age in found]

    return Ask("pending", render)


def queues(desk: Desk, line: Line) -> Reply:
    """List how many requests wait for a node, and for how many seconds the oldest has."""
    line.take_nothing()
    services = desk.estate.services.publish().values()
    names = sorted(service.name for service in services if service.role == "reverse_proxy")

    def render(rows: list[list[Row]]) -> list[str]:
        waiting = _flat(rows)
        lines = []
        for name in names:
            for queue in QUEUES:
                mine = [row for row in waiting if (row["service"], row["lane"]) == (name, queue)]
                age = max((int(row["age"]) for row in mine), default=0)
                count = sum(int(row["count"]) for row in mine)
                lines += [f"{name}-{queue}.age {age}", f"{name}-{queue}.count {count}"]
        return lines

    return Ask("waiting", render)


def states(desk: Desk, line: Line) -> Reply:
    """Count the connections by class and state, of one service or of all."""
    name = line.match(rf"({NAME})?")[1]
    if name is not None:
        name = desk.estate.services.get(name.lower(), "Service not found.").name

    def render(rows: list[list[Row]]) -> list[str]:
        counts: Counter[tuple[str, str]] = Counter()
        for row in _flat(rows):
            if name in (None, row.get("service")):
                counts[_class(row), str(row["state"])] += int(row.get("count", 1))
        return [f"{kind} {state} {n}" for (kind, state), n in sorted(counts.items())]

    return Ask("states", render)


def socks(desk: Desk, line: Line) -> Reply:
    """List the connections and listeners, or count them."""
    mode = (line.match(r"(\w+)?")[1] or "all").lower()
    if mode in MODES:
        return Ask("socks", _summary if mode == "summary" else _all)
    if nearest := find_nearest(mode, MODES):
        raise CommandError(
            f"socks: '{line.rest}' is not one of {', '.join(MODES)}", met=line.rest, nearest=nearest
        )
    return Lines(())  # as Perlbal


def _summary(rows: list[list[Row]]) -> list[str]:
    counts = Counter(_class(row) for row in _flat(rows))
    kept = sum(int(row.get("buffered", 0)) for row in _flat(rows))
    return [
        *(f"{n:5d} {kind}" for kind, n in sorted(counts.items())),
        f"Aggregate write buffer: {kept / 1024:.1f}k",
        "            Open files: 0",
    ]


def _all(rows: list[list[Row]]) -> list[str]:
    found = sorted((int(row["fd"]), _describe(row), int(row["age"])) for row in _flat(rows))
    return ["   fd    age", *(f"{fd:5d} {age:5d}s {text}" for fd, text, age in found)]


def _describe(row: Row) -> str:
    head = f"{_class(row)}(R): open"
    if row["kind"] == "listener":
        return f"{head}: listening on {row.get('local')} for service '{row.get('service')}'"
    head += f" to {row.get('peer')}"
    if row["kind"] == "manage":
        return head
    parts = [f"localport={row['local'].rpartition(':')[2]}"] if row.get("local") else []
    if row["kind"] == "client":
        parts += [f"reqs={row.get('requests', 0)}", str(row["state"])]
        parts += [str(row["target"])] if row.get("target") else []
        parts += [f"backend={row['node']}"] if row.get("node") else []
    else:
        parts += [f"client={row['client']}"] if row.get("client") is not None else []
        parts += [f"uses={row.get('requests', 0)}", str(row["state"])]
    return f"{head}: {'; '.join(parts)}"


def _flat(rows: list[list[Row]]) -> list[Row]:
    return [row for worker in rows for row in worker]


def _class(row: Row) -> str:
    return CLASSES.get(str(row["kind"]), str(row["kind"]))


COMMANDS = (
    Command(
        "pending",
        "pending",
        "node connections being opened: service, node, seconds",
        pending,
        example="pending",
        reads=True,
    ),
    Command("queues", "queues", "requests that wait for a node", queues, example="queues", reads=True),
    Command(
        "states",
        "states [<service>]",
        "connections by class and state",
        states,
        example="states mysite",
        reads=True,
    ),
    Command(
        "socks",
        "socks [all|summary]",
        "all connections and listeners",
        socks,
        example="socks summary",
        reads=True,
    ),
)
