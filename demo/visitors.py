"""Visitors of the demo: one request, or steady load from several keep-alive connections."""

import http.client
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

__all__ = ["Answer", "Load", "ask"]

TIMEOUT_S = 60.0
PAUSE_S = 0.01  # steady load, not a benchmark: the machine has other things to do


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, whatever its status."""

    status: int
    fields: dict[str, str]
    body: str

    @property
    def who(self) -> str:
        """Who made it: `Flask, process 12`."""
        return self.body.partition(":")[0]


def ask(address: str, method: str, path: str) -> Answer:
    """Return the answer to one request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


class Load:
    """Steady GETs to *address* while the `with` block runs; counts who answered and what failed."""

    def __init__(self, address: str, *, visitors: int = 4) -> None:
        self.address = address
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._over = Event()
        self._lock = Lock()
        self._threads = [Thread(target=self._keep_asking, daemon=True) for _ in range(visitors)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def count_of(self, who: str) -> int:
        """Return how many answers *who* gave so far."""
        with self._lock:
            return self.answers[who]

    def reaches(self, who: str, *, within_s: float) -> bool:
        """Say whether *who* answers once more than until now, within that many seconds."""
        before = self.count_of(who)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.count_of(who) > before:
                return True
            time.sleep(0.02)
        return False

    def _keep_asking(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        while not self._over.wait(PAUSE_S):
            began, is_new = time.monotonic(), connection.sock is None
            try:
                who = _ask(connection, "/")
            except (OSError, http.client.HTTPException) as trouble:
                connection.close()  # the next request opens it anew
                way = (
                    f"after {time.monotonic() - began:.3f} s on {'a new' if is_new else 'an open'} connection"
                )
                with self._lock:
                    self.failures.append(f"{_now()} {way}: {type(trouble).__name__}: {trouble}")
            else:
                with self._lock:
                    self.answers[who] += 1
        connection.close()


def _ask(connection: http.client.HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    if response.status != 200:
        raise http.client.HTTPException(f"{response.status} {dict(response.getheaders())} {body[:80]!r}")
    return body.partition(":")[0]


def _now() -> str:
    """Return the time as the balancer's log has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
