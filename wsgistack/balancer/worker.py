"""A worker: one event loop with the data plane and the channel to the supervisor.

    python -m wsgistack.balancer.worker --channel FD --board FD --wakes FD,FD --number I

It ends when it is told to drain and has, or when the supervisor is gone.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
from collections.abc import Sequence
from typing import Any, Protocol

import gevent

from wsgistack.balancer.channel import Channel, Message
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.errors import SettingError

__all__ = ["Worker", "fit_connections", "main"]

ORPHAN_LIMIT_S = 30.0  # to finish what runs when the supervisor is gone
DRAIN_STEP_S = 0.02
SPARE_DESCRIPTORS = 200  # listeners, the channel, pipes of splice, the interpreter's own
# Ctrl-C and the end of a service unit reach every process; the supervisor ends us in order.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)


class DataPlane(Protocol):
    """What a worker asks of plane.Plane."""

    def start(self) -> None: ...
    def apply(self, snapshot: dict[str, Any]) -> None: ...
    def adopt(self, service: str, fd: int, address: str, inner: bool = False) -> None: ...
    def share(self, on: bool) -> None: ...
    def release(self, service: str, address: str, kept: bool = False) -> None: ...
    def drain(self) -> None: ...
    def open_log(self, path: str, format: str) -> None: ...
    def open_meter(self, folder: str) -> None: ...
    def clients(self) -> int: ...
    def inspect(self, question: str) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...


class Worker:
    """Does what the channel says; *descriptors* is how many files the process may open."""

    def __init__(self, plane: DataPlane, channel: Channel, *, descriptors: int) -> None:
        self._plane = plane
        self._channel = channel
        self._descriptors = descriptors
        self._waiting: dict[tuple[str, str], list[int]] = {}  # sockets whose service is not known yet
        self._inner: set[tuple[str, str]] = set()  # those of them that are for the keeper of the page cache
        self._services: dict[str, Any] = {}
        self._draining = False
        self._log = ("off", "")  # path and format of the access log that is open
        self._refused_log: tuple[str, str] | None = None
        self._usage_folder = ""
        self._told = 0  # the last max_connections that did not fit

    def run(self) -> None:
        """Work until drained, or orphaned and drained."""
        self._plane.start()
        self._channel.post({"type": "ready"})
        for message in self._channel:
            try:
                getattr(self, f"_on_{message['type']}")(message)
            except Exception as error:  # noqa: BLE001 - see below
                # The connections that run are worth more than one message.
                self._channel.offer({"event": "worker_failed", "at": message["type"], "error": repr(error)})
        if not self._draining:
            self._drain(ORPHAN_LIMIT_S)
        self._plane.close()

    def _on_adopt(self, message: Message) -> None:
        (descriptor,) = message["descriptors"]
        key = (message["service"], message["address"])
        if self._draining:
            os.close(descriptor)
        else:
            self._waiting.setdefault(key, []).append(descriptor)
            (self._inner.add if message.get("inner") else self._inner.discard)(key)

    def _on_release(self, message: Message) -> None:
        key = (message["service"], message["address"])
        if key in self._waiting:
            _close_all(self._waiting.pop(key))
        else:
            self._plane.release(*key, kept=message.get("kept", False))

    def _on_share(self, message: Message) -> None:
        self._plane.share(message["on"])

    def _on_snapshot(self, message: Message) -> None:
        """Apply it, take the sockets of its services, acknowledge: now all of it holds."""
        snapshot = message["snapshot"]
        ack = {"type": "ack", "version": snapshot["version"]}
        server = snapshot["server"]
        problem = self._fit(server) or self._change_log(server) or self._change_meter(server)
        try:
            self._plane.apply(snapshot)
            self._adopt_waiting(snapshot["services"])
        except Exception as error:  # noqa: BLE001 - see below
            # The old state stays; whoever changed it is told.
            problem = f"{type(error).__name__}: {error}"
        self._channel.post(ack | {"error": problem} if problem else ack)

    def _adopt_waiting(self, services: dict[str, Any]) -> None:
        for key in [key for key in self._waiting if key[0] in services]:
            service, address = key
            for descriptor in self._waiting.pop(key):
                self._plane.adopt(service, descriptor, address, inner=key in self._inner)

    def _fit(self, server: dict[str, Any]) -> str:
        """Lower max_connections to what fits; return what is wrong with it, once per value."""
        wanted = server["max_connections"]
        fits, problem = fit_connections(wanted, self._descriptors)
        server["max_connections"] = fits
        if wanted in (fits, self._told):
            return ""
        self._told = wanted
        if not problem:
            self._channel.offer({"event": "max_connections_lowered", "to": fits, "files": self._descriptors})
        return problem

    def _change_log(self, server: dict[str, Any]) -> str:
        """Open another access log if one is asked for; return what is wrong with it, once, and keep the old one."""
        wanted = (server["access_log"], server["access_log_format"])
        if wanted in (self._log, self._refused_log):
            return ""
        problem = self._open_log(*wanted)
        self._refused_log = wanted if problem else None
        return problem

    def _change_meter(self, server: dict[str, Any]) -> str:
        """Meter in another folder if one is named; return what is wrong with it, once, and keep the old one."""
        folder, self._usage_folder = self._usage_folder, server["usage_folder"]
        if folder == self._usage_folder:
            return ""
        try:
            self._plane.open_meter(self._usage_folder)
        except (OSError, SettingError) as error:
            return f"usage_folder = {self._usage_folder}: {error}"
        return ""

    def _open_log(self, path: str, format: str) -> str:
        try:
            self._plane.open_log(path, format)
        except OSError as error:
            return f"access_log = {path}: {error.strerror}"
        self._log = (path, format)
        return ""

    def _on_reopen(self, message: Message) -> None:
        """Write to the file that has the access log's name now."""
        problem = self._open_log(*self._log) if self._log[0] != "off" else ""
        if problem:
            self._channel.offer({"event": "access_log_not_reopened", "error": problem})

    def _on_ask(self, message: Message) -> None:
        rows = self._plane.inspect(message["question"])
        self._channel.post({"type": "answer", "id": message["id"], "rows": rows})

    def _on_drain(self, message: Message) -> None:
        self._draining = True
        gevent.spawn(self._leave)

    def _leave(self) -> None:
        self._drain(None)
        self._channel.post({"type": "drained"})
        self._channel.flush(1.0)
        self._channel.close()

    def _drain(self, limit_s: float | None) -> None:
        """Finish what runs, within *limit_s*."""
        for descriptors in self._waiting.values():
            _close_all(descriptors)
        self._waiting.clear()
        self._plane.drain()
        self._channel.post({"type": "draining"})
        with gevent.Timeout(limit_s, False):
            while self._plane.clients():
                gevent.sleep(DRAIN_STEP_S)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def fit_connections(wanted: int, descriptors: int) -> tuple[int, str]:
    """Return how many client connections fit into so many descriptors, and what is wrong with *wanted*.

    One node connection for two clients is reckoned with.  The default gives way silently; a
    number that somebody chose does not.
    """
    fits = max((descriptors - SPARE_DESCRIPTORS) * 2 // 3, 1)
    if wanted <= fits:
        return wanted, ""
    if wanted == SERVER_SETTINGS.get("max_connections").default:
        return fits, ""
    needed = wanted * 3 // 2 + SPARE_DESCRIPTORS
    text = (
        f"max_connections = {wanted} needs {needed} open files; the hard limit is {descriptors} (ulimit -Hn)"
    )
    return fits, text


def raise_limit() -> int:
    """Allow this process as many descriptors as the system lets it, and return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main(words: Sequence[str] | None = None) -> None:
    """Run worker --number over the inherited descriptors --channel, --board, --limits, --ready and --wakes."""
    parser = argparse.ArgumentParser(prog="wsgistack.balancer.worker")
    for name in ("channel", "board", "limits", "number"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--ready", type=int)
    parser.add_argument("--wakes", type=lambda text: [int(word) for word in text.split(",")], required=True)
    given = parser.parse_args(words)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    descriptors = raise_limit()
    from wsgistack.balancer.plane.board import Board
    from wsgistack.balancer.plane.plane import Plane

    ready = () if given.ready is None else (given.ready,)
    for descriptor in (given.board, given.limits, *ready, *given.wakes):
        os.set_inheritable(descriptor, False)
    channel = Channel.over(given.channel)
    board = Board.attach(given.board, given.limits, given.ready)
    plane = Plane(board, given.number, channel.offer, wakes=given.wakes)
    gc.collect()
    gc.freeze()  # what is here now stays: no collection looks at it again
    Worker(plane, channel, descriptors=descriptors).run()


if __name__ == "__main__":
    main()
