"""Metrics, readiness and Graphite with real processes."""

import http.client
import os
import socket
import threading
from pathlib import Path

import pytest
from prometheus_client import parser

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.processes import Balancer, eventually, site
from tests.live.test_admin_ports import ask
from tests.live.test_lifecycle import Held
from wsgistack.balancer.metrics import METRICS


def scrape(balancer: Balancer) -> dict[str, dict[tuple[str, ...], float]]:
    """Return {metric: {label values, in the order of their names: value}} of one scrape."""
    connection = http.client.HTTPConnection(balancer.admin_address, timeout=20)
    connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
    response = connection.getresponse()
    assert response.status == 200
    text = response.read().decode()
    connection.close()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = (
                sample.value
            )
    return found


LIMIT = "CREATE LIMIT api\n  SET rate = 1000000/minute\nCREATE LIMIT crowd\n  SET rate = 1000 concurrent\n  SET sheddable = /feed\n"
BETA = "CREATE POOL beta\n"


@pytest.fixture
def balancer(start_backend: StartBackend, start_balancer: StartBalancer) -> Balancer:
    """A balancer with one node, two workers, two limits that nobody reaches, and a split that takes nobody."""
    return start_balancer(
        LIMIT + BETA + site([start_backend("a")], service="SET limit = api, crowd\n  SET split = beta 0% ip")
    )


def test_a_scrape_has_what_the_page_of_metrics_says(balancer: Balancer) -> None:
    assert balancer.get("/")[0] == 200
    page = (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text()
    found = scrape(balancer)
    missing = [
        metric.name
        for metric in METRICS
        if not any(name.startswith(f"wsgistack_{metric.name}") for name in found)
    ]
    assert missing == []
    assert [name for name in found if f"`{name}`" not in page and not name.endswith(("_sum", "_count"))] == []


def test_one_scrape_covers_all_workers_and_survives_their_deaths(balancer: Balancer) -> None:
    for _ in range(20):
        assert balancer.get("/")[0] == 200
    eventually(lambda: _count_finished(balancer) == 20.0)
    assert scrape(balancer)["wsgistack_requests_total"] == {("mysite",): 20.0}
    for pid in balancer.worker_pids():
        os.kill(pid, 9)
    balancer.wait_for_log(r" worker_started ", count=4)
    eventually(lambda: scrape(balancer)["wsgistack_worker_accepting"] == {("0",): 1.0, ("1",): 1.0})
    assert balancer.get("/")[0] == 200
    eventually(lambda: _count_finished(balancer) == 21.0)
    after = scrape(balancer)
    assert after["wsgistack_requests_total"] == {("mysite",): 21.0}
    assert after["wsgistack_worker_deaths_total"] == {("0",): 1.0, ("1",): 1.0}
    assert after["wsgistack_worker_starts_total"] == {("0",): 2.0, ("1",): 2.0}
    (requests,) = [n for labels, n in after["wsgistack_node_requests_total"].items() if labels[0] == "200"]
    assert requests == 21.0
    assert 0 < after["wsgistack_request_duration_seconds_sum"]["mysite",] < 21.0
    assert all(seconds > 0 for seconds in after["wsgistack_process_resident_memory_bytes"].values())


def _count_finished(balancer: Balancer) -> float:
    """Return how many durations were taken, which is a moment after a client has its response."""
    return scrape(balancer)["wsgistack_request_duration_seconds_count"].get(("mysite",), 0.0)


def test_before_a_graceful_stop_ready_says_no_and_all_goes_on(balancer: Balancer) -> None:
    assert balancer.admin("SERVER drain_delay = 20s") == ["OK"]
    assert ask(balancer.admin_address, "/ready") == (200, {"ok": True})
    assert balancer.admin("shutdown graceful") == ["OK"]
    assert ask(balancer.admin_address, "/ready") == (503, {"ok": False, "error": "shutting down"})
    assert ask(balancer.admin_address, "/healthz") == (200, {"ok": True})
    assert balancer.get("/") == (200, b"a\n")
    assert scrape(balancer)["wsgistack_ready"] == {(): 0.0}
    balancer.admin("shutdown")
    assert balancer.wait() == 0


def test_ready_says_no_while_no_worker_accepts(balancer: Balancer) -> None:
    for _ in range(3):  # each death in a row makes the next start wait longer
        started = balancer.log.count(" worker_started ")
        for pid in balancer.worker_pids():
            os.kill(pid, 9)
        balancer.wait_for_log(r" worker_started ", count=started + 2)
    for pid in balancer.worker_pids():
        os.kill(pid, 9)
    eventually(
        lambda: ask(balancer.admin_address, "/ready")[1] == {"ok": False, "error": "no worker accepts"}
    )
    eventually(lambda: ask(balancer.admin_address, "/ready") == (200, {"ok": True}))


def test_graphite_gets_the_metrics_and_may_go_away(balancer: Balancer) -> None:
    received: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                received.extend(connection.makefile("r").read().splitlines())

        thread = threading.Thread(target=accept)
        thread.start()
        assert balancer.admin("SERVER graphite_interval = 1s") == ["OK"]
        assert balancer.admin("SERVER graphite_prefix = lb.one") == ["OK"]
        assert balancer.admin(f"SERVER graphite = 127.0.0.1:{port}") == ["OK"]
        thread.join(30)
    assert any(line.startswith("lb.one.wsgistack_snapshot_version ") for line in received)
    balancer.wait_for_log(r" warn graphite_down address=127\.0\.0\.1:\d+")
    assert balancer.get("/") == (200, b"a\n")
    assert f"SERVER graphite = 127.0.0.1:{port}" in balancer.admin("dumpconfig")


def test_who_waits_in_the_queue_is_told_with_its_age(start_balancer: StartBalancer) -> None:
    node = Held()
    text = site([node.backend]).replace(f"ADD {node.address}", f"ADD {node.address} max=1")
    balancer = start_balancer(text)
    threads = [threading.Thread(target=balancer.get, args=("/",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: scrape(balancer)["wsgistack_queue_length"]["normal", "mysite"] == 2.0)
    eventually(lambda: scrape(balancer)["wsgistack_queue_oldest_seconds"]["normal", "mysite"] > 0)
    page = ask(balancer.admin_address, "/admin/state")[1]
    assert page["services"]["mysite"]["queue"]["normal"]["count"] == 2
    node.go.set()
    for thread in threads:
        thread.join(30)
    eventually(lambda: scrape(balancer)["wsgistack_queue_length"]["normal", "mysite"] == 0.0)
    node.stop()
