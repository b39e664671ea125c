"""A closed loop of clients on real sockets: what each got, and why what failed did."""

import http.client
import threading
from collections import Counter
from contextlib import suppress
from typing import Self

__all__ = ["Load"]


class Load:
    """*clients* threads that GET on keep-alive connections until `stop`.

    `answers` counts bodies, `failures` the causes.  A connection refused is a failure only before
    `closing` is set: after that the balancer may be gone.
    """

    def __init__(self, address: str, clients: int = 12, path: str = "/") -> None:
        self.address = address
        self.path = path
        self.answers: Counter[bytes] = Counter()
        self.failures: Counter[str] = Counter()
        self.closing = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the loop and wait for the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection(self.address, timeout=20)
                try:
                    connection.connect()
                except OSError as error:
                    if self.closing.is_set():
                        return
                    self._failed(f"connect: {error!r}")
                    connection = None
                    continue
            if not self._one(connection):
                connection.close()
                connection = None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> bool:
        """Make one request; return whether the connection stays."""
        try:
            connection.request("GET", self.path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._failed(repr(error))
            return False
        with self._lock:
            if response.status == 200:
                self.answers[body] += 1
            else:
                self.failures[f"status {response.status}"] += 1
        return not response.will_close

    def _failed(self, why: str) -> None:
        with self._lock:
            self.failures[why] += 1

    @property
    def count(self) -> int:
        """Requests answered with 200 so far."""
        return sum(self.answers.values())
