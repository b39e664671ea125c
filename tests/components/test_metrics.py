"""What the page says is what was answered, and only who is allowed reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.processes import eventually
from tests.wsgi_shapes import Application, Broken, Shape, serve
from wsgistack.components.metrics import Metrics
from wsgistack.errors import SettingError
from wsgistack.store.memory import MemoryStore

HERE = {"REMOTE_ADDR": "127.0.0.1", "PATH_INFO": "/metrics"}


def samples(app: Metrics) -> dict[tuple[str, ...], float]:
    page = serve(app, dict(HERE)).body.decode()
    return {
        (sample.name.removeprefix("wsgistack_wsgi_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.value
    }


def counted(*shapes: Shape, took_us: int = 3000, **environ: Any) -> dict[tuple[str, ...], float]:
    ticks = iter(range(0, 10**12, took_us * 1000))
    metrics = Metrics(lambda *arguments: [], monotonic_ns=lambda: next(ticks))
    for shape in shapes:
        metrics.app = Application(shape)
        serve(metrics, dict(environ))
    return samples(metrics)


def test_responses_bytes_and_durations_are_counted() -> None:
    got = counted(Shape(), Shape(status="404 Not Found", kind="write"), Shape(kind="late"))
    assert got[("requests_total", "GET", "200")] == 2
    assert got[("requests_total", "GET", "404")] == 1
    assert got[("response_bytes_total",)] == 15
    assert got[("duration_seconds_count",)] == 3
    assert got[("duration_seconds_sum",)] == 0.009
    assert got[("duration_seconds_bucket", "0.005")] == 3
    assert ("duration_seconds_bucket", "0.0025") not in got


def test_a_bound_belongs_to_its_bucket() -> None:
    assert counted(Shape(), took_us=1000)[("duration_seconds_bucket", "0.001")] == 1


def test_an_application_that_fails_is_a_500() -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        raise Broken("at once")

    metrics = Metrics(broken)
    assert isinstance(serve(metrics).error, Broken)
    assert samples(metrics)[("requests_total", "GET", "500")] == 1


def test_invented_methods_are_one_label() -> None:
    got = counted(Shape(), REQUEST_METHOD="BREW")
    assert got[("requests_total", "other", "200")] == 1


@pytest.mark.parametrize(
    "left",
    [
        {"REQUEST_METHOD": ["GET"]},
        {"wsgistack.buckets": "beta"},
        {"wsgistack.buckets": {"split": ["beta"]}},
    ],
    ids=["a method", "buckets", "a bucket"],
)
def test_what_an_application_leaves_that_is_no_text_costs_no_other_response(left: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        environ.update(left)
        return Application(Shape())(environ, start_response)

    metrics = Metrics(app)
    serve(metrics)
    metrics.app = Application(Shape(status="404 Not Found"))
    serve(metrics)
    got = samples(metrics)
    assert got[("response_bytes_total",)] == 10
    assert got[("requests_total", "GET", "404")] == 1


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("wsgistack; hit; ttl=5", "hit"),
        ("wsgistack; fwd=bypass; detail=cookie", "bypass"),
        ("other", "other"),
    ],
)
def test_what_the_page_cache_did_is_counted(status: str, result: str) -> None:
    assert counted(Shape(headers=(("Cache-Status", status),)))[("cache_total", result)] == 1


def test_buckets_are_counted() -> None:
    environ: dict[str, Any] = {"wsgistack.buckets": {"beta": "", "button": "green"}}
    got = counted(Shape(), **environ)
    assert got[("buckets_total", "green", "button")] == got[("buckets_total", "", "beta")] == 1


@pytest.mark.parametrize("peer", ["192.0.2.1", "", "unknown"])
def test_for_everybody_else_the_path_is_the_application_s(peer: str) -> None:
    assert serve(Metrics(Application(Shape())), {**HERE, "REMOTE_ADDR": peer}).body == b"hello"


def test_who_may_read_and_where_can_be_said() -> None:
    metrics = Metrics(Application(Shape()), path="/-/numbers", allow=["192.0.2.0/24"])
    assert serve(metrics, dict(HERE)).body == b"hello"
    seen = serve(metrics, {"REMOTE_ADDR": "192.0.2.7", "PATH_INFO": "/-/numbers"})
    assert b"wsgistack_wsgi_requests_total" in seen.body
    assert ("Cache-Control", "no-store") in seen.headers


def test_open_metrics_is_given_to_who_asks() -> None:
    seen = serve(
        Metrics(Application(Shape())), {**HERE, "HTTP_ACCEPT": "application/openmetrics-text; version=1.0.0"}
    )
    assert seen.body.endswith(b"# EOF\n")
    assert dict(seen.headers)["Content-Type"].startswith("application/openmetrics-text")


def test_a_head_has_no_body() -> None:
    assert serve(Metrics(Application(Shape())), {**HERE, "REQUEST_METHOD": "HEAD"}).body == b""


def test_processes_share_a_store() -> None:
    store = MemoryStore(1_000_000)
    one, two = (Metrics(Application(Shape()), store=store) for _ in range(2))
    for metrics in (one, two, two):
        serve(metrics)
    one.tally.bring()
    assert samples(two)[("requests_total", "GET", "200")] == 3
    for metrics in (one, two):
        metrics.tally.alarm.end()


def test_who_has_a_store_looks_for_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.components.metrics.workers_name", pytest.fail)
    store = MemoryStore(1_000_000)
    one, two = (Metrics(Application(Shape()), store=store) for _ in range(2))
    serve(one, {"wsgi.multiprocess": True})
    one.tally.bring()
    assert samples(two)[("requests_total", "GET", "200")] == 1


def test_pages_at_two_paths_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: list[str] = []

    def name_of(name: str) -> str:
        names.append(name)
        return f"wsgistack-{name}"

    monkeypatch.setattr("wsgistack.components.metrics.workers_name", name_of)
    monkeypatch.setattr("wsgistack.store.shm.store.ShmStore", lambda name, size: MemoryStore(size))
    for path in ("/metrics", "/numbers", "/metrics"):
        serve(Metrics(Application(Shape()), path=path), {"wsgi.multiprocess": True})
    assert (len(names), len(set(names)), names[0]) == (3, 2, names[2])


def test_the_workers_of_a_server_share_their_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the working directory is part of the place's name
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            metrics = Metrics(Application(Shape()))
            serve(metrics, {"wsgi.multiprocess": True})
            metrics.tally.bring()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, number
    pid = os.fork()
    if pid == 0:
        metrics = Metrics(Application(Shape()))
        serve(metrics, {"wsgi.multiprocess": True, **HERE})
        os._exit(int(samples(metrics)[("requests_total", "GET", "200")]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    for path in Path("/dev/shm").glob(f"wsgistack-limits-{os.getpid()}-*6"):
        path.unlink()


def test_a_worker_that_falls_idle_brings_what_it_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here, there = os.pipe()
    idle = os.fork()
    if idle == 0:
        try:
            os.close(there)
            metrics = Metrics(Application(Shape()))
            for _ in range(3):
                serve(metrics, {"wsgi.multiprocess": True})
            os.read(here, 1)  # until the test ends
            os._exit(0)
        finally:
            os._exit(1)
    os.close(here)
    reader = os.fork()
    if reader == 0:
        try:
            metrics = Metrics(Application(Shape()))
            serve(metrics, {"wsgi.multiprocess": True, "REQUEST_METHOD": "HEAD"})
            eventually(lambda: metrics.tally.read().get("requests|GET|200") == 3)
            os._exit(0)
        finally:
            os._exit(1)
    seen = os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1])
    os.close(there)
    assert (seen, os.waitstatus_to_exitcode(os.waitpid(idle, 0)[1])) == (0, 0)
    for path in Path("/dev/shm").glob(f"wsgistack-limits-{os.getpid()}-*6"):
        path.unlink()


def test_one_process_shares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        metrics = Metrics(Application(Shape()))
        serve(metrics, {"wsgi.multiprocess": False})
        metrics.tally.bring()
        assert samples(metrics)[("requests_total", "GET", "200")] == 1


def test_a_path_begins_with_a_slash() -> None:
    with pytest.raises(SettingError, match=r"path: 'metrics' does not begin with /"):
        Metrics(Application(Shape()), path="metrics")
