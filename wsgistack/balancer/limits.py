"""All limits by name: their settings, and the rows of the scoreboard that count for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.outside import Ledger
from wsgistack.balancer.shedding import check_shedding
from wsgistack.errors import CommandError
from wsgistack.ratelimit.rules import NAME
from wsgistack.registry import find_nearest
from wsgistack.settings import Value

__all__ = ["LIMIT_SLOTS", "MOST_OF_A_SERVICE", "Limits"]

LIMIT_SLOTS = 64  # plane/board.pxd
MOST_OF_A_SERVICE = 4  # plane/gates.pxd
MAKE_ONE = ": it is a limit's name that stands here, CREATE LIMIT makes one and SET rate says how much"


class Limits:
    """All limits, in the order of their creation.  *ledger* is what the workers count in."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._limits: dict[str, Limit] = {}
        self._used: set[int] = set()  # rows that some limit had

    def __contains__(self, name: object) -> bool:
        return name in self._limits

    def names(self) -> list[str]:
        """Return all names in the order of creation."""
        return list(self._limits)

    def create(self, name: str) -> None:
        """Make a limit that limits nothing yet; the name is free, the caller has seen to it."""
        if not NAME.fullmatch(name):
            raise CommandError(f"'{name}': the name of a limit begins with a letter or a digit")
        if len(self._limits) >= LIMIT_SLOTS:
            raise CommandError(f"all {LIMIT_SLOTS} places for limits are taken")
        slots = {limit.slot for limit in self._limits.values()}
        free = next(n for n in range(LIMIT_SLOTS) if n not in slots)
        if free in self._used:
            self.ledger.reset(free)
        self._used.add(free)
        self._limits[name] = Limit(name, free, LIMIT_SETTINGS.defaults())

    def delete(self, name: str) -> None:
        """Take a limit away; no service has it, the caller has seen to it."""
        del self._limits[self.get(name).name]

    def get(self, name: str) -> Limit:
        """Return one limit, or raise CommandError with the nearest."""
        if name not in self._limits:
            nearest = find_nearest(name, self._limits)
            text = f"limit '{name}' does not exist" + (MAKE_ONE if "/" in name else "")
            raise CommandError(text, met=name, nearest=nearest, because=name)
        return self._limits[name]

    def set(self, name: str, key: str, text: str) -> None:
        """Set one of a limit's settings from text."""
        limit = self.get(name)
        settings = {**limit.settings, key: LIMIT_SETTINGS.parse(key, text)}
        check_shedding(settings)
        self._limits[name] = replace(limit, settings=settings)

    def reset(self, name: str) -> None:
        """Forget whom it has counted and banned, all of them."""
        limit = self.get(name)
        self._limits[name] = replace(limit, epoch=limit.epoch + 1)

    def settings(self, name: str) -> Mapping[str, Value]:
        """Return the settings of a limit."""
        return self.get(name).settings

    def publish(self) -> dict[str, Limit]:
        """Return all limits as values."""
        return dict(self._limits)

    def export(self) -> dict[str, int]:
        """Return {name: epoch} as JSON, for a successor: it uses the same table."""
        return {name: limit.epoch for name, limit in self._limits.items() if limit.epoch}

    def restore(self, exported: Mapping[str, int]) -> None:
        """Look at what the balancer before counted; after the commands of the file."""
        for name, epoch in exported.items():
            if name in self._limits:
                self._limits[name] = replace(self._limits[name], epoch=epoch)
