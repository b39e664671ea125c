"""What was metered, for people and programs: JSON, CSV, and Prometheus' text.

>>> row = Usage(498_888, "api", bytes([192, 0, 2, 1]), (0, 5, 0, 1, 0, 1, 0))
>>> print(to_csv([row]), end="")
hour,rule,key,1xx,2xx,3xx,4xx,5xx,refused,would_refuse
2026-11-30T00:00Z,api,192.0.2.1,0,5,0,1,0,1,0
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Protocol

from wsgistack.ratelimit.rows import COLUMNS, Usage
from wsgistack.ratelimit.statistics import BOUNDS_US, OUTCOMES, TIMES, find_times, near_ratio

__all__ = ["FORMATS", "show_hour", "show_key", "to_csv", "to_json", "to_prometheus"]

STATUSES = COLUMNS[:5]
MOST_KEYS = 20  # series of keys for each rule: a time series database dislikes more
SHORTEST_HASH = 16


def show_key(key: bytes) -> str:
    """Return how people read a key: an address, a network, a word, or a hash in hexadecimal digits.

    >>> show_key(bytes([192, 0, 2, 1])), show_key(bytes.fromhex("20010db800010002")), show_key(b"*")
    ('192.0.2.1', '2001:db8:1:2::/64', '*')
    """
    if len(key) == 4:
        return str(ip_address(key))
    if key.isascii() and key.decode().isprintable():
        return key.decode()
    if 5 <= len(key) < SHORTEST_HASH:
        return f"{ip_address(key.ljust(16, bytes(1)))}/{len(key) * 8}"
    return key.hex()


def show_hour(hour: int) -> str:
    """Return when an hour begins, in UTC."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _records(rows: Iterable[Usage]) -> list[dict[str, object]]:
    return [
        {
            "hour": show_hour(row.hour),
            "rule": row.rule,
            "key": show_key(row.key),
            **dict(zip(COLUMNS, row.counts, strict=True)),
        }
        for row in rows
    ]


def to_json(rows: Sequence[Usage], figures: Sequence[Usage] = ()) -> str:
    """Return one object with all rows, and with *figures*: rows of statistics."""
    limits = [
        {
            "hour": show_hour(row.hour),
            "limit": row.rule,
            **dict(zip(OUTCOMES, row.counts, strict=False)),
            "near_ratio": round(near_ratio(row.counts), 4),
        }
        for row in figures
        if row.rule != TIMES
    ]
    times = []
    for hour in sorted({row.hour for row in figures}):
        found = find_times(figures, hour)
        if found is not None:
            at_most = dict(zip([*map(str, BOUNDS_US), "+Inf"], found[0], strict=True))
            times.append({"hour": show_hour(hour), "sum_us": found[1], "at_most_us": at_most})
    return json.dumps({"usage": _records(rows), "limits": limits, "decisions": times}, indent=1) + "\n"


