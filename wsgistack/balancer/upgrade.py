"""From one balancer to its successor: a new program gets the sockets and what the old one knows.

The old one starts the new one with a socket pair, sends everything over it, and goes on until the
new one says that it is ready; then it drains.  If the new one fails, it stays in charge.  Sockets
are shared, not moved: at no time does nobody listen.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent

from wsgistack.balancer.channel import MOST_DESCRIPTORS, Channel, Message

__all__ = ["Inheritance", "Successor", "UpgradeError", "receive"]

VARIABLE = "WSGISTACK_UPGRADE"  # the descriptor of the successor's end
RECEIVE_TIMEOUT_S = 10.0
EXIT_STEP_S = 0.02


class UpgradeError(Exception):
    """The successor does not take over; str() says why."""


@dataclass(slots=True)
class Inheritance:
    """What a successor gets: listening sockets by address, a scoreboard and table of limits, and
    what was known (JSON).
    """

    channel: Channel
    sockets: dict[str, list[socket.socket]] = field(default_factory=dict)
    board: int | None = None
    limits: int | None = None
    state: Message = field(default_factory=dict)

    def take_over(self) -> None:
        """Tell the one before that we are ready: from now on it drains."""
        self.channel.post({"type": "ready", "pid": os.getpid()})
        self.channel.flush(RECEIVE_TIMEOUT_S)


class Successor:
    """The new program, seen from the old one."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=os.environ | {VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel.over(ours.detach())

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def give(self, sockets: Mapping[str, Sequence[int]], boards: tuple[int, int], state: Message) -> None:
        """Send it everything: descriptors of listening sockets by address, of both *boards*, and *state*."""
        for address, descriptors in sockets.items():
            for start in range(0, len(descriptors), MOST_DESCRIPTORS):
                part = descriptors[start : start + MOST_DESCRIPTORS]
                self._channel.post({"type": "sockets", "address": address}, part)
        self._channel.post({"type": "board"}, boards)
        self._channel.post({"type": "state", "state": state})

    def wait(self, timeout_s: float) -> None:
        """Return once it is ready; raise UpgradeError if it ends or takes longer."""
        with gevent.Timeout(timeout_s, UpgradeError(f"it was not ready after {timeout_s:g} s")):
            for message in self._channel:
                if message["type"] == "ready":
                    return
            while self._process.poll() is None:
                gevent.sleep(EXIT_STEP_S)
        raise UpgradeError(f"it ended with status {self._process.returncode}; what it said stands in the log")

    def end(self) -> None:
        """End it at once."""
        self._channel.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def let_go(self) -> None:
        """Keep nothing of it but the channel, whose end tells it that we are gone."""
        self._process.returncode = 0  # it outlives us: nobody waits for it


def receive(environment: Any) -> Inheritance | None:
    """Return what the balancer before hands over, None if there is none; *environment* loses its variable.

    Raises UpgradeError when it breaks off.
    """
    text = environment.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        inheritance = Inheritance(Channel.over(int(text)))
    except (ValueError, OSError) as error:
        raise UpgradeError(f"{VARIABLE}={text}: {error}") from None
    with gevent.Timeout(RECEIVE_TIMEOUT_S, UpgradeError("the balancer before sends nothing")):
        for message in inheritance.channel:
            match message["type"]:
                case "sockets":
                    given = [socket.socket(fileno=one) for one in message["descriptors"]]
                    inheritance.sockets.setdefault(message["address"], []).extend(given)
                case "board":
                    # A balancer from before there were limits sends its scoreboard alone.
                    inheritance.board, *rest = message["descriptors"]
                    inheritance.limits = rest[0] if rest else None
                case "state":
                    inheritance.state = message["state"]
                    return inheritance
    raise UpgradeError("the balancer before ended while it handed over")
