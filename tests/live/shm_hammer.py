"""Processes that use one shared store without pause and are killed at random; run by test_shm_killed.py.

`python -m tests.live.shm_hammer KILLS SEED` prints what it counted as JSON.  A worker notes each
answer in memory that outlives it; one operation per life at most may go without its note.
"""

import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Iterator

from wsgistack.store.shm.store import ShmStore

SIZE = 2 * 1024 * 1024
WORKERS, COUNTERS, MOST = 4, 3, 4_000_000


class Notes:
    """Every answer that a worker got, and of each worker the last one; in memory that outlives workers."""

    def __init__(self) -> None:
        # Items of a memoryview are stored whole; struct.pack_into writes byte by byte.
        self._lasts = memoryview(mmap.mmap(-1, 8 * WORKERS * COUNTERS)).cast("Q")
        self._answers = [mmap.mmap(-1, MOST) for _ in range(COUNTERS)]

    def note(self, worker: int, counter: int, answer: int) -> None:
        assert self._answers[counter][answer] == 0, f"counter {counter} gave {answer} twice"
        self._answers[counter][answer] = 1
        self._lasts[worker * COUNTERS + counter] = answer

    def last(self, counter: int) -> int:
        return max(self._lasts[worker * COUNTERS + counter] for worker in range(WORKERS))

    def total(self, counter: int) -> int:
        return self._answers[counter][:].count(1)


def count(store: ShmStore, notes: Notes, worker: int, counter: int) -> None:
    """Take a number that is higher than all that anybody had before we asked."""
    before = notes.last(counter)
    answer = store.incr(f"count {counter}", 1, 3600, pinned=True)
    assert answer > before, f"counter {counter}: {answer} after {before}"
    notes.note(worker, counter, answer)


def swap(store: ShmStore, notes: Notes, worker: int, rng: random.Random) -> None:
    """Take the next number of a register by gets and cas; its value is of a new length each time."""
    counter = COUNTERS - 1
    before = notes.last(counter)
    found = store.gets("register")
    number = 0 if found is None else int(found.value.split(b" ", 1)[0])
    assert number >= before, f"register: read {number} after {before}"
    value = b"%d %s" % (number + 1, b"x" * rng.randrange(300))
    if found is None:
        done = store.add("register", value, 3600, pinned=True)
    else:
        done = store.cas("register", value, 3600, found.token, pinned=True)
    if done:
        notes.note(worker, counter, number + 1)


def exchange(store: ShmStore, rng: random.Random) -> None:
    """Write or read a large value whose every byte is known."""
    key = f"large {rng.randrange(60)}"
    if rng.random() < 0.5:
        byte, size = rng.randrange(256), rng.randrange(100_000)
        store.set(key, b"%08d %03d" % (size, byte) + bytes([byte]) * size, 3600)
        return
    value = store.get(key)
    if value is not None:
        size, byte = int(value[:8]), int(value[9:12])
        assert value[12:] == bytes([byte]) * size, f"{key} is torn"


def work(store: ShmStore, notes: Notes, worker: int, seed: int) -> None:
    rng = random.Random(seed)
    while True:
        what = rng.random()
        if what < 0.4:
            count(store, notes, worker, rng.randrange(COUNTERS - 1))
        elif what < 0.6:
            swap(store, notes, worker, rng)
        elif what < 0.9:
            exchange(store, rng)
        elif what < 0.95:
            store.delete(f"large {rng.randrange(60)}")
        else:
            pinned = rng.randrange(20)
            assert store.get(f"pinned {pinned}") == b"%d" % pinned * 9, f"pinned {pinned} is gone"


def start(store: ShmStore, notes: Notes, worker: int, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(store, notes, worker, seed)
        except Exception as error:  # noqa: BLE001  # whatever it is, the parent has to hear of it
            os.write(2, f"worker {worker}: {error!r}\n".encode())
        finally:
            os._exit(1)
    return pid


def kill_some(store: ShmStore, notes: Notes, kills: int, rng: random.Random) -> None:
    pids = [start(store, notes, worker, rng.randrange(2**60)) for worker in range(WORKERS)]
    try:
        for _ in range(kills):
            time.sleep(rng.expovariate(1 / 0.002))
            worker = rng.randrange(WORKERS)
            os.kill(pids[worker], signal.SIGKILL)
            _, status = os.waitpid(pids[worker], 0)
            assert os.WIFSIGNALED(status), f"worker {worker} ended by itself: {status}"
            pids[worker] = start(store, notes, worker, rng.randrange(2**60))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        ended = [os.waitpid(pid, 0)[1] for pid in pids]
    assert all(map(os.WIFSIGNALED, ended)), f"a worker ended by itself: {ended}"


def differences(store: ShmStore, notes: Notes) -> Iterator[int]:
    """Yield for each counter how many answers nobody could note any more."""
    for counter in range(COUNTERS - 1):
        yield int(store.get(f"count {counter}") or 0) - notes.total(counter)
    yield int((store.get("register") or b"0").split(b" ", 1)[0]) - notes.total(COUNTERS - 1)


def main(kills: int, seed: int) -> None:
    store, notes = ShmStore(None, SIZE, wait_s=20), Notes()
    for number in range(20):
        store.set(f"pinned {number}", b"%d" % number * 9, 3600, pinned=True)
    kill_some(store, notes, kills, random.Random(seed))
    damage = store.arena.check()
    stats = store.stats()
    print(
        json.dumps(
            {
                "damage": damage,
                "lost_notes": list(differences(store, notes)),
                "noted": [notes.total(counter) for counter in range(COUNTERS)],
                "kills": kills + WORKERS,
                "recoveries": stats["recoveries"],
                "evictions": stats["evictions"],
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
