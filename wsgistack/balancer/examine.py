"""Performing one check: a connection or a program, bounded in time and bytes whatever a node does."""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import subprocess
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket

from wsgistack.balancer import sockets
from wsgistack.balancer.address import parse_address
from wsgistack.balancer.checks import CHECKS, Run, Talk
from wsgistack.balancer.model import HealthCheck, ProbeResult

__all__ = ["perform"]

READ_BYTES = 16384
LONGEST_REST_BYTES = 65536  # read and thrown away: a node that is cut off may log an error
REST_TIMEOUT_S = 0.1
PAUSE_S = 0.001
LONGEST_OUTPUT_BYTES = 4096  # of a program, kept; the rest is thrown away
LONGEST_DETAIL = 200
REAP_STEP_S = 0.01
PATH = "/usr/local/bin:/usr/bin:/bin"  # what execvp(3) takes where no PATH is set

# The system said at once that nobody is there; anything else may be a node that is busy.
REFUSALS = frozenset(
    {errno.ECONNREFUSED, errno.ENOENT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}
)


def perform(check: HealthCheck) -> ProbeResult:
    """Perform *check*; takes its health_timeout at most, and a tenth of a second."""
    limit_s = check.number("health_timeout")
    refused = False
    try:
        with gevent.Timeout(limit_s):
            plan = CHECKS.get(check.kind).prepare(check)
            problem = _run(plan) if isinstance(plan, Run) else _talk(plan, check.node)
    except gevent.Timeout:
        problem = f"no answer within {limit_s:g} s"
    except OSError as error:
        refused = error.errno in REFUSALS and check.kind != "command"
        problem = error.strerror or str(error)
    detail = re.sub(r"[^ -~]", "?", problem[:LONGEST_DETAIL])  # some of it comes from elsewhere
    return ProbeResult(check.pool, check.node, not problem, detail, refused)


def _talk(talk: Talk, node: str) -> str:
    """Return what is wrong, "" if the check passed."""
    family, where = sockets.endpoint(parse_address(node, default_port=80))
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.connect(where)
        if talk.send:  # a call less for a check that only connects
            sock.sendall(talk.send)
        heard = bytearray()
        problem = talk.hear(b"", False)
        pauses = itertools.count()
        while problem is None:
            # Ever longer, so that a node that answers byte by byte is not listened to at each.
            gevent.sleep(next(pauses) * PAUSE_S)
            data = sock.recv(READ_BYTES)
            heard += data
            problem = talk.hear(bytes(heard), not data)
            if problem is None and (not data or len(heard) >= talk.most_bytes):
                problem = f"no end within {talk.most_bytes} bytes"
        if heard and not problem:
            _read_rest(sock)
        return problem


def _read_rest(sock: Any) -> None:
    left = LONGEST_REST_BYTES
    with suppress(OSError, gevent.Timeout), gevent.Timeout(REST_TIMEOUT_S):  # the verdict stands
        while left > 0 and (data := sock.recv(READ_BYTES)):
            left -= len(data)


def _run(run: Run) -> str:
    """Return what is wrong, "" if the program's exit status is 0.

    It has a process group of its own, which is killed with it when its time is over.
    """
    output = bytearray()
    # Not gevent's: its watcher reaps every child of the process, the workers too.
    try:
        process = subprocess.Popen(
            run.arguments,
            env={"PATH": os.environ.get("PATH", PATH), **run.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return f"{run.arguments[0]}: {error.strerror}"
    assert process.stdout is not None
    with process.stdout as pipe:
        os.set_blocking(pipe.fileno(), False)
        try:
            while (status := process.poll()) is None:
                _take(pipe.fileno(), output)
                gevent.sleep(REAP_STEP_S)
            _take(pipe.fileno(), output)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
                process.wait()
    if status == 0:
        return ""
    said = bytes(output).decode("latin-1").strip().rpartition("\n")[2]
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    return f"{ended}: {said}" if said else ended


def _take(pipe: int, output: bytearray) -> None:
    """Keep the end of what the program wrote."""
    with suppress(BlockingIOError):
        while data := os.read(pipe, READ_BYTES):
            output += data
            del output[:-LONGEST_OUTPUT_BYTES]
            if len(data) < READ_BYTES:
                return
