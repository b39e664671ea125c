"""Requests that wait for their turn: what a burst lets pass at once, served at the pace of its rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from wsgistack import forks
from wsgistack.errors import SettingError
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import Rate
from wsgistack.ratelimit.rules import Rule

__all__ = ["MOST_WAITING", "Waiting", "check_most_waiting", "check_waits", "make_waiting"]

MOST_WAITING = 100_000


class Waiting:
    """At most *most* requests of this process wait at once, each in its thread or greenlet.

    How long one does is bounded by the language of limits (rates.LONGEST_DELAY_S).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self.forked()
        forks.register(self)

    def forked(self) -> None:
        """Begin anew: who waited does so in the parent."""
        self._lock = threading.Lock()
        self._count = 0

    def hold(self, decision: Decision) -> None:
        """Return when it is the turn of a request that may pass; refuse it if too many wait already."""
        delay = decision.delay()
        if delay is None:
            return
        with self._lock:
            may_wait = self._count < self._most
            self._count += may_wait
        if not may_wait:
            decision.withdraw(*delay)
            return
        try:
            time.sleep(delay[1] / 1e6)
        except BaseException:
            decision.withdraw(*delay)  # nobody will serve it
            raise
        finally:
            with self._lock:
                self._count -= 1


def check_most_waiting(most: int) -> int:
    """Return how many requests may wait at once."""
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= MOST_WAITING:
        raise SettingError(f"most_waiting: {most!r} is not a number from 0 to {MOST_WAITING}")
    return most


def make_waiting(limits: Sequence[Limit], most: int) -> Waiting | None:
    """Return where requests wait for *limits*, None where none lets them; SettingError where none may."""
    if not limits:
        return None
    if not most:
        _refuse(limits[0].rule, limits[0].rate)
    return Waiting(most)


def check_waits(rule: Rule) -> Rule:
    """Return a rule that lets no request wait; SettingError for another, where none may."""
    if not rule.dry_run:
        for rate in (*rule.rates, *(rate for rates in rule.tier_rates.values() for rate in rates)):
            if rate.at_once:
                _refuse(rule, rate)
    return rule


def _refuse(rule: Rule, rate: Rate) -> NoReturn:
    text = f"rule {rule.name}: '{rate}' lets requests wait"
    raise SettingError(f"{text}, and most_waiting, how many of them may at once, is 0")
