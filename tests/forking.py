"""Fork while other threads are in the middle of everything; run by test_forks.py.

A process of its own, because it leaves threads behind: `python -m tests.forking held` forks while a thread
holds every lock, `python -m tests.forking busy` while threads use everything at once.  Prints
{what: how its child ended} as JSON; "" is well.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from wsgiref.util import setup_testing_defaults

from wsgistack import chore
from wsgistack.cache.audit import Audit, Reads
from wsgistack.cache.coalesce import Coalescer
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.verification import Verification
from wsgistack.passage import Passage
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.segment import open_segment
from wsgistack.ratelimit.slots import SlotTable, segment_bytes
from wsgistack.ratelimit.table import Table
from wsgistack.store.guarded import Guarded
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.cluster import Cluster
from wsgistack.store.memcached.flights import Flights
from wsgistack.store.memcached.near import Near
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memory import MemoryStore
from wsgistack.tally import Tally
from wsgistack.wsgi import Environ, StartResponse

HANGS_S = 20  # a busy machine may stop for seconds
ROUNDS = 10
NOW = 1_795_000_000_000_000


@dataclass(frozen=True)
class Part:
    """*locks*: those of the part; *use*: does something that takes them, and returns what it came to."""

    locks: Callable[[], list[Any]]
    use: Callable[[], object]
    expected: object


def hello(environ: Environ, start_response: StartResponse) -> list[bytes]:
    environ.get("HTTP_X_UNKEYED")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")])
    return [b"hello"]


def ask(application: Any, **variables: str) -> bytes:
    """Return the body that *application* answers with."""
    environ: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1", **variables}
    setup_testing_defaults(environ)
    body = application(environ, lambda status, headers, exc_info=None: lambda data: None)
    answer = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return answer


def parts(folder: Path) -> dict[str, Part]:
    """Return everything in wsgistack that has a lock, and is used in a server's processes."""
    return {name: part for some in (stores(), limits(folder), pages(), clients()) for name, part in some}


Parts = Iterator[tuple[str, Part]]


def stores() -> Parts:
    memory = MemoryStore(1_000_000)
    memory.set("kept", b"1", 60)

    def store_and_read() -> bytes | None:
        memory.set(f"new {os.getpid()}", b"2", 60)
        return memory.get(f"new {os.getpid()}")

    yield "memory store", Part(lambda: [memory._lock], store_and_read, b"2")

    guarded = Guarded(MemoryStore(100_000))
    yield (
        "guarded store",
        Part(lambda: [guarded._lock], lambda: guarded.add(os.urandom(8).hex(), b"", 9), True),
    )

    tally = Tally()

    def count() -> int:
        name = f"requests {os.getpid()}"
        before = tally.read().get(name, 0)
        tally.add({name: 1})
        return tally.read()[name] - before

    yield "tally", Part(lambda: [tally._lock], count, 1)


def limits(folder: Path) -> Parts:
    rates = ("1/day", "1/day sliding")
    rule = Rule("r", "1/s")
    made = [Limit(number, rate, parse_rates(rate)[0], rule) for number, rate in enumerate(rates)]
    table = Table([limit.counter for limit in made])
    yield "limits in memory, compiled", Part(lambda: [table._lock], lambda: limited(table, 0), [True, False])
    plain = Table([limit.counter for limit in made])
    yield "limits in memory, by Python", Part(lambda: [plain._lock], lambda: limited(plain, 1), [True, False])

    segment = open_segment(segment_bytes(2, 1000), "forks", folder=folder, parent=1)
    slots = SlotTable(made, segment, max_keys=1000)
    yield "limits in shared memory", Part(lambda: [slots._lock], lambda: limited(slots, 0), [True, False])

    meter = Meter()

    def measure() -> int:
        key = os.urandom(8)
        meter.count(NOW, [("rule", key)], 200)
        return sum(sum(one.counts) for one in meter.usage() if one.key == key)

    yield "meter", Part(lambda: [meter._lock], measure, 1)

    limited_site = RateLimit(hello, "1000000/second")
    yield "rate limit", Part(lambda: [limited_site._placing], lambda: ask_anew(limited_site), b"hello")

    shares = chore.Shares(
        lambda cookies: ("ann", ""), lambda visitor: ((("beta", "b"),), "b=b"), "", lambda *asked: ""
    )

    def enter() -> str:
        environ: dict[str, Any] = {}
        shares.enter(environ, Passage(environ, lambda *head: len, (), lambda: 0))
        return str(environ["wsgistack.bucket"])

    yield "buckets", Part(lambda: [shares._lock], enter, "b")


