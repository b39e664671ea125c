"""Where windows of the calendar end."""

from datetime import UTC, datetime

import pytest

from wsgistack.ratelimit.algorithms.calendar import window_end


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("unit", "zone", "now", "end"),
    [
        ("minute", "UTC", "2026-11-25T20:10:59.999999+00:00", "2026-11-25T20:11:00+00:00"),
        ("hour", "UTC", "2026-11-25T20:00:00+00:00", "2026-11-25T21:00:00+00:00"),
        ("hour", "Asia/Kolkata", "2026-11-25T20:10:00+00:00", "2026-11-25T20:30:00+00:00"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25T01:00:00+00:00"),
        ("day", "UTC", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
        ("day", "Europe/Berlin", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("day", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-26T00:00:00+01:00"),
        ("week", "UTC", "2026-11-25T20:00:00+00:00", "2026-11-30T00:00:00+00:00"),
        ("week", "UTC", "2026-11-30T00:00:00+00:00", "2026-12-07T00:00:00+00:00"),
        ("month", "UTC", "2028-02-29T12:00:00+00:00", "2028-03-01T00:00:00+00:00"),
        ("month", "America/New_York", "2026-11-01T03:59:59+00:00", "2026-11-01T04:00:00+00:00"),
        ("year", "UTC", "2028-02-29T12:00:00+00:00", "2029-01-01T00:00:00+00:00"),
        ("year", "Pacific/Kiritimati", "2026-12-31T10:00:00+00:00", "2028-01-01T00:00:00+14:00"),
    ],
)
def test_a_window_ends_where_the_calendar_says(unit: str, zone: str, now: str, end: str) -> None:
    assert window_end(unit, zone, us(now)) == us(end)


@pytest.mark.parametrize("unit", ["minute", "hour", "day", "week", "month", "year"])
def test_a_window_ends_after_now_and_the_next_one_begins_there(unit: str) -> None:
    now = us("2026-02-28T23:59:59+00:00")
    for _ in range(30):
        end = window_end(unit, "Europe/Berlin", now)
        assert now < end <= now + 367 * 86400 * 1_000_000
        assert datetime.fromtimestamp(end / 1e6, UTC).second == 0
        now = end
