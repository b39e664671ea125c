"""What a limit is, and the language in which people write it.

    limits   = limit *( (";" / ",") limit )
    limit    = "unlimited" / rate
    rate     = amount [size] ("/" / "per") window *option  /  amount "concurrent"
    window   = [number] unit  /  "calendar" unit [zone]
    option   = "burst" amount [size] / "nodelay" / "delay" ["="] amount / algorithm
    algorithm = "gcra" / "fixed" / "sliding" / "exact" / the name of another file in algorithms/
    size     = "bytes" / "kb" / "mb" / "gb"
    unit     = "ms" / "second" / "minute" / "hour" / "day" / "week" / "month" / "year" (and short forms)

A month that is no calendar month has 30 days, a year 365.

>>> [str(rate) for rate in parse_rates("100/minute; 5 per 2 s burst 7 delay=3")]
['100/minute', '5/2 seconds burst 7 delay 3']
"""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from wsgistack.errors import RateError
from wsgistack.registry import find_nearest

__all__ = ["CALENDAR_UNITS", "UNLIMITED", "Rate", "parse_rates", "parse_window", "show_window"]

MOST = 10**12  # of an amount: RFC 9651 integers end below 10**15
LONGEST_WINDOW_US = 100 * 365 * 86_400_000_000
LONGEST_DELAY_S = 10  # that a request may wait for its turn: clients and servers give up after 30

