"""Dates of HTTP: read in all three forms, written in one.  RFC 9110 §5.6.7

Only what the grammar allows is a date, but for the case of its letters: a cache that reads more than
the origin wrote keeps pages too long.
"""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache

from wsgistack.memos import remember

__all__ = ["format_date", "parse_date"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
FORMS = [
    # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
    rf"(?:{'|'.join(DAYS)}), (?P<day>[0-9]{{2}}) {MONTH} (?P<year>[0-9]{{4}}) {CLOCK} gmt",
    # rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
    rf"(?:{'|'.join(LONG_DAYS)}), (?P<day>[0-9]{{2}})-{MONTH}-(?P<year>[0-9]{{2}}) {CLOCK} gmt",
    # asctime-date: Sun Nov  6 08:49:37 1994
    rf"(?:{'|'.join(DAYS)}) {MONTH} (?P<day>[0-9]{{2}}| [0-9]) {CLOCK} (?P<year>[0-9]{{4}})",
]
READERS = [re.compile(form, re.ASCII) for form in FORMS]
LONGEST = 40


@remember(4096, longest=64)
def parse_date(text: str) -> int | None:
    """Return the seconds since the epoch, None for what is no date.

    A year of two digits is the nearest one that is not over 50 years ahead of today.

    >>> parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), parse_date("Sunday, 06-Nov-94 08:49:37 GMT")
    (784111777, 784111777)
    >>> parse_date("Sun Nov  6 08:49:37 1994"), parse_date("Sun, 06 Nov 1994 08:49:37 UTC")
    (784111777, None)
    """
    if len(text) > LONGEST:
        return None
    found = next((match for reader in READERS if (match := reader.fullmatch(text.lower()))), None)
    if found is None:
        return None
    year, day, month = int(found["year"]), int(found["day"]), MONTHS.index(found["month"]) + 1
    if len(found["year"]) == 2:
        year = _full_year(year)
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if not (year >= 1 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _full_year(two_digits: int) -> int:
    this_year = time.gmtime().tm_year  # RFC 9110 asks for today; the only look at a clock in this room
    year = this_year // 100 * 100 + two_digits
    return year - 100 if year > this_year + 50 else year


@lru_cache(maxsize=256)
def format_date(seconds: int) -> str:
    """Return *seconds* since the epoch as an IMF-fixdate.

    >>> format_date(784111777)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    names = f"{DAYS[weekday].title()}, {day:02} {MONTHS[month - 1].title()}"
    return f"{names} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
