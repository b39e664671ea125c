"""A story of two rings over real servers that stop, die, come back empty, join and leave: neither reads what it replaced.

WSGISTACK_LONG sets how many ills befall them; `tests/simulation/test_ring.py` tells many more such stories, without sockets.
"""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stale import Change, History
from tests.store.memcached.stage import frozen, wait_until
from tools.real_memcached import Memcached, listening
from wsgistack.store.memcached.ring import MemcacheRing

ILLS = int(os.environ.get("WSGISTACK_LONG", "12"))
KEYS = [f"key:{number}" for number in range(24)]
LIMIT_S = 120.0


class Client(threading.Thread):
    """One ring and the thread that uses it; it expects of its own changes that they last."""

    def __init__(self, who: int, servers: list[str]) -> None:
        super().__init__()
        self.who = who
        self.ring = MemcacheRing(servers, timeout=0.2, least_timeout=0.1)
        self.histories = {key: History(key) for key in [*KEYS, "page"]}
        self.done = 0
        self.is_over = False
        self.troubles: list[BaseException] = []
        self._dice = random.Random(who)

    def run(self) -> None:
        try:
            while not self.is_over:
                self._operate()
                self.done += 1
        except BaseException as trouble:  # noqa: BLE001 - the test says so
            self.troubles.append(trouble)

    def _operate(self) -> None:
        began = time.monotonic_ns()
        value = self.done * 100
        key = self._dice.choice(KEYS) + str(self.who)
        history = self.histories[key[:-1]]
        match self._dice.randrange(8):
            case 0 | 1:
                self.ring.set(key, value)
                history.change(Change(began, time.monotonic_ns(), self.who, value))
            case 2:
                self.ring.delete(key)
                history.change(Change(began, time.monotonic_ns(), self.who, None))
            case 3:
                made = {one: value + number for number, one in enumerate(self._dice.sample(KEYS, 5))}
                self.ring.set_many({one + str(self.who): number for one, number in made.items()})
                for one, number in made.items():
                    self.histories[one].change(Change(began, time.monotonic_ns(), self.who, number))
            case 4:
                found, token = self.ring.gets(key)
                self._see(history, began, found)
                began = time.monotonic_ns()
                if token is not None and self.ring.cas(key, value, token):
                    history.change(Change(began, time.monotonic_ns(), self.who, value))
            case 5:
                self._fetch(began, value)
            case 6:
                self._see(history, began, self.ring.get(key))
            case _:
                for one, found in self.ring.get_many([one + str(self.who) for one in KEYS]).items():
                    self._see(self.histories[one[:-1]], began, found)

    def _fetch(self, began: int, value: int) -> None:
        tag, page = f"tag:{self.who}", self.histories["page"]
        if self._dice.random() < 0.3:
            self.ring.invalidate_tags(tag)
            page.change(Change(began, time.monotonic_ns(), self.who, None))
            return

        def make() -> int:
            now = time.monotonic_ns()
            page.make(Change(now, now, self.who, value))
            return value

        found = self.ring.fetch(f"page:{self.who}", make, 60, tags=[tag], wait=1)
        self._see(page, began, found)

    def _see(self, history: History, began: int, value: object) -> None:
        if isinstance(value, int):
            history.read(Change(began, time.monotonic_ns(), self.who, value))

    def is_well(self) -> bool:
        """Return whether all nodes are in use; what one still has to lose it loses when it is asked for it."""
        return all(node.may_read for node in self.ring._cluster.nodes())


class Servers:
    """Servers at paths of their own, that end and begin again."""

    def __init__(self, folder: Path, count: int) -> None:
        self.paths = [str(folder / f"node{number}") for number in range(count)]
        self._stacks = [ExitStack() for _ in self.paths]
        self.running: list[Memcached] = []
        for number in range(count):
            self.running.append(self._start(number))

    def _start(self, number: int) -> Memcached:
        return self._stacks[number].enter_context(listening("-s", self.paths[number]))

    def kill(self, number: int) -> None:
        self._stacks[number].close()

    def start(self, number: int) -> None:
        self.running[number] = self._start(number)

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


@pytest.mark.live
@pytest.mark.timeout(3600)
def test_two_rings_read_nothing_that_they_replaced_whatever_befalls_their_servers(tmp_path: Path) -> None:
    dice = random.Random(7)
    servers = Servers(tmp_path, 4)
    clients = [Client(who, servers.paths[:3]) for who in range(2)]
    has_fourth = False

    def let_work(operations: int) -> None:
        wanted = [client.done + operations for client in clients]
        wait_until(
            lambda: (
                any(client.troubles for client in clients)
                or all(client.done >= many for client, many in zip(clients, wanted, strict=True))
            ),
            LIMIT_S,
        )

    try:
        for client in clients:
            client.start()
        for _ in range(ILLS):
            victim = dice.randrange(3)
            match dice.randrange(4):
                case 0 | 1:
                    with frozen(servers.running[victim]):
                        let_work(60)
                case 2:
                    servers.kill(victim)
                    let_work(60)
                    servers.start(victim)
                case _:
                    for client in clients:
                        (client.ring.remove_server if has_fourth else client.ring.add_server)(
                            servers.paths[3]
                        )
                        let_work(20)
                    has_fourth = not has_fourth
            let_work(dice.choice([20, 100]))
        wait_until(lambda: all(client.is_well() or client.troubles for client in clients), LIMIT_S)
        let_work(100)
    finally:
        for client in clients:
            client.is_over = True
        for client in clients:
            client.join()
            client.ring.close()
        servers.close()
    assert [client.troubles for client in clients] == [[], []]
    stale = [
        one for client in clients for history in client.histories.values() for one in history.find_stale()
    ]
    assert stale == []
    assert min(len(client.histories["page"].reads) for client in clients) > 0