UNITS_US = {
    "ms": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 7 * 86_400_000_000,
    "month": 30 * 86_400_000_000,
    "year": 365 * 86_400_000_000,
}
SHORT_FORMS = {
    "millisecond": "ms",
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "y": "year",
}
SIZES = {"byte": 1, "bytes": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
CALENDAR_UNITS = ("minute", "hour", "day", "week", "month", "year")
# Each is the name of a file; calendar and concurrent rates are written in other words.
WRITTEN_APART = ("calendar", "concurrent")
ALGORITHMS = tuple(
    found.name
    for found in pkgutil.iter_modules([str(Path(__file__).with_name("algorithms"))])
    if found.name not in WRITTEN_APART
)

TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?|[A-Za-z][A-Za-z0-9_]*|\S")
ZONE = re.compile(r"[^\s;,]+")


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit as a value; `str` writes it so that `parse_rates` reads it back.

    At most *amount* units (requests, or bytes where *in_bytes*) per *window_us* microseconds.
    *burst*: how many may come at once (gcra only, elsewhere the amount).  *algorithm* names the
    file of algorithms/ that decides.  *calendar* and *zone*: the window is that unit of the
    calendar in that time zone, and window_us its usual length.  A concurrent rate has no window.
    *at_once*: how many of a burst are served as they come, where the others wait for their turn; 0: all.
    """

    amount: int
    window_us: int
    algorithm: str = "gcra"
    burst: int = 0
    in_bytes: bool = False
    calendar: str = ""
    zone: str = ""
    at_once: int = 0

    @property
    def quota_unit(self) -> str:
        """The `qu` of draft-ietf-httpapi-ratelimit-headers-10 §3.1.2."""
        if self.algorithm == "concurrent":
            return "concurrent-requests"
        return "content-bytes" if self.in_bytes else "requests"

    @property
    def parts(self) -> int:
        """Into how many parts a microsecond is cut, so that a unit takes a whole number of them.

        >>> [rate.parts for rate in parse_rates("100/minute; 7/second")]
        [1, 7]
        """
        return self.amount // (gcd(self.amount, self.window_us) or 1)

    def __str__(self) -> str:
        if self.algorithm == "unlimited":
            return "unlimited"
        amount = _show_amount(self.amount, self.in_bytes)
        if self.algorithm == "concurrent":
            return f"{amount} concurrent"
        if self.calendar:
            return f"{amount}/calendar {self.calendar} {self.zone}"
        text = f"{amount}/{show_window(self.window_us)}"
        if self.algorithm == "gcra":
            burst = f" burst {_show_amount(self.burst, self.in_bytes)}"
            delay = f" delay {self.at_once}" if self.at_once else ""
            return text + (burst if self.burst != self.amount else "") + delay
        return f"{text} {self.algorithm}"


UNLIMITED = Rate(0, 0, "unlimited")


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Return the limits that *text* lists, in order.

    Raises RateError with the column of what was not understood, what was expected, and the
    nearest word.
    """
    reader = _Reader(text)
    rates = [_parse_limit(reader)]
    while reader.take(";", ","):
        if reader.at_end and rates:
            break  # a trailing separator is no mistake
        rates.append(_parse_limit(reader))
    if not reader.at_end:
        reader.refuse("the end, ';' or an option", *ALGORITHMS, "burst", "delay", "nodelay")
    return tuple(rates)


def parse_window(text: str) -> int:
    """Return the microseconds of a window such as `15 minutes`, `hour` or `500ms`; raises RateError."""
    reader = _Reader(text)
    window_us = _parse_window(reader)
    if not reader.at_end:
        reader.refuse("the end")
    return window_us


class _Reader:
    """The tokens of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = [(found.group(), found.start()) for found in TOKEN.finditer(text)]
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    @property
    def token(self) -> str:
        return "" if self.at_end else self._tokens[self._at][0]

    def take(self, *words: str) -> str:
        """Return and pass the next token if it is one of *words* in any case, else ''."""
        word = self.token.lower()
        if word in words:
            self._at += 1
            return word
        return ""

    def pass_on(self) -> str:
        """Return the next token and pass it."""
        token = self.token
        self._at += 1
        return token

    def zone(self) -> str:
        """Return the name of a time zone that comes next, slashes and all; '' if nothing does."""
        if self.at_end or self.token in (";", ","):
            return ""
        found = ZONE.match(self.text, self._tokens[self._at][1])
        assert found is not None
        return found.group()

    def pass_to(self, position: int) -> None:
        """Pass all tokens before *position*."""
        while not self.at_end and self._tokens[self._at][1] < position:
            self._at += 1

    @property
    def position(self) -> int:
        """Where the next token begins."""
        return len(self.text) if self.at_end else self._tokens[self._at][1]

    def refuse(self, expected: str, *words: str) -> NoReturn:
        """Raise RateError: something else was *expected* here, one of *words* perhaps."""
        column = self.position + 1
        met = f"'{self.token}'" if self.token else "the end"
        nearest = find_nearest(self.token.lower().removesuffix("s"), words) if self.token else None
        raise RateError(
            f"{self.text!r}, column {column}: met {met}, expected {expected}", column=column, nearest=nearest
        )


def _parse_limit(reader: _Reader) -> Rate:
    if reader.take("unlimited"):
        return UNLIMITED
    amount, in_bytes = _parse_amount(reader, "an amount or 'unlimited'", "unlimited")
    if reader.take("concurrent"):
        return Rate(amount, 0, "concurrent", burst=amount)
    if not reader.take("/", "per"):
        reader.refuse("'/', 'per' or 'concurrent'", "per", "concurrent", *([] if in_bytes else SIZES))
    if reader.take("calendar"):
        return _parse_calendar(reader, amount, in_bytes)
    window_us = _parse_window(reader)
    return _parse_options(reader, amount, window_us, in_bytes)


def _parse_amount(reader: _Reader, expected: str, *words: str) -> tuple[int, bool]:
    if not re.fullmatch(r"[0-9]{1,13}", reader.token):
        reader.refuse(expected, *words)
    amount = int(reader.token)
    if not 1 <= amount <= MOST:
        reader.refuse(f"a number from 1 to {MOST}")
    reader.pass_on()
    size = reader.take(*SIZES)
    if size and amount * SIZES[size] > MOST:
        reader.refuse(f"at most {MOST} bytes before this")
    return (amount * SIZES[size], True) if size else (amount, False)


def _parse_window(reader: _Reader) -> int:
    count = 1.0
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", reader.token):
        count = float(reader.pass_on())
    unit = _parse_unit(reader)
    window_us = round(count * UNITS_US[unit])
    if not 1 <= window_us <= LONGEST_WINDOW_US:
        raise RateError(f"{reader.text!r}: a window of {count:g} {unit}s is not from 1 us to 100 years")
    return window_us


def _parse_unit(reader: _Reader) -> str:
    word = reader.token.lower()
    for unit in (word, word.removesuffix("s")):
        if unit in UNITS_US or unit in SHORT_FORMS:
            reader.pass_on()
            return SHORT_FORMS.get(unit, unit)
    reader.refuse("a unit of time such as 'minute'", *UNITS_US, "calendar")


def _parse_calendar(reader: _Reader, amount: int, in_bytes: bool) -> Rate:
    if reader.token.lower() not in CALENDAR_UNITS:
        reader.refuse(f"one of {', '.join(CALENDAR_UNITS)}", *CALENDAR_UNITS)
    unit = reader.pass_on().lower()
    zone = reader.zone() or "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        reader.refuse("the end or a time zone such as UTC or Europe/Berlin")
    if reader.zone():
        reader.pass_to(reader.position + len(zone))
    return Rate(amount, UNITS_US[unit], "calendar", amount, in_bytes, unit, zone)


def _parse_options(reader: _Reader, amount: int, window_us: int, in_bytes: bool) -> Rate:
    algorithm, burst, at_once = "", amount, 0
    while True:
        place = reader.position
        word = reader.take("burst", "delay", "nodelay", *ALGORITHMS)
        if not word:
            break
        if word == "burst":
            burst, is_size = _parse_amount(reader, "the amount of a burst")
            if is_size and not in_bytes:
                raise RateError(f"{reader.text!r}: a burst of bytes in a limit of requests")
        elif word == "delay":
            reader.take("=")
            at_once, _ = _parse_amount(reader, "how many of a burst are served at once")
        elif word == "nodelay":
            at_once = 0
        elif algorithm:
            text = f"{reader.text!r}, column {place + 1}: met '{word}' behind '{algorithm}', one algorithm is meant"
            raise RateError(text, column=place + 1)
        else:
            algorithm = word
    algorithm = algorithm or "gcra"
    if burst != amount and algorithm != "gcra":
        raise RateError(f"{reader.text!r}: a burst goes with gcra only, not with '{algorithm}'")
    rate = Rate(amount, window_us, algorithm, burst, in_bytes, at_once=at_once)
    if at_once:
        _check_delay(reader.text, rate)
    return rate


def _check_delay(text: str, rate: Rate) -> None:
    if rate.algorithm != "gcra" or rate.in_bytes:
        what = "bytes" if rate.in_bytes else f"'{rate.algorithm}'"
        raise RateError(f"{text!r}: a delay goes with gcra and requests only, not with {what}")
    if rate.at_once > rate.burst:
        raise RateError(f"{text!r}: a delay after {rate.at_once} of a burst of {rate.burst}")
    longest_s = (rate.burst - rate.at_once) * rate.window_us / rate.amount / 1e6
    if longest_s > LONGEST_DELAY_S:
        told = (
            f"a request would wait up to {longest_s:g} s for its turn, at most {LONGEST_DELAY_S} s are meant"
        )
        raise RateError(f"{text!r}: {told}: a smaller burst, or a larger delay")


def _show_amount(amount: int, in_bytes: bool) -> str:
    if not in_bytes:
        return str(amount)
    for size in ("gb", "mb", "kb"):
        if amount % SIZES[size] == 0:
            return f"{amount // SIZES[size]} {size}"
    return f"{amount} bytes"


def show_window(window_us: int) -> str:
    """Return the text that `parse_window` reads as *window_us*."""
    for unit in ("year", "week", "day", "hour", "minute", "second"):
        count, rest = divmod(window_us, UNITS_US[unit])
        if rest == 0:
            return unit if count == 1 else f"{count} {unit}s"
    return f"{window_us / UNITS_US['ms']:.3f}".rstrip("0").rstrip(".") + " ms"
