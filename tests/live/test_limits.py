"""Limits with real workers: exact over all of them, whoever dies and whoever takes over."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.processes import Backend, Balancer, eventually, get, site
from tests.live.test_upgrade import Chain
from tests.live.test_watching import scrape

LIMIT = "CREATE LIMIT api\nSET rate = {rate}\nSET mysite.limit = api"


def configure(node: Backend, rate: str, *, workers: int = 1, more: str = "") -> str:
    """Return a site with a limit; its lines stand after the service's."""
    return site([node], workers=workers) + LIMIT.format(rate=rate) + "\n" + more


def ask(balancer: Balancer) -> int:
    """Return the status, 0 for a connection that broke."""
    try:
        return get(balancer.site, "/")[0]
    except OSError:
        return 0


def burst(balancer: Balancer, count: int) -> Counter[int]:
    """Return the statuses of so many requests by sixteen clients at once, each on its own connection."""
    with ThreadPoolExecutor(16) as threads:
        return Counter(threads.map(lambda _: ask(balancer), range(count)))


def allowed(balancer: Balancer) -> int:
    (line,) = [line for line in balancer.admin("limit show") if line.startswith("api ")]
    return int(line.split(" allowed ")[1].split()[0])


def left(balancer: Balancer, rate: str) -> int:
    """Return what this rate leaves us."""
    told = "\n".join(balancer.admin("limit show api 127.0.0.1"))
    return int(told.split(f"{rate}: ")[1].split()[0])


@pytest.mark.parametrize("rate", ["50/hour fixed", "50/year", "50/week sliding"])
def test_four_workers_let_no_more_pass_than_one_would(
    rate: str, start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), rate, workers=4))
    assert burst(balancer, 250) == {200: 50, 429: 200}
    assert allowed(balancer) == 50


def test_two_workers_tell_together_how_near_clients_came_and_how_long_decisions_took(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), "50/hour fixed", workers=2))
    assert burst(balancer, 80) == {200: 50, 429: 30}
    told = balancer.admin("limit show api")
    assert {"allowed 50", "near 11", "near_ratio 0.2200"} <= set(told)  # with 10 to 0 left
    (times,) = [line for line in told if line.startswith("decisions ")]
    assert re.fullmatch(
        r"decisions 80: mean [0-9.]+ us, half (within|above) \d+ us, 99 % (within|above) \d+ us", times
    )
    metrics = scrape(balancer)
    assert metrics["wsgistack_limit_near_total"] == {("api",): 11}
    assert metrics["wsgistack_limit_decision_seconds_count"] == {("api",): 80}
    assert metrics["wsgistack_limit_decision_seconds_bucket"]["+Inf", "api"] == 80
    assert metrics["wsgistack_limit_decision_seconds_sum"]["api",] > 0


def test_killed_workers_take_no_count_with_them(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), "40/year", workers=3))
    assert burst(balancer, 20) == {200: 20}
    for pid in balancer.worker_pids():
        os.kill(pid, signal.SIGKILL)
    balancer.wait_for_log(" worker_started ", count=6)
    eventually(lambda: len(balancer.worker_pids()) == 3)
    eventually(lambda: "40/year by ip" in balancer.admin("limit show")[0])
    statuses = burst(balancer, 100)
    assert statuses[200] + 20 <= 40
    assert statuses[429] >= 80


def test_workers_killed_at_work_let_nobody_pass_twice(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), "60/year", workers=4))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(burst, balancer, 300)
        eventually(lambda: allowed(balancer) > 5)
        os.kill(balancer.worker_pids()[0], signal.SIGKILL)
        statuses = running.result()
    balancer.wait_for_log(" worker_started ", count=5)
    assert statuses[200] <= 60
    assert burst(balancer, 80)[200] + statuses[200] <= 60


