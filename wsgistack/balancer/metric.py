"""One metric: what it is called, and how it is read off a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from wsgistack.balancer.picture import Picture

__all__ = ["Kind", "Metric", "Sample"]

Kind = Literal["counter", "gauge", "histogram", "info"]
Sample = tuple[tuple[str, ...], Any]  # label values, and the value of the metric's kind


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.  *name* without the suffixes that its kind adds; *read* takes it off a picture.

    Values are numbers; of a histogram the buckets by upper bound and the sum; of info a mapping.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Picture], Iterable[Sample]]
