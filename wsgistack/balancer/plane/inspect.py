"""What the admin port asks of a worker, from the rows of its connections; pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["describe"]

Row = dict[str, Any]


def describe(question: str, rows: list[Row]) -> list[Row]:
    """Return the answer to *question* over the plane's rows.

    `socks`: the rows themselves.  `states`: {kind, state, service, count}.  `pending`:
    {service, node, age} per connection being opened, age in seconds.  `waiting`: {service,
    lane, count, age} of requests that have no connection yet, age of the oldest in seconds; the lane is
    normal, highpri or lowpri.
    Raises ValueError for another question.
    """
    if question not in ANSWERS:
        raise ValueError(f"question: {question!r} is not one of {', '.join(ANSWERS)}")
    return ANSWERS[question](rows)


def _socks(rows: list[Row]) -> list[Row]:
    return rows


def _states(rows: list[Row]) -> list[Row]:
    counts = Counter((r["kind"], r["state"], r["service"]) for r in rows if r["kind"] != "listener")
    return [
        {"kind": kind, "state": state, "service": service, "count": n}
        for (kind, state, service), n in sorted(counts.items())
    ]


def _pending(rows: list[Row]) -> list[Row]:
    return [
        {"service": r["service"], "node": r["node"], "age": r["since"]}
        for r in rows
        if r["kind"] == "node" and r["state"] in ("connecting", "verifying_backend")
    ]


def _waiting(rows: list[Row]) -> list[Row]:
    waits: dict[tuple[str, str], list[float]] = {}
    for r in rows:
        if r.get("waited") is not None:
            waits.setdefault((r["service"], r["lane"]), []).append(r["waited"])
    return [
        {"service": service, "lane": lane, "count": len(w), "age": max(w)}
        for (service, lane), w in sorted(waits.items())
    ]


ANSWERS = {"socks": _socks, "states": _states, "pending": _pending, "waiting": _waiting}