def test_a_successor_goes_on_counting_where_the_balancer_before_stood(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    more = f"SERVER pidfile = {pidfile}\nSERVER drain_timeout = 10"
    balancer = start_balancer(configure(start_backend(), "30/year", workers=2, more=more))
    chain = Chain(balancer, pidfile)
    try:
        assert burst(balancer, 20) == {200: 20}
        assert balancer.admin("upgrade") == ["OK"]
        chain.upgraded(1)
        assert burst(balancer, 40) == {200: 10, 429: 30}
        balancer.admin("limit reset api")
        assert burst(balancer, 5) == {200: 5}
        assert balancer.admin("upgrade") == ["OK"]
        chain.upgraded(2)
        assert burst(balancer, 40) == {200: 25, 429: 15}
    finally:
        chain.end()


def test_no_upgrade_lets_anybody_past_what_is_limited_or_held(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    node, pidfile = start_backend(), tmp_path / "pid"
    rates = "200/hour exact; 18 concurrent"  # burst asks sixteen at a time
    more = f"SERVER pidfile = {pidfile}\nSERVER drain_timeout = 20"
    balancer = start_balancer(configure(node, rates, workers=2, more=more))
    chain = Chain(balancer, pidfile)
    try:
        with ThreadPoolExecutor(3) as threads:
            slow = [threads.submit(get, balancer.site, "/slow/4") for _ in range(2)]
            eventually(lambda: allowed(balancer) == 2)
            running = threads.submit(burst, balancer, 400)
            assert balancer.admin("upgrade") == ["OK"]
            eventually(lambda: " upgraded pid=" in balancer.log)
            statuses = running.result() + burst(balancer, 150)
            assert (statuses[200], statuses[0]) == (198, 0)
            # The two are held in workers of the balancer before.
            eventually(lambda: any(one.done() for one in slow) or left(balancer, "18 concurrent") == 16)
            assert [one.result()[0] for one in slow] == [200, 200]
        chain.upgraded(1)
        eventually(lambda: left(balancer, "18 concurrent") == 18)
    finally:
        chain.end()


def test_an_operator_bans_looks_changes_and_forgets(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), "3/hour fixed", workers=2))
    assert balancer.admin("limit ban api 127.0.0.1 for 1 hour") == ["OK"]
    assert burst(balancer, 4) == {429: 4}
    assert balancer.admin("limit top")[0] == "api 127.0.0.1 4"
    assert balancer.admin("limit unban api 127.0.0.1") == ["OK"]
    assert burst(balancer, 4) == {200: 3, 429: 1}
    assert "3/hour fixed has no room" in "\n".join(balancer.admin("explain GET / from 127.0.0.1"))
    assert balancer.admin("limit set api 5/hour fixed") == ["OK"]
    assert burst(balancer, 6) == {200: 5, 429: 1}
    assert balancer.admin("limit reset api 127.0.0.1") == ["OK"]
    assert ask(balancer) == 200
    assert "SET api.rate = 5/hour fixed" in balancer.admin("diff")


def test_a_line_of_the_access_log_says_that_a_limit_refused(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    log = f"SERVER access_log = {tmp_path / 'log'}\nSERVER access_log_format = json"
    balancer = start_balancer(configure(start_backend(), "1/year", more=log))
    host, port = balancer.site.rsplit(":", 1)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection((host, int(port))) as sock, sock.makefile("rb") as answers:
        for status in (200, 429, 429):
            sock.sendall(request)
            assert answers.readline().split()[1] == str(status).encode()
            length = 0
            while (line := answers.readline()) != b"\r\n":
                length = int(found[1]) if (found := re.match(rb"(?i)content-length: (\d+)", line)) else length
            answers.read(length)
    balancer.admin("limit ban api 127.0.0.1")
    ask(balancer)
    eventually(lambda: (tmp_path / "log").read_text().count("\n") == 4)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["status"], line.get("reason")) for line in lines] == [
        (200, None), (429, "rate_limited"), (429, "rate_limited"), (429, "banned"),
    ]  # fmt: skip
    metrics = "\n".join(balancer.admin("limit show api"))
    assert "refused 3" in metrics and "banned 1" in metrics


def used(balancer: Balancer) -> dict[str, int]:
    """Return the counts of the one row that `limit usage` tells."""
    (row,) = json.loads("".join(balancer.admin("limit usage 2")[:-1]))["usage"]
    return {name: count for name, count in row.items() if count and isinstance(count, int)}


def test_what_is_metered_outlives_the_workers_and_is_switched_on_and_off(
    tmp_path: Path, start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(configure(start_backend(), "20/year", workers=2))
    assert balancer.admin(f"SERVER usage_folder = {tmp_path / 'usage'}") == ["OK"]
    assert burst(balancer, 25) == {200: 20, 429: 5}
    eventually(lambda: sum(used(balancer).values()) == 30)
    assert used(balancer) == {"2xx": 20, "4xx": 5, "refused": 5}
    for pid in balancer.worker_pids():
        os.kill(pid, signal.SIGKILL)
    balancer.wait_for_log(" worker_started ", count=4)
    eventually(lambda: burst(balancer, 1) == {429: 1})
    eventually(lambda: used(balancer)["4xx"] >= 6)
    assert used(balancer)["2xx"] == 20
    assert balancer.admin("SERVER usage_folder = none") == ["OK"]
    assert balancer.admin("limit usage") == ["ERROR: nothing is metered: SERVER usage_folder names no folder"]


def test_a_request_that_throttle_holds_goes_on_when_the_balancer_is_told_to_stop(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    rules = ("initial_delay = 600", "max_delay = 600", "log_events = throttled", "plugins = throttle")
    more = "".join(f"SET mysite.{rule}\n" for rule in rules)
    balancer = start_balancer(configure(start_backend(), "unlimited", more=more))
    assert ask(balancer) == 200
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(ask, balancer)
        balancer.wait_for_log(" throttle_throttled ")
        balancer.stop()
        assert held.result() == 200
