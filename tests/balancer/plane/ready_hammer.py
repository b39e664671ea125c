"""A writer of the ready table that is killed again and again, and who reads it meanwhile; run by test_ready_table.py.

`python -m tests.balancer.plane.ready_hammer KILLS` prints what it counted as JSON.  Every byte of a page follows
from its key and its number, so a reader knows whether what it got is one page as a whole.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial

from wsgistack.balancer.plane.ready_table import ReadyTable, ready_key

KEYS, SIZE, NOW, STEPS, READS = 24, 64 * 1024, 1000.0, 9, 300


def key(number: int) -> bytes:
    return ready_key(1, b"http", b"example.com", b"/%d" % number, b"")


def body(number: int, version: int) -> bytes:
    return b"%d %d;" % (number, version) * (version * 37 % 600)


def publish(table: ReadyTable, number: int, version: int) -> bool:
    return table.publish(
        key(number),
        head_before=b"HTTP/1.1 200 OK\r\nX-Page: %d %d\r\n" % (number, version),
        head_after=b"X: y\r\n",
        body=body(number, version),
        born=0,
        expires_at=NOW * 2,
    )


def read(table: ReadyTable, number: int) -> int | None:
    """Return the version of a page, None if it is not there; AssertionError if it is not whole."""
    found = table.get(key(number), NOW)
    if found is None:
        return None
    status, lines, text = found
    _, first, after, length, end = lines.split(b"\r\n")
    version = int(first.split()[2])
    assert (status, first, end) == (200, b"X-Page: %d %d" % (number, version), b""), lines
    assert (after, length) == (b"X: y", b"Content-Length: %d" % len(text)), lines
    assert text == body(number, version), f"page {number} {version} is torn"
    return version


def write(table: ReadyTable, seed: int) -> None:
    rng = random.Random(seed)
    while True:
        what = rng.random()
        if what < 0.95:
            publish(table, rng.randrange(KEYS), rng.randrange(1, 10**6))
        elif what < 0.99:
            table.drop(key(rng.randrange(KEYS)))
        else:
            table.clear()


def fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the parent has to hear of it
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(1)
    return pid


def end(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself: {status}"


def die_at_each_step(table: ReadyTable) -> int:
    """Let a writer die at each step of its work; return how many of them had published by then."""
    done = 0
    for step in range(1, STEPS + 1):
        table.clear()
        publish(table, 1, 100)
        publish(table, 2, 200)

        def work(step: int = step) -> None:
            table.die_after(step)
            publish(table, 1, 101)
            publish(table, 3, 300)

        end(fork(work))
        after = [read(table, number) for number in (1, 2, 3)]
        assert after[0] in (100, 101), (step, after)
        assert after[1:] == [200, None], (step, after)
        done += after[0] == 101
        assert publish(table, 1, 102)
        assert read(table, 1) == 102
    return done


def hammer(table: ReadyTable, kills: int) -> dict[str, int]:
    rng, found, asked = random.Random(20261126), 0, 0
    for _ in range(kills):
        pid = fork(partial(write, table, rng.randrange(2**60)))
        try:
            for _ in range(READS):
                asked += 1
                found += read(table, rng.randrange(KEYS)) is not None
        finally:
            os.kill(pid, signal.SIGKILL)
            end(pid)
    return {"asked": asked, "found": found}


def main(kills: int) -> None:
    table = ReadyTable.create(SIZE)
    steps = die_at_each_step(table)
    told = hammer(table, kills)
    for number in range(KEYS):
        read(table, number)
        publish(table, number, 1)
        assert read(table, number) == 1
    print(json.dumps({"published_at_death": steps, **told, **table.stats()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
