"""Sockets to memcached, blocking ones that time out in the kernel; they never belong to gevent."""

from __future__ import annotations

import _socket
import os
import select
import struct
import time
from errno import EAGAIN, EINPROGRESS
from typing import Any

from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.health import Turns

__all__ = ["connect", "half_close", "limit", "resolve", "tune", "wait_for_end"]

Place = tuple[int, Any]  # family, address


def resolve(address: Address) -> list[Place]:
    """Return where *address* may be reached, in the order in which to try; may ask a name server."""
    if address.path:
        return [(_socket.AF_UNIX, address.path)]
    # As bytes: for text it imports the codec idna, and a fork in the middle of that leaves a child without.
    host = address.host.encode()
    found = _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM, _socket.IPPROTO_TCP)
    return [(one[0], one[4]) for one in found]


def connect(address: Address, timeout_s: float) -> _socket.socket:
    """Return a connected socket; OSError (also for too late) if there is none within *timeout_s*."""
    trouble: OSError | None = None
    deadline = time.monotonic() + timeout_s
    for family, place in resolve(address):
        sock = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            _connect(sock, place, max(deadline - time.monotonic(), 0.001))
            tune(sock, family)
            return sock
        except OSError as error:
            sock.close()
            late = error.errno in (EINPROGRESS, EAGAIN)  # SO_SNDTIMEO ends connect(2) with these
            trouble = TimeoutError(f"{address.name} did not accept within {timeout_s} s") if late else error
        except BaseException:
            sock.close()
            raise
    raise trouble or OSError(f"{address.name} has no address")


def _connect(sock: _socket.socket, place: Any, timeout_s: float) -> None:
    """Connect; who wakes up late looks once more."""
    turn_s = Turns(timeout_s).turn_s
    limit(sock, timeout_s - turn_s if timeout_s > turn_s else timeout_s)
    try:
        sock.connect(place)
    except BlockingIOError as late:
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLOUT)
        if late.errno != EINPROGRESS or not poller.poll(turn_s * 1000):
            raise
        code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code)) from None


def tune(sock: Any, family: int) -> None:
    """Set what every connection has: no Nagle delay, keepalive."""
    if family != _socket.AF_UNIX:
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)


def limit(sock: _socket.socket, seconds: float) -> None:
    """Let a blocking send or receive end with BlockingIOError after *seconds*.

    The kernel's own limit (socket(7)) costs no poll(2) before each call.
    """
    whole = int(seconds)
    timeval = struct.pack("ll", whole, max(int((seconds - whole) * 1_000_000), 1))
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, timeval)


def half_close(sock: Any) -> bool:
    """Say that nothing more will be sent; return False if the connection is gone anyway.

    The server reads what was sent before, then closes; `wait_for_end` sees that.
    """
    try:
        sock.shutdown(_socket.SHUT_WR)
    except OSError:
        return False
    return True


def wait_for_end(sock: Any, timeout_s: float) -> bool:
    """Return whether the server closed its side within *timeout_s*; answers are thrown away."""
    turns = Turns(timeout_s)
    limit(sock, turns.turn_s)
    since = time.monotonic()
    while True:
        try:
            if not sock.recv(65_536):
                return True
        except BlockingIOError:
            now = time.monotonic()
            if turns.passed(now - since):
                return False
            since = now
        except OSError:
            return True
