"""Health checks: greenlets that ask the nodes and tell control what they met."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket
from gevent.lock import BoundedSemaphore

from wsgistack.balancer import sockets
from wsgistack.balancer.address import parse_address
from wsgistack.balancer.control import Check, Control
from wsgistack.balancer.model import Fact, HealthCheck, ProbeResult

__all__ = ["Probes", "check_node"]

MOST_AT_ONCE = 256  # checks; each holds a descriptor
JITTER = 0.1  # of an interval, so that the checks of a thousand nodes do not stay in step
LONGEST_HEAD_BYTES = 16384
LONGEST_BODY_BYTES = 65536  # read and thrown away: a node that is cut off may log an error

Absorb = Callable[[Fact], None]


class Probes:
    """One greenlet per (pool, node) with a check.

    `refresh` after every change of the snapshot makes them what control asks for.
    """

    def __init__(self, control: Control, absorb: Absorb) -> None:
        self._control = control
        self._absorb = absorb
        self._checks: dict[tuple[str, str], tuple[Check, Any]] = {}
        self._room = BoundedSemaphore(MOST_AT_ONCE)

    def refresh(self) -> None:
        """Start and stop greenlets."""
        wanted = {(check.pool, check.node): check for check in self._control.checks()}
        for key, (check, greenlet) in list(self._checks.items()):
            if greenlet is not gevent.getcurrent() and (greenlet.dead or wanted.get(key) != check):
                greenlet.kill(block=False)
                del self._checks[key]
        for key, check in wanted.items():
            if key not in self._checks:
                self._checks[key] = (check, gevent.spawn(self._watch, check))

    def stop(self) -> None:
        """End all checks."""
        for _, greenlet in self._checks.values():
            greenlet.kill(block=False)
        self._checks.clear()

    def _watch(self, check: Check) -> None:
        while (due := self._control.due(check.pool, check.node, time.time())) is not None:
            gevent.sleep(due * random.uniform(1 - JITTER, 1 + JITTER))
            with self._room:
                problem = check_node(check.check)
            self._absorb(ProbeResult(check.pool, check.node, not problem, problem))


def check_node(check: HealthCheck) -> str:
    """Perform *check* and return what is wrong, "" if it passed; takes `timeout_s` at most."""
    family, where = sockets.endpoint(parse_address(check.connect, default_port=80))
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        with gevent.Timeout(check.timeout_s):
            sock.connect(where)
            return _ask(sock, check) if check.kind == "http" else ""
    except gevent.Timeout:
        return f"no answer within {check.timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)
    finally:
        sock.close()


def _ask(sock: Any, check: HealthCheck) -> str:
    host = check.host or ("localhost" if check.connect.startswith("unix:") else check.connect)
    head = f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: wsgistack\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode("latin-1"))
    status = _read_status(sock)
    if status is None:
        return "no HTTP response"
    if not any(low <= status <= high for low, high in check.statuses):
        return f"status {status}"
    _read_rest(sock)
    return ""


def _read_status(sock: Any) -> int | None:
    """Return the status of the final response, None if what comes is not HTTP/1."""
    held = b""
    while len(held) <= LONGEST_HEAD_BYTES:
        line, end, rest = held.partition(b"\r\n")
        if end:
            status = _parse_status(line)
            if status is None or status >= 200:
                return status
            _, end, rest = held.partition(b"\r\n\r\n")  # an interim response: the next one counts
            if end:
                held = rest
                continue
        data = sock.recv(4096)
        if not data:
            return None
        held += data
    return None


def _parse_status(line: bytes) -> int | None:
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit() or rest[3:4] not in (b"", b" "):
        return None
    return int(rest[:3])


def _read_rest(sock: Any) -> None:
    left = LONGEST_BODY_BYTES
    try:
        while left > 0 and (data := sock.recv(16384)):
            left -= len(data)
    except (OSError, gevent.Timeout):
        pass  # the status has decided
