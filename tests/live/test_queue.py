"""Caps and queues with real workers: the node itself counts what it is asked at once."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.processes import Backend, Balancer, eventually, get, site


def start(
    start_balancer: StartBalancer, node: Backend, *, cap: int, workers: int, service: str = ""
) -> Balancer:
    """Start a balancer whose one node takes *cap* requests at once."""
    text = site([node], workers=workers, service=service)
    added = f"POOL mypool ADD {node.address}"
    return start_balancer(text.replace(added, f"{added} max={cap}"))


def ask(balancer: Balancer, path: str) -> int:
    """Return the status, 0 for a connection that broke."""
    try:
        return get(balancer.site, path)[0]
    except (OSError, http.client.HTTPException):
        return 0


def burst(balancer: Balancer, count: int, path: str = "/slow/0.02") -> Counter[int]:
    """Return the statuses of so many requests by thirty clients at once."""
    with ThreadPoolExecutor(30) as threads:
        return Counter(threads.map(lambda _: ask(balancer, path), range(count)))


def most_at_once(node: Backend) -> int:
    return int(get(node.address, "/most")[1])


@pytest.mark.parametrize("workers", [1, 4])
def test_a_node_never_sees_more_requests_than_its_cap(
    start_backend: StartBackend, start_balancer: StartBalancer, workers: int
) -> None:
    node = start_backend()
    balancer = start(start_balancer, node, cap=3, workers=workers, service="SET queue_timeout = 60s")
    assert burst(balancer, 150) == {200: 150}
    assert most_at_once(node) == 3


def test_a_worker_that_is_killed_leaves_no_place_taken(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    node = start_backend()
    balancer = start(start_balancer, node, cap=3, workers=3, service="SET queue_timeout = 60s")
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(burst, balancer, 150)
        eventually(lambda: most_at_once(node) > 0)
        os.kill(balancer.worker_pids()[0], signal.SIGKILL)
        statuses = running.result()
    assert set(statuses) <= {0, 200}
    balancer.wait_for_log(" worker_died ")
    balancer.wait_for_log(" worker_started ", count=4)
    most_at_once(node)
    assert burst(balancer, 60) == {200: 60}
    assert most_at_once(node) == 3


def test_who_waits_is_shown_and_is_told_when_it_takes_too_long(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    node = start_backend()
    settings = "SET queue_timeout = 1s\nSET queue_size = 2\nSET high_priority_cookie = vip"
    balancer = start(start_balancer, node, cap=1, workers=2, service=settings)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(ask, balancer, "/slow/4")
        eventually(lambda: node_is_busy(balancer))
        high = threads.submit(answer_to_vip, balancer)
        eventually(lambda: "mysite-highpri.count 1" in balancer.admin("queues"))
        normal = threads.submit(ask, balancer, "/")
        eventually(lambda: "mysite-normal.count 1" in balancer.admin("queues"))
        assert "Perlbal::ClientProxy wait_backend_high 1" in balancer.admin("states")
        assert ask(balancer, "/") == 503
        head = high.result()
        assert head.startswith("HTTP/1.1 503 ") and "Retry-After: 1" in head
        assert "queue_timeout" in head
        assert normal.result() == 503
        assert first.result() == 200
    assert balancer.wait_for_log("reason=queue_full")
    assert len(balancer.wait_for_log("reason=queue_timeout", count=2)) == 2
    eventually(lambda: "mysite-highpri.count 0" in balancer.admin("queues"))


def node_is_busy(balancer: Balancer) -> bool:
    return any("wait_res" in line for line in balancer.admin("states"))


def answer_to_vip(balancer: Balancer) -> str:
    host, _, port = balancer.site.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: vip=yes\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(4096), b"")).decode()


def test_a_place_that_one_worker_gives_back_goes_to_another_s_request_at_once(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    node = start_backend()
    balancer = start(start_balancer, node, cap=1, workers=2, service="SET queue_timeout = 60s")
    took_s = []
    for _ in range(5):
        began = time.monotonic()
        assert burst(balancer, 100, "/slow/0.01") == {200: 100}
        took_s.append(time.monotonic() - began)
        if took_s[-1] < 3.0:
            break
    # 100 requests of 10 ms, one at a time; a tick of 50 ms at each change of worker would be 2.5 s more.
    assert min(took_s) < 3.0
