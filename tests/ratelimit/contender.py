"""One of several processes that ask at the same moment; started by test_processes.py.

    python -m tests.ratelimit.contender URL RATE HITS

URL is that of a store, or `workers:NAME` for what the children of one process share.

Prints `ready`, waits for a line, then prints how many of HITS requests were admitted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000


def open_limiter(url: str, rate: str, now: Callable[[], int] = lambda: NOW) -> Limiter:
    """Return a limiter of one rule whose states are where *url* says."""
    store = None if url.startswith("workers:") else make_store(url)
    limiter = Limiter([Rule("r", rate)], trust=Trust(), now=now, store=store)
    if store is None:
        limiter.share(url)
    return limiter


def main(url: str, rate: str, hits: str) -> None:
    """Compete."""
    limiter = open_limiter(url, rate)
    request = EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})
    print("ready", flush=True)
    sys.stdin.readline()
    decisions = [limiter.hit(request) for _ in range(int(hits))]
    print(sum(decision.ok for decision in decisions), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
