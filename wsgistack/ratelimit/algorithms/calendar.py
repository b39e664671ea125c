"""A window of the calendar: a day, a month, a year in a time zone, as quotas are sold.

The window begins at local midnight (a week on Monday), or at the full minute or hour; what was not
used is lost.  Its borders follow the zone's rules: a day may have 23 or 25 hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "NAME", "Calendar", "make", "window_end"]

NAME = "calendar"
HELP = "so many per minute, hour, day, week, month or year of the calendar in a time zone"

State = tuple[int, int]  # (when the window ends, used in it)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SPANS_S = {"minute": 60, "hour": 3600}  # they do not depend on a date


class Calendar:
    """Counter of a rate; the state is (end of the window, units used in it)."""

    __slots__ = ("_amount", "_unit", "_zone")

    def __init__(self, rate: Rate) -> None:
        self._amount = rate.amount
        self._unit = rate.calendar
        self._zone = rate.zone

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """See Counter."""
        used = 0 if state is None or state[0] <= now else state[1]
        end = state[0] if used and state is not None else window_end(self._unit, self._zone, now)
        if used + cost <= self._amount:
            return 0, (end, used + cost)
        return (end - now if cost <= self._amount else NEVER), state

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """See Counter; a debt ends with its window."""
        if state is None or state[0] <= now:
            return (window_end(self._unit, self._zone, now), cost)
        return state[0], state[1] + cost

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """See Counter."""
        if state is None or state[0] != taken[0]:
            return state
        return state[0], max(state[1] - cost, 0)

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """See Counter."""
        if state is None or state[0] <= now or not state[1]:
            return self._amount, 0
        return max(self._amount - state[1], 0), state[0] - now

    def ends_at(self, state: State) -> int:
        """See Counter."""
        return state[0]


def window_end(unit: str, zone: str, now: int) -> int:
    """Return when the calendar's *unit* that holds *now* ends in *zone*, in microseconds.

    >>> window_end("day", "Europe/Berlin", 1_774_738_800_000_000) // 1_000_000  # spring, 23 hours
    1774821600
    """
    if unit == "minute" or (unit == "hour" and zone == "UTC"):
        span = SPANS_S[unit] * 1_000_000
        return (now // span + 1) * span
    return _find_end(unit, zone, now // 60_000_000)


@lru_cache(maxsize=256)
def _find_end(unit: str, zone: str, minute: int) -> int:
    local = (EPOCH + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))
    if unit == "hour":
        # An hour is 60 minutes also where the clocks change; some zones are half an hour off.
        return (minute + 60 - local.minute) * 60_000_000
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    end = _add(unit, midnight).replace(tzinfo=ZoneInfo(zone))
    return round((end.astimezone(UTC) - EPOCH) / timedelta(microseconds=1))


def _add(unit: str, midnight: datetime) -> datetime:
    day = midnight.replace(tzinfo=None)
    if unit == "day":
        return day + timedelta(days=1)
    if unit == "week":
        return day + timedelta(days=7 - day.weekday())
    if unit == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day.replace(year=day.year + 1, month=1, day=1)


def make(rate: Rate) -> Calendar:
    """Return the counter of *rate*."""
    return Calendar(rate)
