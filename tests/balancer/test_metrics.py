"""The metrics: what is counted where, and that there cannot be too many of them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.balancer.pictures import make_node_row, make_picture, make_service_counts
from wsgistack.balancer.ledger import no_counts
from wsgistack.balancer.metric import Metric
from wsgistack.balancer.metrics import METRICS
from wsgistack.balancer.picture import Picture

BY_NAME = {metric.name: metric for metric in METRICS}


def read(name: str, picture: Picture) -> list[tuple[tuple[str, ...], Any]]:
    """Return the samples of one metric."""
    return list(BY_NAME[name].read(picture))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert not re.search(r"_(total|count|sum|bucket|info|ms|us|kb)$", metric.name)
    assert metric.help and metric.help[-1] != "."


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_sample_has_a_value_for_each_label(metric: Metric) -> None:
    samples = list(metric.read(make_picture()))
    assert samples
    assert {len(labels) for labels, _ in samples} == {len(metric.labels)}
    assert len({labels for labels, _ in samples}) == len(samples)


def test_statuses_that_nobody_registered_are_counted_by_class() -> None:
    row = make_node_row()
    row["responsecodes"] = {200: 5, 299: 2, 298: 3, 404: 1, 599: 4, 600: 1}
    picture = make_picture()
    picture = replace(picture, nodes={**picture.nodes, "127.0.0.1:8001": row})
    assert [(labels[2], n) for labels, n in read("node_requests", picture) if labels[1] == "127.0.0.1:8001"] == [
        ("200", 5), ("2xx", 5), ("404", 1), ("5xx", 4), ("6xx", 1),
    ]  # fmt: skip


def test_no_node_can_make_more_than_some_seventy_series_of_its_statuses() -> None:
    row = make_node_row()
    row["responsecodes"] = dict.fromkeys(range(100, 1000), 1)
    picture = replace(make_picture(), nodes={"127.0.0.1:8001": row})
    assert len(read("node_requests", picture)) < 75


def test_a_node_of_two_pools_is_counted_once_and_stands_in_both() -> None:
    picture = make_picture("create pool a", "pool a add 127.0.0.1:8001")
    assert [labels for labels, _ in read("node_handed", picture)] == [
        ("a,mypool", "127.0.0.1:8001"),
        ("mypool", "127.0.0.1:8002"),
    ]
    assert sorted(labels for labels, _ in read("node_up", picture)) == [
        ("a", "127.0.0.1:8001"),
        ("mypool", "127.0.0.1:8001"),
        ("mypool", "127.0.0.1:8002"),
    ]


def test_a_node_that_was_removed_is_not_shown() -> None:
    picture = make_picture("pool mypool remove 127.0.0.1:8001")
    assert "127.0.0.1:8001" in picture.nodes
    assert [labels for labels, _ in read("node_handed", picture)] == [("mypool", "127.0.0.1:8002")]


def test_durations_are_cumulative_and_end_in_all() -> None:
    counts = make_service_counts()
    counts["latency"] = [0] * 64
    counts["latency"][0] = 1  # below 2 us
    counts["latency"][2 * 9] = 2  # 512 us to 1024 us
    counts["latency"][2 * 10 + 1] = 3  # up to 2048 us
    counts["latency"][2 * 31] = 4  # an hour
    counts["latency_us"] = 1_500_000
    picture = make_picture()
    picture = replace(picture, services={**picture.services, "mysite": counts})
    ((labels, value),) = read("request_duration_seconds", picture)
    buckets, total = value
    assert (labels, total) == (("mysite",), 1.5)
    assert buckets[:4] == [("0.000256", 1), ("0.000512", 1), ("0.001024", 3), ("0.002048", 6)]
    assert buckets[-2:] == [("67.108864", 6), ("+Inf", 10)]


def test_a_health_is_the_state_that_a_node_is_in() -> None:
    assert read("node_health", make_picture())[0] == (("mypool", "127.0.0.1:8001", "unchecked"), 1)


def test_ready_and_workers_are_told() -> None:
    picture = make_picture()
    assert read("ready", picture) == [((), 1)]
    assert read("ready", replace(picture, unready="shutting down")) == [((), 0)]
    assert read("worker_deaths", picture) == [(("0",), 1)]
    assert read("process_cpu_seconds", picture) == [
        (("supervisor", "user"), 1.0),
        (("supervisor", "system"), 0.5),
        (("worker0", "user"), 2.0),
        (("worker0", "system"), 1.0),
    ]


def test_a_queue_is_told_by_class() -> None:
    counts = make_service_counts()
    counts["queue"] = {"normal": (3, 1.5), "highpri": (1, 0.25), "lowpri": (0, 0.0)}
    picture = make_picture()
    picture = replace(picture, services={**picture.services, "mysite": counts})
    assert read("queue_length", picture)[:2] == [(("mysite", "normal"), 3), (("mysite", "highpri"), 1)]
    assert read("queue_oldest_seconds", picture)[0] == (("mysite", "normal"), 1.5)


def test_decisions_of_a_limit_are_cumulated_by_how_long_they_took() -> None:
    picture = make_picture()
    counts = no_counts()
    counts["decisions"] = {"within": [5, 2, *[0] * 14, 1], "ns": 2_500_000}
    ((labels, (buckets, total)),) = read("limit_decision_seconds", replace(picture, limits={"api": counts}))
    assert labels == ("api",)
    assert buckets[:2] == [("1e-06", 5), ("2e-06", 7)]
    assert buckets[-2:] == [("0.1", 7), ("+Inf", 8)]
    assert total == 0.0025