def to_csv(rows: Sequence[Usage], figures: Sequence[Usage] = ()) -> str:
    """Return a line for each row, behind the names of the columns; nothing of *figures*."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["hour", "rule", "key", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    for record in _records(rows):
        # A key is never a formula, whatever opens the file (CWE-1236).
        key = str(record["key"])
        writer.writerow(
            {**record, "key": f"'{key}" if key[:1] in ("=", "+", "-", "@") and len(key) > 1 else key}
        )
    return out.getvalue()


def to_prometheus(rows: Sequence[Usage], figures: Sequence[Usage] = ()) -> str:
    """Return the text of the last two hours: counters by rule and hour, the heaviest keys, and *figures*.

    An hour is a label, so that no series ever goes back.
    """
    newest = max([row.hour for row in rows], default=0)
    rows = [row for row in rows if row.hour >= newest - 1]
    lines = [
        "# HELP wsgistack_ratelimit_requests_total Requests by rule, status class and hour.",
        "# TYPE wsgistack_ratelimit_requests_total counter",
    ]
    totals: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        sums = totals.setdefault((row.hour, row.rule), [0] * len(COLUMNS))
        for number, count in enumerate(row.counts):
            sums[number] += count
    for (hour, rule), sums in sorted(totals.items()):
        labels = f'rule="{rule}",hour="{show_hour(hour)}"'
        lines += [
            f'wsgistack_ratelimit_requests_total{{{labels},status="{status}"}} {count}'
            for status, count in zip(STATUSES, sums, strict=False)
        ]
    for number, name in enumerate(COLUMNS[5:], 5):
        metric = f"wsgistack_ratelimit_{name}_total"
        lines += [f"# HELP {metric} Requests by rule and hour: {name}.", f"# TYPE {metric} counter"]
        lines += [
            f'{metric}{{rule="{rule}",hour="{show_hour(hour)}"}} {sums[number]}'
            for (hour, rule), sums in sorted(totals.items())
        ]
    newest_figures = max([row.hour for row in figures], default=0)
    recent = [row for row in figures if row.hour >= newest_figures - 1]
    return "\n".join([*lines, *_heaviest(rows, newest), *_outcomes(recent), *_times(recent)]) + "\n"


def _outcomes(figures: Sequence[Usage]) -> list[str]:
    metric = "wsgistack_ratelimit_decisions_total"
    lines = [
        f"# HELP {metric} Decisions by limit, hour and outcome; near: a fifth or less was left.",
        f"# TYPE {metric} counter",
    ]
    for row in figures:
        if row.rule != TIMES:
            labels = f'limit="{row.rule}",hour="{show_hour(row.hour)}"'
            lines += [
                f'{metric}{{{labels},outcome="{outcome}"}} {count}'
                for outcome, count in zip(OUTCOMES, row.counts, strict=False)
            ]
    return lines


def _times(figures: Sequence[Usage]) -> list[str]:
    metric = "wsgistack_ratelimit_decision_seconds"
    lines = [f"# HELP {metric} How long decisions took, by hour.", f"# TYPE {metric} histogram"]
    bounds = [*[f"{bound / 1e6:.6f}".rstrip("0") for bound in BOUNDS_US], "+Inf"]
    for hour in sorted({row.hour for row in figures}):
        found = find_times(figures, hour)
        if found is not None:
            label = f'hour="{show_hour(hour)}"'
            lines += [
                f'{metric}_bucket{{{label},le="{bound}"}} {count}'
                for bound, count in zip(bounds, found[0], strict=True)
            ]
            lines += [
                f"{metric}_sum{{{label}}} {found[1] / 1e6:.6f}",
                f"{metric}_count{{{label}}} {found[0][-1]}",
            ]
    return lines


def _heaviest(rows: Sequence[Usage], hour: int) -> list[str]:
    metric = "wsgistack_ratelimit_key_requests"
    lines = [
        f"# HELP {metric} Requests of this hour by the heaviest keys of each rule.",
        f"# TYPE {metric} gauge",
    ]
    by_rule: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        if row.hour == hour:
            by_rule.setdefault(row.rule, []).append((sum(row.counts[:5]), show_key(row.key)))
    for rule, counted in sorted(by_rule.items()):
        heaviest = sorted(counted, key=lambda one: (-one[0], one[1]))[:MOST_KEYS]
        lines += [f'{metric}{{rule="{rule}",key="{_label(key)}"}} {count}' for count, key in heaviest]
    return lines


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Show(Protocol):
    """What writes rows, and figures where there are some, as text."""

    def __call__(self, rows: Sequence[Usage], figures: Sequence[Usage] = (), /) -> str: ...


FORMATS: dict[str, tuple[str, Show]] = {
    "json": ("application/json", to_json),
    "csv": ("text/csv; charset=utf-8", to_csv),
    "prometheus": ("text/plain; version=0.0.4; charset=utf-8", to_prometheus),
}
