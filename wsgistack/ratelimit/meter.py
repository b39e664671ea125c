"""Metering: what each key asked for, by rule, status and hour.

Every request counts once under each rule that was about it, for each key of that rule, in this
process or in a file of this process (see rows): no store is asked, so it costs no round trip.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from wsgistack import forks
from wsgistack.accounts import Hour
from wsgistack.ratelimit.hitters import Hitters
from wsgistack.ratelimit.rows import (
    COLUMNS,
    Row,
    RowFile,
    Usage,
    drop_old,
    list_held,
    make_folder,
    merge,
    read_folder,
)
from wsgistack.ratelimit.statistics import Statistics

__all__ = ["HOUR_US", "OTHERS", "Counted", "Meter"]

HOUR_US = 3_600_000_000
OTHERS = b"(others)"  # the key of those that came when max_keys were known
REFUSED, WOULD_REFUSE = COLUMNS.index("refused"), COLUMNS.index("would_refuse")
log = logging.getLogger(__name__)

Counted = tuple[str, bytes]  # (name of the rule, key)


class Meter(Hour):
    """Counts in memory, or below *folder* if one is given, which processes and restarts share.

    *max_keys*: rows of this process in one hour; further keys are counted together in a row OTHERS of
    their rule, and the heaviest of them are known by estimate.  *keep_hours*: older ones are dropped.
    *rows*: those of the hour that ends at *until_us*, counts by class of status first.
    *statistics*: how the decisions of who counts here turn out.
    Exact, for threads and greenlets; a fork has rows of its own.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        max_keys: int = 100_000,
        keep_hours: int = 35 * 24,
    ) -> None:
        self._folder = None if folder is None else make_folder(folder)
        self._max_keys = max_keys
        self._keep_hours = keep_hours
        self.trouble = ""  # why rows are kept in memory alone, "" where they are not
        self._hours: dict[int, dict[Counted, Row]] = {}
        self._hour = -1
        self.until_us = 0  # the end of that hour
        self.rows = {}
        self._file: RowFile | None = None
        self._hitters: Hitters[Counted] = Hitters()
        self._lock = threading.Lock()
        self.statistics = Statistics(self._folder)
        forks.register(self)

    @property
    def folder(self) -> Path | None:
        """Where the files are, None if counts are in memory."""
        return self._folder

    def count(
        self,
        now_us: int,
        about: Iterable[Counted],
        status: int,
        *,
        refused: Iterable[Counted] = (),
        would_refuse: Iterable[Counted] = (),
    ) -> list[Row]:
        """Count a response of *status* under what it was *about*; return where, for `correct`."""
        column = _column_of(status)
        counted = []
        with self._lock:
            if now_us >= self.until_us:
                self._begin(now_us // HOUR_US)
            rows = self.rows
            for one in about:
                row = rows.get(one)
                if row is None:
                    row = self._add(one)
                row[column] += 1
                counted.append(row)
            for one in refused:
                self._row(one)[REFUSED] += 1
            for one in would_refuse:
                self._row(one)[WOULD_REFUSE] += 1
        return counted

    def correct(self, counted: Iterable[Row], was: int, status: int) -> None:
        """Let what `count` *counted* as *was* be of *status*, in its hour, whichever is now."""
        with self._lock:
            for row in counted:
                row[_column_of(was)] -= 1
                row[_column_of(status)] += 1

    def usage(self, *, since: int = 0) -> list[Usage]:
        """Return what was counted from the hour *since* on, by all processes if there is a folder."""
        rows = [] if self._folder is None else list(read_folder(self._folder, since=since))
        with self._lock:
            rows += list_held(self._hours, since)
        return merge(rows)

    def top(self, count: int) -> list[tuple[str, bytes, int]]:
        """Return the *count* heaviest (rule, key, requests) of this hour, the heaviest first.

        They are exact as long as there are at most max_keys; of further keys, those of this process
        are estimated, never too low.
        """
        totals: dict[Counted, int] = {}
        for _, rule, key, counts in self.usage(since=self._hour):
            if key != OTHERS:
                totals[rule, key] = totals.get((rule, key), 0) + sum(counts[:5])
        with self._lock:
            for (rule, key), estimate, _ in self._hitters.top(count):
                totals[rule, key] = totals.get((rule, key), 0) + estimate
        heaviest = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:count]
        return [(rule, key, total) for (rule, key), total in heaviest]

    def _row(self, one: Counted) -> Row:
        return self.rows.get(one) or self._add(one)

    def _add(self, one: Counted) -> Row:
        if len(self.rows) >= self._max_keys and one[1] != OTHERS:
            self._hitters.add(one)
            return self._row((one[0], OTHERS))
        row = self.rows[one] = self._make(one)
        return row

    def _make(self, one: Counted) -> Row:
        if self._folder is not None and not self.trouble:
            try:
                if self._file is None:
                    self._file = RowFile(self._folder, self._hour)
                return self._file.add(*one)
            except OSError as error:
                self.trouble = f"meter: {self._folder}: {error.strerror}"
                log.error("usage_in_memory reason=%r", self.trouble)
        return [0] * len(COLUMNS)

    def _begin(self, hour: int) -> None:
        self._hour, self.rows, self._file, self.trouble = hour, {}, None, ""
        self.until_us = (hour + 1) * HOUR_US
        self._hitters = Hitters()
        oldest = hour - self._keep_hours
        self._hours[hour] = self.rows
        self._hours = {one: rows for one, rows in self._hours.items() if one > oldest}
        if self._folder is not None:
            # What is in files needs no place here.
            for rows in [rows for one, rows in self._hours.items() if one != hour]:
                for place in [place for place, row in rows.items() if not isinstance(row, list)]:
                    del rows[place]
            try:
                drop_old(self._folder, oldest + 1)
            except OSError as error:
                log.error("usage_not_dropped reason=%r", error.strerror)

    def forked(self) -> None:
        """Begin anew: the rows are the parent's."""
        self._lock = threading.Lock()
        self._hours, self._hour, self.rows, self._file = {}, -1, {}, None
        self.until_us = 0
        self._hitters = Hitters()


def _column_of(status: int) -> int:
    return status // 100 - 1 if 100 <= status < 600 else 0 if status < 100 else 4
