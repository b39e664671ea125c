"""The metrics of a picture, as Prometheus and OpenMetrics write them, and for Graphite's bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from wsgistack.balancer.metrics import METRICS
from wsgistack.balancer.picture import Picture

__all__ = ["PREFIX", "Exhibit", "render"]

PREFIX = "wsgistack_"
OPEN_METRICS = "application/openmetrics-text"

FAMILIES: dict[str, Callable[..., Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "info": InfoMetricFamily,
}


class Exhibit(Collector):
    """A picture as prometheus_client collects it: all metrics, in the order of their table."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def collect(self) -> Iterator[Metric]:
        """Yield a family per metric."""
        for metric in METRICS:
            name = PREFIX + metric.name
            if metric.kind == "histogram":
                histogram = HistogramMetricFamily(name, metric.help, labels=metric.labels)
                for labels, (buckets, total) in metric.read(self._picture):
                    histogram.add_metric(labels, buckets, total)
                yield histogram
            else:
                family = FAMILIES[metric.kind](name, metric.help, labels=metric.labels)
                for labels, value in metric.read(self._picture):
                    family.add_metric(labels, value)
                yield family


def render(picture: Picture, accept: str) -> tuple[bytes, str]:
    """Return the text and its content type: OpenMetrics if *accept* names it, else Prometheus' own.

    Takes some 0.2 s for 1,000 nodes: not for the thread of an event loop.
    """
    wanted = f"{OPEN_METRICS}; version=1.0.0" if OPEN_METRICS in accept else ""
    encode, content_type = choose_encoder(wanted)
    return encode(Exhibit(picture)), content_type
