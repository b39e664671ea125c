"""Pictures to Graphite, by prometheus_client's bridge, from a thread of its own.

A Graphite that is down or slow holds up nobody: while one picture is on its way the next ones
are dropped, and that it went wrong is logged once, until it goes right again.
"""

from __future__ import annotations

import queue
import threading
from typing import NamedTuple

from wsgistack.balancer.address import parse_address
from wsgistack.balancer.events import Log
from wsgistack.balancer.picture import Picture

__all__ = ["Graphite"]

TIMEOUT_S = 10.0  # to connect, and for each write


class _Parcel(NamedTuple):
    picture: Picture
    address: str
    prefix: str


class Graphite:
    """Sends pictures; the thread is started with the first."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._parcels: queue.Queue[_Parcel] = queue.Queue(maxsize=1)
        self._thread: threading.Thread | None = None
        self._failing = ""

    def offer(self, picture: Picture, *, address: str, prefix: str) -> bool:
        """Send a picture to the Graphite at *address* (HOST:PORT) if the last one is gone; tell whether."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="graphite", daemon=True)
            self._thread.start()
        try:
            self._parcels.put_nowait(_Parcel(picture, address, prefix))
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while True:
            self._send(self._parcels.get())
            self._parcels.task_done()

    def wait(self) -> None:
        """Wait until all that was taken has been sent, or could not be."""
        self._parcels.join()

    def _send(self, parcel: _Parcel) -> None:
        # Few send anything to Graphite; whoever does has a thread for it.
        from prometheus_client.bridge.graphite import GraphiteBridge

        from wsgistack.balancer.exposition import Exhibit

        where = parse_address(parcel.address, default_port=None)
        bridge = GraphiteBridge((where.host, where.port), Exhibit(parcel.picture), TIMEOUT_S)
        problem = ""
        try:
            bridge.push(parcel.prefix)
        except OSError as error:
            problem = str(error)
        if problem and not self._failing:
            self._log.warn("graphite_down", address=parcel.address, error=problem)
        elif self._failing and not problem:
            self._log.info("graphite_up", address=parcel.address)
        self._failing = problem
