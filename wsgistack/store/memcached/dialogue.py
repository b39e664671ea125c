"""A connection of the prober: one question at a time, over the sockets of a thread or of gevent."""

from __future__ import annotations

import _socket
import os
import time
from errno import EAGAIN, EINPROGRESS
from typing import Any, Self

from wsgistack.store.memcached import dialect
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.calls import Call, expect
from wsgistack.store.memcached.health import Turns
from wsgistack.store.memcached.replies import Answer
from wsgistack.store.memcached.wire import Replies

__all__ = ["Dialogue", "ask_dialect", "open_socket"]

PORTION = 65_536


def open_socket(address: Address, sockets: Any, timeout_s: float) -> Any:
    """Return a connected socket of the module *sockets*; OSError if there is none in time."""
    if sockets.__name__ == "gevent.socket":
        return _open_cooperatively(address, sockets, timeout_s)
    if not address.path:
        return sockets.create_connection((address.host, address.port), timeout=timeout_s)
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address.path)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_cooperatively(address: Address, sockets: Any, timeout_s: float) -> Any:
    """Connect without gevent's resolver, which takes a thread even for an address in numbers."""
    places: list[tuple[int, Any]]
    if address.path:
        places = [(sockets.AF_UNIX, address.path)]
    elif address.needs_lookup:
        found = sockets.getaddrinfo(address.host.encode(), address.port, 0, sockets.SOCK_STREAM)
        places = [(one[0], one[4]) for one in found]
    else:
        family = sockets.AF_INET6 if ":" in address.host else sockets.AF_INET
        places = [(family, (address.host, address.port))]
    trouble: OSError | None = None
    for family, place in places:
        raw = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            raw.setblocking(False)
            code = raw.connect_ex(place)
            if code in (EINPROGRESS, EAGAIN):
                _wait_connected(raw, sockets, timeout_s)
                code = raw.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if not code:
                return sockets.socket(family, _socket.SOCK_STREAM, fileno=raw.detach())
            trouble = OSError(code, os.strerror(code))
        except OSError as error:
            trouble = error
        finally:
            if raw.fileno() >= 0:
                raw.close()
    raise trouble or OSError(f"{address.name} has no address")


def _wait_connected(sock: Any, sockets: Any, timeout_s: float) -> None:
    """Wait until something came of connecting; TimeoutError if nothing did."""
    turns = Turns(timeout_s)
    while True:
        since = time.monotonic()
        try:
            sockets.wait_write(sock.fileno(), timeout=turns.turn_s, timeout_exc=TimeoutError("not connected"))
            return
        except TimeoutError:
            if turns.passed(time.monotonic() - since):
                raise


def ask_dialect(sock: Any, timeout_s: float) -> str:
    """Return "meta" or "classic" for the server behind a connected socket, whose time-out changes."""
    sock.settimeout(timeout_s)
    sock.sendall(dialect.QUESTION)
    turns = Turns(timeout_s)
    sock.settimeout(turns.turn_s)
    data = b""
    while (found := dialect.read_answer(data)) is None:
        since = time.monotonic()
        try:
            portion = sock.recv(PORTION)
        except TimeoutError:
            if turns.passed(time.monotonic() - since):
                raise
            continue
        if not portion or len(data) > PORTION:
            raise ConnectionResetError("closed by the server")
        data += portion
    return found


class Dialogue:
    """One connection; OSError from any method means that it is of no use any more."""

    def __init__(self, address: Address, sockets: Any, timeout_s: float) -> None:
        self._sock = open_socket(address, sockets, timeout_s)
        self._replies = Replies()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, call: Call, timeout_s: float) -> Answer:
        """Return the answer to *call*."""
        self._sock.settimeout(timeout_s)
        expect(self._replies, call)
        self._sock.sendall(call.payload)
        while True:
            data = self._sock.recv(PORTION)
            if not data:
                raise ConnectionResetError("closed by the server")
            answers = self._replies.receive(data)
            if answers:
                return answers[0]
            if self._replies.fault is not None:
                raise ConnectionAbortedError(self._replies.fault)
