"""What the tests of the ring stand on: code that runs as a thread or as greenlets, and servers that misbehave."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import gevent

from tools.real_memcached import Memcached
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.memcached.wire import Patience

__all__ = [
    "KINDS",
    "WHOLE",
    "Fake",
    "Relay",
    "Trickle",
    "frozen",
    "hanging",
    "node_of",
    "owned_by",
    "pause",
    "run_as",
    "together",
    "wait_until",
]

T = TypeVar("T")
KINDS = ["threads", "greenlets"]
LIMIT_S = 30.0
WHOLE = 1_000_000  # more bytes than there are
STORES = b"ms "  # how a request begins that stores something


def run_as(kind: str, function: Callable[[], T]) -> T:
    """Run *function* in a thread of its own, as a greenlet of a hub of its own if *kind* says so."""
    results: list[T] = []
    troubles: list[BaseException] = []

    def run() -> None:
        try:
            if kind == "threads":
                results.append(function())
            else:
                results.append(gevent.spawn(function).get())
        except BaseException as trouble:  # noqa: BLE001 - raised again below
            troubles.append(trouble)
        finally:
            if kind == "greenlets":
                gevent.get_hub().destroy()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if troubles:
        raise troubles[0]
    return results[0]


def together(kind: str, functions: Sequence[Callable[[], T]]) -> list[T]:
    """Run *functions* at the same time, from within code of that kind; return their results."""
    if kind == "greenlets":
        return [greenlet.get() for greenlet in [gevent.spawn(function) for function in functions]]
    results: list[Any] = [None] * len(functions)

    def run(number: int) -> None:
        results[number] = functions[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def pause(seconds: float) -> None:
    """Sleep, letting greenlets run where there is a hub."""
    if gevent.hub._get_hub() is None:
        time.sleep(seconds)
    else:
        gevent.sleep(seconds)


def wait_until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {limit_s} s"
        pause(0.002)


def node_of(ring: MemcacheRing, server: Memcached) -> Any:
    """Return the ring's node of *server*."""
    return ring._cluster.find(server.address)


def owned_by(ring: MemcacheRing, server: Memcached, count: int) -> list[str]:
    """Return *count* keys that *server* owns."""
    node = node_of(ring, server)
    snapshot = ring._cluster.snapshot
    keys = (f"key:{number}" for number in range(1_000_000))
    return [
        key
        for key, _ in zip((k for k in keys if snapshot.owner(k.encode()) is node), range(count), strict=False)
    ]


@contextmanager
def frozen(server: Memcached) -> Iterator[None]:
    """Let *server* stand still: it accepts, and answers nothing."""
    os.kill(server.process.pid, signal.SIGSTOP)
    tasks = Path("/proc", str(server.process.pid), "task")
    wait_until(
        lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in tasks.glob("*/stat"))
    )
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@contextmanager
def hanging(
    ring: MemcacheRing | MemcachedStore, server: Memcached, *, patience_s: float = 0.2
) -> Iterator[None]:
    """Let *server* stand still and *ring* wait only *patience_s* for it, and as long as ever for others.

    A server that is merely slow is so never taken for one that hangs, however busy this machine is.
    """
    node: Any = ring._cluster.find(server.address)
    usual, node.patience = node.patience, Patience(patience_s, patience_s)
    try:
        with frozen(server):
            yield
    finally:
        node.patience = usual


class Fake:
    """A server that answers every portion that it receives by *answer*; None closes the connection.

    *answer* is given what came and how many connections there were before.
    """

    def __init__(self, answer: Callable[[bytes, int], bytes | None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()
            self.connections += 1

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                answer = self._answer(data, number)
                if answer is None:
                    return
                connection.sendall(answer)


class Trickle:
    """A way to *server* on which answers come in portions of a few bytes, cut at random."""

    def __init__(self, server: Memcached, seed: int) -> None:
        self._server = server
        self._dice = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.create_connection(("127.0.0.1", self._server.port))
            for way in ((client, server, 65_536), (server, client, 60)):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, most: int) -> None:
        with suppress(OSError):
            while data := source.recv(self._dice.randrange(1, most)):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()


class Relay:
    """A way to *server* on which a test decides what becomes of single requests and of their answers.

    It is decided about the next one that begins with *to*: not about those of a prober.  Others pass, each with
    its answer.  *request* and *answer* are the last ones that store something.
    """

    END = b"NF O987654321\r\n"

    def __init__(self, server: Memcached) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.request = self.answer = b""
        self._cut: Callable[[socket.socket, socket.socket, bytes], None] | None = None
        self._to = STORES
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def lose_answer(self, missing: int = WHOLE, *, to: bytes = STORES) -> None:
        """Do it; let its answer come but for so many bytes at its end, and close the connection."""

        def cut(client: socket.socket, server: socket.socket, request: bytes) -> None:
            client.sendall(self._ask(server, request)[:-missing])

        self._cut, self._to = cut, to

    def hold_answer(self) -> threading.Event:
        """Do it; let its answer come when the event is set."""
        may_come = threading.Event()

        def hold(client: socket.socket, server: socket.socket, request: bytes) -> None:
            answer = self._ask(server, request)
            may_come.wait(LIMIT_S)
            client.sendall(answer)

        self._cut, self._to = hold, STORES
        return may_come

    def lose_request(self, keep: int, *, to: bytes = STORES) -> None:
        """Let *keep* bytes of it come, and close the connection when the server has read them."""

        def cut(client: socket.socket, server: socket.socket, request: bytes) -> None:
            self.request = request
            server.sendall(request[:keep])
            server.shutdown(socket.SHUT_WR)
            while server.recv(65_536):
                pass

        self._cut, self._to = cut, to

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server.port)) as server:
            while request := client.recv(65_536):
                if self._cut is not None and request.startswith(self._to):
                    cut, self._cut = self._cut, None
                    cut(client, server, request)
                    return
                client.sendall(self._ask(server, request))

    def _ask(self, server: socket.socket, request: bytes) -> bytes:
        """Return the whole answer: all that comes before the answer to a question of our own."""
        server.sendall(request + b"md of-a-relay O987654321\r\n")
        answer = b""
        while not answer.endswith(self.END):
            portion = server.recv(65_536)
            if not portion:
                raise OSError("the server has closed the connection")
            answer += portion
        answer = answer.removesuffix(self.END)
        if request.startswith(STORES):
            self.request, self.answer = request, answer
        return answer
