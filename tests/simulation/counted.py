"""Limits in plain Python, each from a log of all that passed: what RateLimit is measured by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from wsgistack.ratelimit.rates import Rate

__all__ = ["About", "Application", "Claim", "Failed", "Log", "Taken"]

LEASE_US = 300_000_000  # of a place whose request does not end
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Taken:
    """So many units that were taken at a time; *full_at*: of a bucket, when it would be full again."""

    at: int
    units: int
    full_at: Fraction = Fraction(0)


@dataclass
class Log:
    """All that was taken under a limit by one key."""

    rate: Rate
    all: list[Taken] = field(default_factory=list)
    level: Fraction | None = None  # of a bucket; None: full
    level_at: int = 0
    opened_at: int | None = None  # when a fixed window began

    def used(self, now: int) -> Fraction:
        """Return how many units count at *now*."""
        rate, kind = self.rate, self.rate.algorithm
        if kind == "gcra":
            return rate.burst - self._level(now)
        if kind == "concurrent":
            return Fraction(sum(one.units for one in self.all if one.at > now - LEASE_US))
        if kind == "exact":
            return Fraction(sum(one.units for one in self.all if one.at > now - rate.window_us))
        if kind == "fixed":
            return Fraction(
                sum(one.units for one in self.all if self._is_open(now) and one.at >= self.opened)
            )
        if kind == "calendar":
            same = self._page(now)
            return Fraction(sum(one.units for one in self.all if self._page(one.at) == same))
        index, passed = divmod(now, rate.window_us)
        this = sum(one.units for one in self.all if one.at // rate.window_us == index)
        before = sum(one.units for one in self.all if one.at // rate.window_us == index - 1)
        return this + Fraction(before * (rate.window_us - passed), rate.window_us)

    def has_room(self, now: int, units: int) -> bool:
        """Tell whether so many may pass."""
        return self.used(now) + units <= self.most

    @property
    def most(self) -> int:
        """How many may ever pass at once."""
        return self.rate.burst if self.rate.algorithm == "gcra" else self.rate.amount

    def left(self, now: int) -> int:
        """Return how many may pass at once."""
        return max(int((self.most - self.used(now)) // 1), 0)

    def take(self, now: int, units: int) -> Taken:
        """Count units, whatever the limit says."""
        if self.rate.algorithm == "fixed" and not self._is_open(now):
            self.opened_at = now
        taken = Taken(now, units)
        if self.rate.algorithm == "gcra":
            self.level, self.level_at = self._level(now) - units, now
            taken.full_at = now + (self.most - self.level) * Fraction(self.rate.window_us, self.rate.amount)
        else:
            self.all.append(taken)
        return taken

    def give_back(self, now: int, taken: Taken, units: int) -> None:
        """Give back some of what was taken, as far as it has not come back by itself."""
        if self.rate.algorithm != "gcra":
            taken.units -= units
            return
        fills = Fraction(self.rate.amount, self.rate.window_us)
        back = max(min(Fraction(units), (taken.full_at - now) * fills), Fraction(0))
        self.level, self.level_at = min(self._level(now) + back, Fraction(self.most)), now

    @property
    def opened(self) -> int:
        """When the window began that is the last."""
        return -1 if self.opened_at is None else self.opened_at

    def _is_open(self, now: int) -> bool:
        return self.opened_at is not None and now < self.opened_at + self.rate.window_us

    def _level(self, now: int) -> Fraction:
        if self.level is None:
            return Fraction(self.most)
        fills = Fraction(self.rate.amount, self.rate.window_us)
        return min(self.level + (now - self.level_at) * fills, Fraction(self.most))

    def _page(self, now: int) -> tuple[int, ...]:
        """Return which minute, hour or day of UTC a time is in."""
        parts = (EPOCH + timedelta(microseconds=now)).timetuple()
        return parts[: {"day": 3, "hour": 4, "minute": 5}[self.rate.calendar]]


class Failed(Exception):
    """What the application fails with."""


@dataclass
class About:
    """What a rule says, as the story knows it."""

    name: str
    rate: str
    pages: list[str]  # all without one
    methods: list[str]
    host: str
    by: str
    cost: int
    charge: dict[str, int]

    def is_about(self, page: str, method: str, host: str) -> bool:
        fits = not self.pages or any(
            page == one or (one[-1] == "*" and page.startswith(one[:-1])) for one in self.pages
        )
        method = "GET" if method == "HEAD" and "HEAD" not in self.methods else method
        return fits and method in (self.methods or [method]) and self.host in ("", host)

    def table(self) -> str:
        """Return it as a file has it."""
        charge = ", ".join(f'"{status}" = {units}' for status, units in self.charge.items())
        return (
            f'[[rule]]\nname = "{self.name}"\nrate = "{self.rate}"\npath = "{" ".join(self.pages)}"\n'
            f'methods = "{" ".join(self.methods)}"\nhost = "{self.host}"\ncost = {self.cost}\n'
            f'key = "{self.by}"\ncharge = {{ {charge} }}\n'
        )


@dataclass
class Claim:
    """A limit of a rule under which a request counts."""

    policy: str
    about: About
    log: Log
    taken: Taken | None = None
    rest: int = 0  # of what was taken, still not given back


class Application:
    """Does to each request what the story says."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        does = environ["story.does"]
        decision: Any = environ.get("wsgistack.ratelimit")
        for units in environ["story.settles"] if decision else ():
            decision.charge(units) if units > 0 else decision.refund(-units)
        if does == "fails":
            raise Failed
        if does == "begins late":
            return self.late(environ, start_response)
        start_response(environ["story.status"], [])
        return [b"x", b"y"] if does == "list" else self.rest()

    def late(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        if environ["story.status"].startswith("5"):
            raise Failed
        start_response(environ["story.status"], [])
        yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        yield b"x"
        yield b"y"
