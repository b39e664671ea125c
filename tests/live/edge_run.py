"""Rounds of the edge's fuzzer: many connections at once to a real balancer, with a real node behind it."""

from __future__ import annotations

import json
import os
import random
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.live.edge_check import check_answers, check_node
from tests.live.edge_fuzz import Plan, make_plans
from tests.live.link import RESET
from tests.live.proc import descriptors, rss_bytes, settles
from tests.live.processes import ROOT, Backend, Balancer, choose_port, eventually, site

__all__ = ["Edge", "Visit", "visit_all"]

PATIENT = "SET buffer_backend_connect = 0"  # what the node does early must meet a body that is on its way
HASTY = """
CREATE SERVICE hasty
SET listen = {address}
SET role = reverse_proxy
SET pool = mypool
SET client_header_timeout = 500ms
SET client_body_timeout = 500ms
SET client_write_timeout = 500ms
SET persist_client_idle_timeout = 500ms
SET node_first_byte_timeout = 500ms
SET node_idle_timeout = 500ms
SET tunnel_timeout = 500ms
ENABLE hasty
"""
BOUND_S = 25.0  # a machine may stand still; a connection that is never ended is what is looked for


class Visit:
    """One connection in the making: `step` sends the next piece, or reads what is there."""

    def __init__(self, plan: Plan, address: str) -> None:
        self.plan = plan
        self.got = b""
        self.over = False
        self.was_reset = False
        self._left = list(plan.pieces)
        self.socket = socket.socket()
        if plan.slow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = address.rpartition(":")
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    @property
    def is_watched(self) -> bool:
        """Tell whether all that was answered was read."""
        return self.plan.ending in ("finish", "stay")

    def step(self) -> None:
        """Go on a little; `over` once the connection has ended."""
        try:
            self._send()
            if not self.over and not (self.plan.slow and self._left):
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            # The balancer may have refused what came before and closed; what it said may still be read.
            self._left.clear()
            self._read_rest()

    def _send(self) -> None:
        if not self._left:
            return
        with suppress(BlockingIOError):
            sent = self.socket.send(self._left[0])
            self._left[0] = self._left[0][sent:]
        if not self._left[0]:
            del self._left[0]
        if self._left:
            return
        if self.plan.ending == "finish":
            self.socket.shutdown(socket.SHUT_WR)
        elif self.plan.ending == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if not self.is_watched:
            self.end()

    def _read(self) -> None:
        data = self.socket.recv(1000 if self.plan.slow else 65536)
        self.got += data
        if not data:
            self.end()

    def _read_rest(self) -> None:
        self.was_reset = True
        with suppress(OSError):
            while data := self.socket.recv(65536):
                self.got += data
        self.end()

    def end(self) -> None:
        """Close it."""
        self.over = True
        self.socket.close()


def visit_all(plans: list[Plan], addresses: dict[bool, str], seed: int) -> list[Visit]:
    """Make all these connections at once, in the order of *seed*, and return them when all have ended."""
    rng = random.Random(seed)
    visits = [Visit(plan, addresses[plan.hasty]) for plan in plans]
    deadline = time.monotonic() + BOUND_S
    while going := [visit for visit in visits if not visit.over]:
        assert time.monotonic() < deadline, f"never ended: {[(one.plan, one.got[-300:]) for one in going]}"
        rng.shuffle(going)
        before = [len(one.got) + 10**9 * len(one._left) for one in going]
        for visit in going:
            visit.step()
        if before == [len(one.got) + 10**9 * len(one._left) for one in going]:
            _wait([one for one in going if not one.over])
    return visits


def _wait(going: list[Visit]) -> None:
    """Return when one of them has something to read, or room."""
    with selectors.DefaultSelector() as ready:
        for one in going:
            ready.register(one.socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if one._left else 0))
        ready.select(1)