def pages() -> Parts:
    cache = PageCache(hello, verify=2, audit=True)
    assert cache.audit is not None
    assert cache._works.verification is not None
    audit, verification, coalescer = cache.audit, cache._works.verification, cache._coalescer
    assert coalescer is not None
    yield (
        "page cache",
        Part(
            lambda: [cache.shelf._lock, cache.purges._lock, cache._works.lock, coalescer._lock],
            lambda: ask_and_purge(cache),
            b"hello",
        ),
    )
    yield (
        "page cache, verifying",
        Part(lambda: [verification._lock], lambda: fill_twice(verification), [False, True]),
    )
    yield "page cache, auditing", Part(lambda: [audit._lock], lambda: read_all(audit), ["x-unkeyed"])

    led = Coalescer[str](MemoryStore(100_000))
    led.join("led by the parent")

    def lead() -> bool:
        joined = led.join("led by the parent")
        return joined is not None and joined[1]

    yield "coalescer", Part(lambda: [led._lock], lead, True)


def make_cluster() -> Cluster:
    """Return one of a node that nobody asks."""
    return Cluster(
        [Address("127.0.0.1", 1)],
        layout="ketama",
        on_down="miss",
        timeout_s=0.1,
        least_timeout_s=0.1,
        connect_timeout_s=0.1,
    )


def clients() -> Parts:
    near = Near(1_000_000, 60.0)
    yield "near cache", Part(lambda: [near._lock], lambda: keep_near(near), b"value")

    flights = Flights()
    flights.join(b"led by the parent")
    yield "fetches", Part(list, lambda: flights.join(b"led by the parent")[1], True)

    cluster = make_cluster()

    def break_off() -> bool:
        node = cluster.nodes()[0]
        node.broke("lost", [])
        cluster.change([Address("127.0.0.1", 1)])
        return node.end_return()

    locks = lambda: [cluster._change, cluster._live._lock, *(node.lock for node in cluster.nodes())]
    yield "nodes of memcached", Part(locks, break_off, False)


def limited(table: Any, number: int) -> list[bool]:
    """Ask twice for one key of a limit of one."""
    key = os.urandom(8)
    return [not table.decide([(number, key, 1)], NOW)[1] for _ in range(2)]


def ask_anew(site: RateLimit) -> bytes:
    """Ask as the first request of a process does."""
    site._is_placed = site._is_at_rest = False
    return ask(site)


def ask_and_purge(cache: PageCache) -> bytes:
    cache.purge(tag="x")
    return ask(cache, PATH_INFO=f"/{os.getpid()}")


def fill_twice(verification: Verification) -> list[bool]:
    key, head = os.urandom(8), ResponseHead(200, "OK", [])
    return [verification.check(key, head, b"page").may_share for _ in range(2)]


def read_all(audit: Audit) -> list[str]:
    reads = Reads({"HTTP_X_UNKEYED": "1"})
    reads.get("HTTP_X_UNKEYED")
    audit.take(reads, url="http://a/", varies_by=())
    return [one.name for one in audit.report()]


def keep_near(near: Near) -> bytes | None:
    key = os.urandom(8)
    near.promise(key, 0.0)
    near.keep(key, near.promise(key, 0.0), Reply(b"VA", b"value"), 0.0)
    found = near.find(key, 1.0)
    return None if found is None else found.value


def in_child(part: Part) -> str:
    """Fork, and return how the child ended that used *part*: "" if it found what is expected."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(HANGS_S)
        try:
            answer = part.use()
            met = "" if answer == part.expected else repr(answer)
        except Exception as error:  # noqa: BLE001 - the parent says it
            met = repr(error)
        os.write(writing, met.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        met = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return met if code == 0 else f"hangs ({signal.Signals(-code).name})"


def fork_with_locks_held(made: dict[str, Part]) -> dict[str, str]:
    """Let a thread take every lock, and fork for each part."""
    taken = threading.Event()

    def take() -> None:
        for part in made.values():
            for lock in part.locks():
                lock.__enter__()
        taken.set()
        threading.Event().wait()

    threading.Thread(target=take, daemon=True).start()
    assert taken.wait(HANGS_S)
    return {name: in_child(part) for name, part in made.items()}


def fork_while_busy(made: dict[str, Part]) -> dict[str, str]:
    """Fork ROUNDS times while threads use everything; each child uses everything too."""
    sys.setswitchinterval(1e-5)
    over = threading.Event()

    def work(part: Part) -> None:
        while not over.wait(0.0005):
            for _ in range(20):
                part.use()

    threads = [threading.Thread(target=work, args=(part,), daemon=True) for part in made.values()]
    for thread in threads:
        thread.start()
    ends = dict.fromkeys(made, "")
    everything = Part(list, lambda: [name for name, part in made.items() if part.use() != part.expected], [])
    for number in range(ROUNDS):
        ends[f"round {number}"] = in_child(everything)
    over.set()
    for thread in threads:
        thread.join(HANGS_S)
    return ends


def main(way: str) -> None:
    """Print how the children ended."""
    with TemporaryDirectory() as folder:
        made = parts(Path(folder))
        print(json.dumps({"held": fork_with_locks_held, "busy": fork_while_busy}[way](made)), flush=True)
    os._exit(0)  # a thread may hold a lock that the end of the interpreter would wait for


if __name__ == "__main__":
    main(sys.argv[1])
