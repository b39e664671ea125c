"""The metrics of limits, in the order in which docs/metrics.md has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Literal

from wsgistack.balancer.metric import Metric, Sample
from wsgistack.balancer.outside import LimitCounts
from wsgistack.balancer.picture import Picture
from wsgistack.ratelimit.statistics import BOUNDS_US

__all__ = ["LIMITS"]

BOUNDS = (*[repr(bound / 1e6) for bound in BOUNDS_US], "+Inf")
LIMIT, LEVEL = ("limit",), ("limit", "level")


def _by_level(picture: Picture, what: Literal["served", "shed"]) -> Iterator[Sample]:
    for name, counts in picture.limits.items():
        if name in picture.snapshot.limits and picture.snapshot.limits[name].sheds:
            yield from (((name, level), n) for level, n in counts[what].items())


def _by_limit(value: Callable[[LimitCounts], int]) -> Callable[[Picture], Iterator[Sample]]:
    return lambda picture: (((name,), value(counts)) for name, counts in picture.limits.items())


def _times(picture: Picture) -> Iterator[Sample]:
    for name, counts in picture.limits.items():
        times = counts["decisions"]
        yield (name,), (list(zip(BOUNDS, accumulate(times["within"]), strict=True)), times["ns"] / 1e9)


LIMITS = [
    Metric("limit_allowed", "counter", "requests it let pass", LIMIT, _by_limit(lambda n: n["allowed"])),
    Metric(
        "limit_near",
        "counter",
        "of them those with a fifth or less left",
        LIMIT,
        _by_limit(lambda n: n["near"]),
    ),
    Metric(
        "limit_refused",
        "counter",
        "requests it refused, bans included",
        LIMIT,
        _by_limit(lambda n: n["refused"]),
    ),
    Metric(
        "limit_banned", "counter", "of them those of banned clients", LIMIT, _by_limit(lambda n: n["banned"])
    ),
    Metric(
        "limit_served",
        "counter",
        "requests that a limit that sheds let pass, by level: critical, normal, sheddable",
        LEVEL,
        lambda picture: _by_level(picture, "served"),
    ),
    Metric(
        "limit_shed",
        "counter",
        "and those that it refused",
        LEVEL,
        lambda picture: _by_level(picture, "shed"),
    ),
    Metric(
        "limit_would_refuse",
        "counter",
        "requests that it would have refused, were it no dry run",
        LIMIT,
        _by_limit(lambda n: n["watched"]),
    ),
    Metric(
        "limit_table",
        "gauge",
        "clients that all limits count, by part: keys (of their own that fit), used, and shared for want of room",
        ("part",),
        lambda picture: (((part,), n) for part, n in picture.limit_table._asdict().items()),
    ),
    Metric(
        "limit_unmetered",
        "counter",
        "requests without a row in the usage folder, for want of room there",
        LIMIT,
        _by_limit(lambda n: n["unmetered"]),
    ),
    Metric(
        "limit_uncounted",
        "counter",
        "requests let pass uncounted because a stopped process held a lock",
        LIMIT,
        _by_limit(lambda n: n["trouble"]),
    ),
    Metric(
        "limit_decision_seconds",
        "histogram",
        "how long decisions took in which it had a say",
        LIMIT,
        _times,
    ),
]