class Edge:
    """The balancer and its node; `round` makes one round of visits and checks all of it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "node.log"
        self.log.touch()
        port = choose_port()
        node = Backend(port=port)
        self._node = subprocess.Popen(
            [sys.executable, "-m", "tests.live.edge_node", str(port), str(self.log)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(node._accepts, what="the node does not accept")
        hasty = f"127.0.0.1:{choose_port()}"
        text = site(
            [node],
            workers=1,
            pool="SET mypool.health_check = none",
            service=PATIENT,
            more=HASTY.format(address=hasty),
        )
        self.balancer = Balancer(folder, text).start()
        self.workers = self.balancer.worker_pids()
        self.addresses = {False: self.balancer.site, True: hasty}
        self.rounds = 0
        self._read = 0
        self._size = (0, 0)

    def note_size(self) -> None:
        """Keep how many files and bytes the worker has now."""
        pid = self.workers[0]
        self._size = settles(lambda: descriptors(pid)), rss_bytes(pid)

    def growth(self) -> tuple[int, int]:
        """Return by how many files and bytes the worker has grown since `note_size`."""
        pid, (files, size) = self.workers[0], self._size
        return settles(lambda: descriptors(pid)) - files, rss_bytes(pid) - size

    def metrics(self) -> Counter[str]:
        """Return the sums of all metrics whose names say wsgistack_, by name and class of status."""
        address = f"http://{self.balancer.admin_address}/metrics"
        with urllib.request.urlopen(address, timeout=30) as page:
            text = page.read().decode()
        sums: Counter[str] = Counter()
        for name, labels, value in re.findall(r"(?m)^wsgistack_(\w+)\{(.*)\} ([0-9.e+]+)$", text):
            code = re.search(r'code="(\d)', labels)
            if 'service="admin"' not in labels:
                sums[name + (f" {code[1]}" if code and name == "responses_total" else "")] += int(
                    float(value)
                )
        return sums

    def new_lines(self) -> list[dict[str, Any]]:
        """Return what the node wrote since the last time."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return [json.loads(line) for line in data.splitlines()]

    def round(self, seed: int) -> None:
        """Make the visits of *seed* and check them; AssertionError says what was wrong, and the seed."""
        self.rounds += 1
        try:
            self._round(seed)
        except AssertionError as wrong:
            raise AssertionError(f"seed {seed}: {wrong}") from wrong

    def _round(self, seed: int) -> None:
        plans = make_plans(seed)
        before = self.metrics()
        visits = visit_all(plans, self.addresses, seed)
        self.be_quiet()
        settles(lambda: self.log.stat().st_size, still_s=0.1)
        saw = check_node(plans, self.new_lines())
        answers = [check_answers(one.plan, one.got) for one in visits if one.is_watched]
        self.check_counts(
            before, len(visits), Counter(f"{got.status // 100}" for one in answers for got in one), saw
        )
        assert self.balancer.worker_pids() == self.workers, "a worker died"

    def be_quiet(self) -> None:
        """Return once the balancer has neither a client nor a request."""
        gauges = ("in_flight", "client_connections", "node_in_flight", "waiting")
        eventually(
            lambda: not any(map(self.metrics().__getitem__, gauges)),
            within_s=BOUND_S,
            what="something is left",
        )

    def check_counts(self, before: Counter[str], visits: int, answers: Counter[str], saw: int) -> None:
        """Check that the admin port has counted this round as the clients and the node saw it."""
        now = self.metrics()
        grown = {name: now[name] - before[name] for name in now}
        assert grown["accepted_total"] == visits, f"{grown} of {visits} visits"
        for code, count in answers.items():
            assert grown[f"responses_total {code}"] >= count, f"{grown}, but clients saw {answers}"
        assert grown["requests_total"] >= answers.total(), f"{grown}, but clients saw {answers}"
        assert grown["node_handed_total"] >= saw, f"{grown}, but the node saw {saw}"

    def end(self) -> None:
        """End both; nothing may have crashed."""
        log = self.balancer.log
        status = self.balancer.stop()
        with suppress(ProcessLookupError):
            os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait()
        assert "Traceback" not in log
        assert "worker_failed" not in log
        assert status == 0
