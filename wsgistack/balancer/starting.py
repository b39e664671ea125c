"""How the worker processes and the keeper come to be: the first ones are forked, later ones started anew.

A fork has all that the supervisor imported, and no second copy of it in memory: it is there in milliseconds,
where a new interpreter takes longer to import than to do everything else.  But of a process with an event
loop or threads a fork has half: so the first processes are forked before there is either, and one that
takes a dead one's place begins with an interpreter of its own.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from wsgistack.balancer.channel import Channel
from wsgistack.balancer.processes import Process

if TYPE_CHECKING:
    from wsgistack.balancer.plane.board import Board

__all__ = ["Forked", "Starter"]

WORKER = "wsgistack.balancer.worker"
KEEPER = "wsgistack.keeper.process"  # by name: nobody imports the keeper

Wanted = tuple[str, list[str], tuple[int, ...]]  # its module, its arguments, the descriptors that it inherits


class Starter:
    """Starts the processes over *board*: see the module.

    `fork_first` may be called once, while there is neither an event loop nor a thread; `close` ends those
    that were forked and never asked for.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._forked: dict[str, tuple[Forked, int]] = {}  # by seat, with our end of the channel

    def fork_first(self, *, workers: int, keeper: bool) -> None:
        """Fork the first processes.  *keeper*: whether one is needed at once."""
        if threading.active_count() > 1:
            return
        # Whoever could not be forked is started anew, and it is said if that fails too.
        with suppress(OSError):
            if keeper:  # first: it goes on to import while we do
                self._fork("keeper", self._keeper())
            import_module("wsgistack.balancer.plane.plane")
            import_module(WORKER)
            # What is here now stays.  Collections in the children would write on each of these pages.
            gc.freeze()
            for number in range(workers):
                self._fork(f"worker {number}", self._worker(number))

    def worker(self, number: int) -> tuple[Process, Channel]:
        """Start the process of worker *number*."""
        return self._take(f"worker {number}") or _spawn(self._worker(number))

    def keeper(self) -> tuple[Process, Channel]:
        """Start the process of the page caches."""
        return self._take("keeper") or _spawn(self._keeper())

    def close(self) -> None:
        """Leave no process behind that nobody asked for."""
        for process, channel in self._forked.values():
            os.close(channel)
            process.kill()
            process.wait()
        self._forked.clear()

    def _worker(self, number: int) -> Wanted:
        """It inherits the scoreboard, the tables of limits and of pages, and what the workers wake each other by."""
        board = self._board
        assert board.limits is not None
        ready = () if board.ready is None else (board.ready.fd,)
        words = ["--number", str(number), "--board", str(board.fd), "--limits", str(board.limits.fd)]
        words += ["--wakes", ",".join(str(wake) for wake in board.wakes)]
        words += [word for fd in ready for word in ("--ready", str(fd))]
        return WORKER, words, (board.fd, board.limits.fd, *ready, *board.wakes)

    def _keeper(self) -> Wanted:
        """It inherits the table of pages that workers answer from."""
        ready = self._board.ready
        if ready is None:
            return KEEPER, ["--ready", "-1"], ()
        return KEEPER, ["--ready", str(ready.fd)], (ready.fd,)

    def _fork(self, seat: str, wanted: Wanted) -> None:
        self._forked[seat] = _fork(seat, wanted)

    def _take(self, seat: str) -> tuple[Process, Channel] | None:
        """Return the one that was forked for a seat, the first time."""
        if seat not in self._forked:
            return None
        process, channel = self._forked.pop(seat)
        return process, Channel.over(channel)


class Forked:
    """A child of ours, as subprocess.Popen has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Look whether it has ended, and return the exit status; None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait until it has ended, and return the exit status."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # who started us ignores SIGCHLD, and so do we: its status is lost
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """Send SIGKILL, unless it is known to have ended: its number may be another's."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _fork(name: str, wanted: Wanted) -> tuple[Forked, int]:
    """Return the child that does what is *wanted*, and our end of its channel."""
    ours, theirs = (end.detach() for end in socket.socketpair())
    try:
        pid = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    if pid == 0:
        _be(name, wanted, theirs)
    os.close(theirs)
    with suppress(OSError):  # it does so too, and one of us is first
        os.setpgid(pid, pid)
    return Forked(pid), ours


def _be(name: str, wanted: Wanted, channel: int) -> None:
    """Be the child: never return, and run nothing that the supervisor's code does at its end."""
    module, words, descriptors = wanted
    status = 1
    try:
        os.setpgid(0, 0)
        _keep_only({0, 1, 2, channel, *descriptors})
        _call_us(f"wsgi {name}")
        import_module(module).main(["--channel", str(channel), *words])
        status = 0
    except BaseException:  # noqa: BLE001 - the frames below are the supervisor's
        traceback.print_exc()
    finally:
        os._exit(status)


def _keep_only(kept: set[int]) -> None:
    """Close what other processes' ends are, and stdin."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        met = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # nobody mounted it, as in a chroot
        _close_between(sorted(kept))
        return
    for fd in met:
        if fd not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(fd)


def _close_between(kept: list[int]) -> None:
    first = 0
    for fd in [*kept, os.sysconf("SC_OPEN_MAX")]:
        if first < fd:  # closerange(0, 0) closes everything
            os.closerange(first, fd)
        first = fd + 1


def _call_us(name: str) -> None:
    """Let `ps` and `top` tell the processes apart: the command line is the supervisor's."""
    with suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write(name)


def _spawn(wanted: Wanted) -> tuple[Process, Channel]:
    """Start an interpreter with its channel and some descriptors of ours.

    In a process group of its own, so that Ctrl-C is for the supervisor, which ends all in order.
    """
    module, words, descriptors = wanted
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [*_python(module), "--channel", str(theirs.fileno()), *words],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *descriptors),
            process_group=0,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, Channel.over(ours.detach())


def _python(module: str) -> list[str]:
    # -m puts the working directory first in the path: only if it stands in ours too.
    safe = [] if {"", os.getcwd()} & set(sys.path) else ["-P"]
    return [sys.executable, *safe, "-m", module]
