"""Scripts that need a process of their own: `python -m tests.store.memcached.solo NAME ADDRESS...`.

Each ends with status 0 if all was right, and says on stderr what was not.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from tests.conftest import PATIENT
from wsgistack.store.memcached.ring import MemcacheRing

__all__ = ["check_some", "run", "start"]

OPERATIONS = int(os.environ.get("WSGISTACK_LONG", "3000"))
ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")


def run(name: str, addresses: Sequence[str]) -> int:
    """Run one of the scripts below; return its exit status."""
    with start(name, addresses) as process:
        process.communicate(timeout=max(50, OPERATIONS // 100))
    return process.returncode


def start(name: str, addresses: Sequence[str]) -> subprocess.Popen[str]:
    """Start one of the scripts below; read its output to the end."""
    # Python 3.12 warns of any fork beside a thread; gevent's resolver has one.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *quiet, "-m", "tests.store.memcached.solo", name, *addresses]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def check_some(ring: MemcacheRing, number: int, dice: random.Random) -> None:
    """Make one operation and check that its answer belongs to it."""
    key = f"{number}:{dice.randrange(8)}"
    match dice.randrange(6):
        case 0:
            value = ring.get(key)
            assert value is None or _text(value).startswith(key + " "), (key, value)
        case 1:
            text = f"{key} {dice.random()}"
            ring.set(key, text if dice.random() < 0.5 else text.encode(), expire=60)
        case 2:
            keys = [f"{number}:{index}" for index in range(8)]
            for found, value in ring.get_many(keys).items():
                assert _text(value).startswith(found + " "), (found, value)
        case 3:
            counted = ring.incr(f"count:{number}", 2)
            assert counted is None or (counted % 2 == 0 and counted > 0), counted
        case 4:
            names = [f"{number}:{dice.randrange(8)}" for _ in range(6)]
            texts = {name: f"{name} {dice.random()}" for name in names}
            ring.set_many(
                {name: text if dice.random() < 0.5 else text.encode() for name, text in texts.items()}
            )
        case 5:
            assert ring.gets(f"none:{key}") == (None, None)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


class Interrupted(BaseException):
    """What a signal handler raises, or another thread throws: no Exception."""


def interrupt(addresses: list[str]) -> None:
    """Work while signals raise, at any instruction of a call."""
    ring = MemcacheRing(addresses, **PATIENT)
    dice = random.Random(4)
    is_inside = False
    interrupted = made = 0

    def raise_it(*_: object) -> None:
        nonlocal is_inside
        if is_inside:
            is_inside = False
            raise Interrupted

    signal.signal(signal.SIGALRM, raise_it)
    ring.set("count:1", 0)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    while made < OPERATIONS:
        made += 1
        try:
            is_inside = True
            check_some(ring, 1, dice)
            is_inside = False
        except Interrupted:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    _check_after(ring, interrupted)


def throw(addresses: list[str]) -> None:
    """Work in two threads while a third throws an exception into them, at any instruction of theirs."""
    ring = MemcacheRing(addresses, **PATIENT)
    ring.set_many({"count:0": 0, "count:1": 0})
    made = [0, 0]
    met = [0, 0]
    thrown = [0, 0]
    thrown_at = [0, 0]  # after so many operations
    lost = 0

    def work(number: int) -> None:
        dice = random.Random(number)
        while made[number] < OPERATIONS // 2:
            try:
                while made[number] < OPERATIONS // 2:
                    made[number] += 1
                    check_some(ring, number, dice)
            except Interrupted:
                met[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    left = OPERATIONS // 2 - 100  # the last ones are let be, so that none is thrown behind them
    while any(count < left for count in made):
        for number, worker in enumerate(workers):
            if thrown[number] > met[number] and made[number] > thrown_at[number] + 50:
                lost += 1  # it came while Python ran a finalizer, where exceptions end
                thrown[number] = met[number]
            if made[number] < left and thrown[number] == met[number]:
                thrown[number] += 1
                thrown_at[number] = made[number]
                ident = ctypes.c_ulong(worker.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Interrupted))
        time.sleep(0.0003)
    for worker in workers:
        worker.join()
    assert lost * 50 <= sum(met), (lost, met)
    _check_after(ring, sum(met))


def _check_after(ring: MemcacheRing, interrupted: int) -> None:
    ring.set("a", "right")
    assert ring.get("a") == "right"
    assert {node["state"] for node in ring.nodes()} == {"up"}
    assert interrupted > OPERATIONS // 100, interrupted
    assert len(os.listdir("/proc/self/fd")) < 60
    print(f"{interrupted} of {OPERATIONS} operations were interrupted")


def count(addresses: list[str]) -> None:
    """Count with incr and with cas; say what incr gave."""
    ring = MemcacheRing(addresses, **PATIENT)
    print(*[ring.incr("n", 1) for _ in range(100)])
    for _ in range(100):
        while True:
            value, token = ring.gets("c")
            if ring.cas("c", value + 1, token):
                break


def fork_plain(addresses: list[str]) -> None:
    """Use a ring on both sides of a fork."""
    ring = MemcacheRing(addresses, **PATIENT)
    expected = {f"key:{number}": number for number in range(20)}
    ring.set_many(expected)
    pid = os.fork()
    for _ in range(200):
        assert ring.get_many(list(expected)) == expected
        assert ring.get("key:7") == 7
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert ring.get("key:1") == 1


def fork_gevent(addresses: list[str]) -> None:
    """Do the same under gevent, with greenlets that wait for answers while the process forks."""
    from gevent import monkey

    monkey.patch_all()
    import gevent

    ring = MemcacheRing(addresses, **PATIENT)
    ring.set("a", 1)
    waiting = [gevent.spawn(ring.get, "a") for _ in range(20)]
    gevent.sleep(0)
    pid = os.fork()
    found = [greenlet.get(timeout=5) for greenlet in waiting]
    if pid == 0:
        # The requests were the parent's: who waited here finds nothing, and goes on.
        right = set(found) <= {None, 1} and ring.get("a") == 1
        os._exit(0 if right else 5)
    assert found == [1] * 20
    fork_plain(addresses)
    assert os.waitpid(pid, 0)[1] == 0


SCRIPTS = {script.__name__: script for script in (interrupt, throw, count, fork_plain, fork_gevent)}

if __name__ == "__main__":
    SCRIPTS[sys.argv[1]](sys.argv[2:])
