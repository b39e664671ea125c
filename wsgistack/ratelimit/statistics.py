"""How decisions turn out, by limit and hour, and how long they take: for who runs the service.

Rows of figures as those of the meter (see rows): of a limit how many it let pass, how many of them
with little left, how many it refused; of the times of decisions how many were within a bound.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from wsgistack import forks
from wsgistack.ratelimit.rows import COLUMNS, Row, RowFile, Usage, list_held, merge, read_folder

__all__ = ["BOUNDS_US", "OUTCOMES", "TIMES", "Outcomes", "Statistics", "find_times", "near_ratio"]

HOUR_US = 3_600_000_000
OUTCOMES = ("passed", "near", "refused", "would_refuse")  # the first counts of a limit's row
TIMES = "(decision)"  # in the place of a limit: its rows count decisions, and the microseconds they took
BOUNDS_US = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
ABOVE = b"+Inf"
BOUND_KEYS = (*[str(bound).encode() for bound in BOUNDS_US], ABOVE)

Outcomes = Iterable[tuple[str, str]]  # (name of a limit, one of OUTCOMES)


class Statistics:
    """Counts in memory, or below *folder* if one is given.  Exact, for threads and greenlets."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.forked()
        forks.register(self)

    def forked(self) -> None:
        """Begin anew: the rows are the parent's."""
        self._lock = threading.Lock()
        self._hours: dict[int, dict[tuple[str, bytes], Row]] = {}
        self._hour = -1
        self._rows: dict[tuple[str, bytes], Row] = {}
        self._file: RowFile | None = None

    def note(self, now_us: int, outcomes: Outcomes, took_us: int) -> None:
        """Count a decision: what became of it under each limit, and how long it took."""
        hour = now_us // HOUR_US
        with self._lock:
            if hour > self._hour:
                self._begin(hour)
            for limit, outcome in outcomes:
                self._row(limit, b"")[OUTCOMES.index(outcome)] += 1
            row = self._row(TIMES, BOUND_KEYS[bisect_left(BOUNDS_US, took_us)])
            row[0] += 1
            row[1] += took_us

    def rows(self, *, since: int = 0) -> list[Usage]:
        """Return what was counted from the hour *since* on, by all processes if there is a folder."""
        rows = [] if self._folder is None else list(read_folder(self._folder, since=since, kind="limits"))
        with self._lock:
            rows += list_held(self._hours, since)
        return merge(rows)

    def _row(self, limit: str, key: bytes) -> Row:
        row = self._rows.get((limit, key))
        if row is None:
            row = self._rows[limit, key] = self._make(limit, key)
        return row

    def _make(self, limit: str, key: bytes) -> Row:
        if self._folder is not None:
            try:
                if self._file is None:
                    self._file = RowFile(self._folder, self._hour, kind="limits")
                return self._file.add(limit, key)
            except OSError:
                self._folder = None  # the meter tells of it: its rows are in the same folder
        return [0] * len(COLUMNS)

    def _begin(self, hour: int) -> None:
        kept = {one: rows for one, rows in self._hours.items() if one == self._hour}
        self._hour, self._rows, self._file = hour, {}, None
        self._hours = {**kept, hour: self._rows}  # an hour that is over, and this one


def near_ratio(counts: Sequence[int]) -> float:
    """Return which share of what a limit let pass had little left: of a row's *counts*."""
    passed, near = counts[:2]
    return near / (passed + near) if passed + near else 0.0


def find_times(rows: Iterable[Usage], hour: int) -> tuple[list[int], int] | None:
    """Return of an hour how many decisions took at most each of BOUNDS_US, then all; and their sum in us.

    None where there were none.
    """
    counts = {row.key: row.counts for row in rows if row.rule == TIMES and row.hour == hour}
    if not counts:
        return None
    total, cumulated = 0, []
    for key in BOUND_KEYS:
        total += counts[key][0] if key in counts else 0
        cumulated.append(total)
    return cumulated, sum(row[1] for row in counts.values())
