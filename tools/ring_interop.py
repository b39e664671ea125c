"""`make conformance-ring`, second part: what pylibmc wrote is read back, and the other way round.

Both work on three real memcached servers, each by its own ring; every value must be found where
the other one put it, and mean the same.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from tools.real_memcached import listening
from wsgistack.store.codec import Codec
from wsgistack.store.memcached.ring import MemcacheRing

__all__ = ["VALUES", "differences", "main"]

SEED = 20040713
VALUES: dict[str, Any] = {
    "bytes": b"\x00\xff\r\nEND\r\n",
    "empty bytes": b"",
    "text": "größe",
    "number": 7,
    "large number": 2**70,
    "negative number": -3,
    "what compresses": b"<li>page</li>" * 2000,
    "what does not": random.Random(SEED).randbytes(50_000),
    "a dict": {"a": [1, None, 2.5, ("x", b"y")]},
    "long text": "größe " * 4000,
    "true": True,
    "nothing": None,
}
COPIES = 20  # of each, so that every server has some


def keys_of(writer: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys that *writer* writes, with their values."""
    for name, value in VALUES.items():
        for number in range(COPIES):
            yield f"{writer}:{name.replace(' ', '-')}:{number}", value


def differences(read: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return a line for each value of *expected* that was not *read*, or as something else."""
    lines = []
    for key, value in expected.items():
        if key not in read:
            lines.append(f"{key}: not found")
        elif read[key] != value or isinstance(read[key], str) != isinstance(value, str):
            lines.append(f"{key}: {read[key]!r:.60} instead of {value!r:.60}")
    return lines


def main() -> int:
    """Compare, and return 1 if anything differs or pylibmc is absent."""
    try:
        import pylibmc
    except ImportError:
        print("pylibmc: not here (pip install pylibmc)")
        return 1
    with ExitStack() as stack:
        servers = [stack.enter_context(listening("-l", "127.0.0.1", "-p", "-1")) for _ in range(3)]
        addresses = [server.address for server in servers]
        return _compare(pylibmc, addresses)


def _compare(pylibmc: Any, addresses: Sequence[str]) -> int:
    theirs = pylibmc.Client(addresses, behaviors={"ketama_weighted": True, "tcp_nodelay": True})
    ours = MemcacheRing(addresses, ring="libmemcached", codec=Codec(pickle=True), timeout=5, least_timeout=5)
    by_them, by_us = dict(keys_of("theirs")), dict(keys_of("ours"))
    for key, value in by_them.items():
        theirs.set(key, value, min_compress_len=1000)
    refused = ours.set_many(by_us)
    # An empty value of others looks like the place that a lease keeps: it is a miss (see codec).
    read = {key: value for key, value in by_them.items() if value != b""}
    told = {
        "pylibmc writes, we read": differences(ours.get_many(list(by_them)), read),
        "we write, pylibmc reads": differences(theirs.get_multi(list(by_us)), by_us),
        "pylibmc counts on what we wrote": _count(ours, theirs),
        "we remove, pylibmc misses": _remove(ours, theirs, list(by_them)),
    }
    for title, lines in told.items():
        print(f"{title}: {'all the same' if not lines else f'{len(lines)} differ'}")
        for line in lines[:10]:
            print(f"  {line}")
    ours.close()
    return 1 if refused or any(told.values()) else 0


def _count(ours: MemcacheRing, theirs: Any) -> list[str]:
    ours.set("count", 40)
    seen = [theirs.incr("count", 1), ours.incr("count", 1), theirs.get("count"), ours.get("count")]
    return [] if seen == [41, 42, 42, 42] else [f"count: {seen}"]


def _remove(ours: MemcacheRing, theirs: Any, keys: list[str]) -> list[str]:
    ours.delete_many(keys)
    return [f"{key}: still there" for key in theirs.get_multi(keys)]


if __name__ == "__main__":
    sys.exit(main())
