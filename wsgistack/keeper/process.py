"""The keeper's process: what the supervisor says is done, what operators ask is answered.

    python -m wsgistack.keeper.process --channel FD --ready FD

It ends when it is told to, or when the supervisor is gone; what runs may come to its end.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
from collections.abc import Sequence
from typing import Any

import gevent

from wsgistack.balancer.channel import Channel, Message
from wsgistack.balancer.events import find_place
from wsgistack.keeper.caches import Caches
from wsgistack.keeper.orders import Refused, perform
from wsgistack.keeper.ready import MakeKey, Ready, Table

__all__ = ["Keeper", "main"]

LOOK_INTERVAL_S = 1.0
LIFE_INTERVAL_S = 1.0  # see keeping.LOOK_INTERVAL_S
LEAVE_LIMIT_S = 30.0
LEAVE_STEP_S = 0.02
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)


class Keeper:
    """Does what the channel says.  *table*: the ready table and what makes its keys, None for none."""

    def __init__(self, channel: Channel, table: tuple[Table, MakeKey] | None) -> None:
        self._channel = channel
        self._table = table
        self.caches = Caches(make_ready=self._make_ready, later=gevent.spawn, tell=self.tell)

    def _make_ready(self) -> Ready | None:
        return None if self._table is None else Ready(*self._table)

    def tell(self, event: str, **fields: Any) -> None:
        """Let the log know."""
        trace = fields.pop("trace", None)
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            fields["at"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        self._channel.offer({"event": event, **fields})

    def run(self) -> None:
        """Work until told to end, or left alone."""
        looking = [gevent.spawn(self._look_for_purges), gevent.spawn(self._show_life)]
        self._channel.post({"type": "ready"})
        for message in self._channel:
            if message["type"] == "end":
                break
            try:
                getattr(self, f"_on_{message['type']}")(message)
            except Exception as error:  # noqa: BLE001 - what runs is worth more than one message
                self.tell(
                    "keeper_failed", message=message["type"], error=repr(error), place=find_place(error)
                )
        gevent.killall(looking)
        self.caches.leave()
        with gevent.Timeout(LEAVE_LIMIT_S, False):
            while self.caches.running:
                gevent.sleep(LEAVE_STEP_S)
        self.caches.close()

    def _on_snapshot(self, message: Message) -> None:
        snapshot = message["snapshot"]
        problem = self.caches.apply(snapshot)
        ack = {"type": "ack", "version": snapshot["version"]}
        self._channel.post(ack | {"error": problem} if problem else ack)

    def _on_order(self, message: Message) -> None:
        gevent.spawn(self._perform, message)  # a store may take its time, and others have theirs

    def _perform(self, message: Message) -> None:
        known = self.caches.by_name
        chosen = {name: known[name] for name in message["caches"] if name in known}
        done: Message = {"type": "done", "id": message["id"]}
        try:
            done["lines"] = perform(chosen, message["action"], message["argument"])
        except Refused as refused:
            done["error"] = str(refused)
        except Exception as error:  # noqa: BLE001 - whoever asked has to be told
            self.tell("keeper_failed", message=message["action"], error=repr(error), place=find_place(error))
            done["error"] = repr(error)
        self._channel.post(done)

    def _look_for_purges(self) -> None:
        while True:
            gevent.sleep(LOOK_INTERVAL_S)
            for cache in list(self.caches.by_name.values()):
                cache.look_for_purges()

    def _show_life(self) -> None:
        while True:
            self._channel.offer({"type": "alive"})
            gevent.sleep(LIFE_INTERVAL_S)


def main(words: Sequence[str] | None = None) -> None:
    """Run the keeper over the inherited descriptors --channel and --ready."""
    parser = argparse.ArgumentParser(prog="wsgistack.keeper")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--ready", type=int, required=True, help="of the ready table, -1 for none")
    given = parser.parse_args(words)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    table = None
    if given.ready >= 0:
        from wsgistack.balancer.plane.ready_table import ReadyTable, ready_key

        os.set_inheritable(given.ready, False)
        table = (ReadyTable.attach(given.ready), ready_key)
    channel = Channel.over(given.channel)
    gc.collect()
    gc.freeze()
    Keeper(channel, table).run()


if __name__ == "__main__":
    main()
