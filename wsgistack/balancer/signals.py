"""What the supervisor does about signals."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import gevent

from wsgistack.balancer.events import Log
from wsgistack.balancer.language.session import Session

if TYPE_CHECKING:
    from wsgistack.balancer.supervisor import Supervisor

__all__ = ["obey"]


def obey(supervisor: Supervisor, log: Log) -> None:
    """End at the first SIGTERM or SIGINT gracefully, at the second at once; reload, upgrade, reopen logs."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    asked = 0

    def end() -> None:
        nonlocal asked
        asked += 1
        log.info("signal", count=asked)
        supervisor.stop(after_s=supervisor.drain_limit_s if asked == 1 else None)

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, end)
    gevent.signal_handler(signal.SIGUSR1, supervisor.reopen_logs)
    gevent.signal_handler(signal.SIGHUP, supervisor.perform, "reload", Session(peer="SIGHUP"))
    gevent.signal_handler(signal.SIGUSR2, supervisor.perform, "upgrade", Session(peer="SIGUSR2"))
