"""A bounded closed loop of clients that ask a WSGI server, and what became of each request."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

__all__ = ["CLIENT", "Load", "Seen", "ask", "ask_limited"]

CLIENTS = 6
PATIENCE_S = 20.0
CLIENT = "10.9.9.9"  # of the load, in the rows of the metering
PAUSE_S = 0.005  # of a client after each request: what is looked for is not the most that goes


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: its name, when it began and ended (monotonic seconds), and what came.

    *status* is 0 when no whole answer came; *why* says then what happened.  *body*: of the answer.
    """

    ident: str
    began: float
    ended: float
    status: int
    body: str
    why: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether the visitor got something else than the page."""
        return self.status != 200


def ask(port: int, path: str, *, client: str, ident: str = "", method: str = "GET") -> Seen:
    """Ask once, on a connection of its own, as *client* behind a proxy."""
    began = time.monotonic()
    status, body, why = 0, "", ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        fields = {"X-Forwarded-For": client, "Connection": "close"}
        connection.request(method, path, headers=fields | ({"X-Request-Id": ident} if ident else {}))
        response = connection.getresponse()
        body = response.read().decode()
        status = response.status
    except (OSError, http.client.HTTPException) as error:
        why = type(error).__name__
    finally:
        connection.close()
    return Seen(ident, began, time.monotonic(), status, body, why)


def ask_limited(port: int, client: str, asked: int) -> list[Seen]:
    """Ask for what is limited, *asked* times, several at once."""
    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(lambda _: ask(port, "/limited", client=client), range(asked)))


class Load:
    """Clients that ask for a page again as soon as they are answered, each time on a new connection.

    Their requests are PUTs, so that they are counted apart from what else is asked.
    """

    def __init__(self, port: int, name: str) -> None:
        self.seen: list[Seen] = []
        self._port = port
        self._name = name
        self._over = threading.Event()
        self._goes = threading.Event()
        self._goes.set()
        self._busy = [threading.Lock() for _ in range(CLIENTS)]
        self._clients = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish its request, and end."""
        self._over.set()
        self._goes.set()
        for client in self._clients:
            client.join()

    def hold(self) -> None:
        """Ask nothing until `go_on`; return when all is answered."""
        self._goes.clear()
        for busy in self._busy:
            with busy:
                pass

    def go_on(self) -> None:
        """Ask again."""
        self._goes.set()

    def workers(self, since: float) -> set[str]:
        """Return who answered requests that began since then."""
        return {one.body for one in list(self.seen) if one.began >= since and not one.failed}

    def _run(self, number: int) -> None:
        turn, failed = 0, False
        while not self._over.wait(PAUSE_S):
            turn += 1
            ident = f"{self._name}-{number}-{turn}"
            self._goes.wait()
            with self._busy[number]:
                if self._goes.is_set():
                    seen = ask(self._port, "/page", client=CLIENT, ident=ident, method="PUT")
                    self.seen.append(seen)
                    failed = seen.failed
            if failed:
                time.sleep(PAUSE_S * 10)  # nothing is learned from thousands that are refused
