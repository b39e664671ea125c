"""What the admin ports show: the supervisor's state, as pages and metrics; and Graphite's share of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from wsgistack.balancer.control import Control
from wsgistack.balancer.events import Log
from wsgistack.balancer.graphite import Graphite
from wsgistack.balancer.language.replies import Reply
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.picture import Picture
from wsgistack.balancer.processes import Seat
from wsgistack.balancer.secrets import hide_in
from wsgistack.balancer.window import Window
from wsgistack.settings import Value

__all__ = ["FrontDesk"]

GRAPHITE_STEP_S = 0.5


class FrontDesk:
    """Answers what the ports ask (port.Desk).

    *perform* does one command, *is_ending* tells whether the balancer is about to stop.
    """

    def __init__(
        self,
        control: Control,
        window: Window,
        seats: Sequence[Seat],
        *,
        perform: Callable[[str, Session], Reply],
        is_ending: Callable[[], bool],
        log: Log,
    ) -> None:
        self._perform = perform
        self._control = control
        self._window = window
        self._seats = seats
        self._is_ending = is_ending
        self._graphite = Graphite(log)
        self._rendering = BoundedSemaphore(1)

    def perform(self, line: str, session: Session) -> Reply:
        """Do one command; who may only read gets no secret to see."""
        reply = self._perform(line, session)
        return hide_in(reply) if session.readonly else reply

    def settings(self, service: str) -> Mapping[str, Value]:
        """Return the settings of a management service as they are now."""
        return self._control.service(service).settings

    def state(self) -> dict[str, Any]:
        """Return the state page."""
        return self._window.state(self.unready())

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type; a thread of their own writes them."""
        with self._rendering:  # one after the other: a crowd of scrapers gets one core at most
            picture = self._window.picture(self.unready())
            text: tuple[bytes, str] = gevent.get_hub().threadpool.apply(_render, (picture, accept))
        return text

    def unready(self) -> str:
        """Return why no request should be sent here, "" if nothing speaks against it."""
        if self._is_ending():
            return "shutting down"
        return "" if any(seat.state == "accepting" for seat in self._seats) else "no worker accepts"

    def feed_graphite(self) -> None:
        """Send the metrics to Graphite as the settings of the moment say; never returns."""
        pushed_at = time.monotonic()
        while True:
            gevent.sleep(GRAPHITE_STEP_S)
            server = self._control.snapshot.server
            address, interval_s = server["graphite"], server["graphite_interval"]
            assert isinstance(interval_s, float)
            if address and time.monotonic() - pushed_at >= interval_s:
                pushed_at = time.monotonic()
                picture = self._window.picture(self.unready())
                self._graphite.offer(picture, address=str(address), prefix=str(server["graphite_prefix"]))


def _render(picture: Picture, accept: str) -> tuple[bytes, str]:
    from wsgistack.balancer.exposition import render  # with prometheus_client: see port.py

    return render(picture, accept)
