"""A process that asks a page cache over memcached for one cold page, by many threads at once.

    python -m tests.cache.filler SERVERS THREADS DIRECTORY

Says `ready`, waits for a line, asks, and prints the bodies that came, each once, with their number.
The application appends a byte to DIRECTORY/calls for each time that it runs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.cache.shop import FRESH, heard_by
from wsgistack.cache.middleware import PageCache
from wsgistack.store.guarded import Guarded
from wsgistack.store.url import make_store

SLOW_S = 0.3  # an application that takes its time, so that all ask while it does


def main(servers: str, threads: int, folder: Path) -> None:
    """See above."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with (folder / "calls").open("ab", buffering=0) as calls:
            calls.write(b"x")
        time.sleep(SLOW_S)
        start_response("200 OK", FRESH)
        return [b"made by %d" % os.getpid()]

    # On a busy machine an answer may take long; that is no reason here to do without the store.
    store = Guarded(
        make_store(f"memcached://{servers}?timeout=60&least_timeout=60&connect_timeout=60"), slow_s=60.0
    )
    cache = PageCache(app, store=store, coalesce_wait=60.0)
    bodies: Counter[bytes] = Counter()
    counting, start = threading.Lock(), threading.Event()

    def ask() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "HTTP_HOST": "a.example",
            "wsgi.url_scheme": "http",
        }
        start.wait(60)
        body = b"".join(cache(environ, heard_by([])))
        with counting:
            bodies[body] += 1

    clients = [threading.Thread(target=ask) for _ in range(threads)]
    for client in clients:
        client.start()
    print("ready", flush=True)
    sys.stdin.readline()
    start.set()
    for client in clients:
        client.join(60)
    for body, count in bodies.items():
        print(count, body.decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
