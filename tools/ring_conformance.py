"""`make conformance-ring`: ask the real programs where they keep a key, and compare.

Listening sockets play memcached and note who was asked for which key; pylibmc (libmemcached) and
nginx are the real ones.  What is absent is said, and counts as failed.
"""

from __future__ import annotations

import argparse
import random
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from wsgistack.store.layouts import DEFAULT_PORT
from wsgistack.store.ring import Member, build

__all__ = ["Recorder", "main"]

KEYS = [f"page:/articles/{number}" for number in range(400)]
SEED = 20040713
Ask = Callable[[Sequence[str]], None]


class Recorder:
    """*count* sockets that answer every `get` with a miss, and remember it.

    `owners` is {key: number of the socket} of what was asked since `forget`.
    """

    def __init__(self, places: Sequence[tuple[str, int]]) -> None:
        self.owners: dict[str, int] = {}
        self.listeners = [socket.create_server(place, backlog=64) for place in places]
        self.addresses = [listener.getsockname()[:2] for listener in self.listeners]
        self._selector = selectors.DefaultSelector()
        for number, listener in enumerate(self.listeners):
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, number)
        self._stop, self._stopped = socket.socketpair()
        self._selector.register(self._stopped, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.send(b"x")
        self._thread.join()
        for one in [*self.listeners, self._stop, self._stopped]:
            one.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if key.data is None:
                    return
                if one in self.listeners:
                    connection, _ = one.accept()
                    self._selector.register(connection, selectors.EVENT_READ, key.data)
                else:
                    self._answer(one, key.data)

    def _answer(self, connection: socket.socket, number: int) -> None:
        asked = b""
        with suppress(ConnectionError):
            asked = connection.recv(65536)
        for line in asked.splitlines():
            command, _, key = line.partition(b" ")
            if command == b"get":
                self.owners[key.decode()] = number
                connection.sendall(b"END\r\n")
            elif command == b"version":
                connection.sendall(b"VERSION 1.6.18\r\n")
        if not asked or asked.startswith(b"quit"):
            self._selector.unregister(connection)
            connection.close()


@contextmanager
def nginx(members: Sequence[Member]) -> Iterator[Ask]:
    """Yield what asks a running nginx that hashes over *members*."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        raise FileNotFoundError("nginx is not here: sudo apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as folder:
        door = Path(folder, "door")
        servers = "\n".join(f"server {m.address} weight={m.weight};" for m in members)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        Path(folder, "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log crit;"
            f"events {{}} http {{ access_log off; {temporary}"
            f" upstream nodes {{ hash $arg_k consistent; {servers} }}"
            f" server {{ listen unix:{door}; location / {{ set $memcached_key $arg_k; memcached_pass nodes; }} }} }}"
        )
        command = [program, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/log"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            yield lambda keys: _ask_nginx(door, keys)
        finally:
            process.kill()
            process.wait()


def _ask_nginx(door: Path, keys: Sequence[str]) -> None:
    with _connect(door) as connection:
        answers = connection.makefile("rb")
        for key in keys:
            connection.sendall(f"GET /?k={key} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            length = 0
            while (line := answers.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            answers.read(length)


def _connect(door: Path) -> socket.socket:
    """Return a connection to a server that may still be starting."""
    deadline = time.monotonic() + 10
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(door))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return connection


@contextmanager
def pylibmc_of(members: Sequence[Member], behaviors: dict[str, object]) -> Iterator[Ask]:
    """Yield what asks a pylibmc client of *members*."""
    try:
        import pylibmc
    except ImportError:
        raise FileNotFoundError("pylibmc is not here: pip install pylibmc") from None
    weighted = "ketama_weighted" in behaviors
    servers = [f"{m.address}:{m.weight}" if weighted else m.address for m in members]
    client = pylibmc.Client(servers, behaviors=behaviors)

    def ask(keys: Sequence[str]) -> None:
        for key in keys:
            client.get(key)

    yield ask
    client.disconnect_all()


Peer = Callable[[Sequence[Member]], AbstractContextManager[Ask]]
PEERS: dict[str, Peer] = {
    "libmemcached": lambda m: pylibmc_of(m, {"ketama_weighted": True}),
    "ketama100": lambda m: pylibmc_of(m, {"ketama": True}),
    "ketama100_md5": lambda m: pylibmc_of(m, {"ketama": True, "hash": "md5"}),
    "nginx": nginx,
}


def compare(layout: str, recorder: Recorder, weights: Sequence[int]) -> list[str]:
    """Return the keys that the real program keeps elsewhere than we do, with both places."""
    members = [
        Member(host, port, weight) for (host, port), weight in zip(recorder.addresses, weights, strict=False)
    ]
    recorder.owners.clear()
    with PEERS[layout](members) as ask:
        ask(KEYS)
    ring = build(layout, members)
    met = [recorder.owners.get(key, -1) for key in KEYS]
    expected = [ring.place(key) for key in KEYS]
    return [f"{key}: {a}, not {b}" for key, a, b in zip(KEYS, met, expected, strict=True) if a != b]


def cases(layout: str, most: int, vectors: int, rng: random.Random) -> Iterator[list[int]]:
    """Yield the weights of 1 to *most* equal nodes, then *vectors* of unequal ones."""
    for count in range(1, most + 1):
        yield [1] * count
    for _ in range(vectors if layout in ("libmemcached", "nginx") else 0):
        yield [rng.randint(1, 9) for _ in range(rng.randint(2, 12))]


def main() -> int:
    """Compare every layout that has a real program; exit status 1 unless all agree on all keys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100, help="equal nodes: 1 to this many (100)")
    parser.add_argument("--vectors", type=int, default=200, help="vectors of weights (200)")
    options = parser.parse_args()
    failed = False
    # The first one has the default port, whose number libmemcached leaves out of the name.
    places = [("127.77.0.1", DEFAULT_PORT), *[("127.0.0.1", 0)] * (options.most - 1)]
    with Recorder(places) as recorder:
        for layout in PEERS:
            rings = wrong = 0
            try:
                for weights in cases(layout, options.most, options.vectors, random.Random(SEED)):
                    rings += 1
                    wrong += len(compare(layout, recorder, weights[: options.most]))
            except FileNotFoundError as absent:
                print(f"{layout}: not compared, {absent}")
                failed = True
                continue
            print(f"{layout}: {rings} rings, {rings * len(KEYS)} keys, {wrong} elsewhere")
            failed = failed or wrong > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
