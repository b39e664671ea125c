"""One of several processes that ask at the same moment; a crowd of test_processes.py."""

from __future__ import annotations

from collections.abc import Callable

from tests.ratelimit.crowd import serve
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000


def open_limiter(url: str, rate: str, now: Callable[[], int] = lambda: NOW) -> Limiter:
    """Return a limiter of one rule whose states are where *url* says.

    That is the URL of a store, or `workers:NAME` for what the children of one process share.
    """
    store = None if url.startswith("workers:") else make_store(url)
    limiter = Limiter([Rule("r", rate)], trust=Trust(), now=now, store=store)
    if store is None:
        limiter.share(url)
    return limiter


def prepare(url: str, rate: str, hits: int) -> Callable[[], int]:
    """Return what tells how many of *hits* requests were admitted."""
    limiter = open_limiter(url, rate)
    request = EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})
    return lambda: [limiter.hit(request).ok for _ in range(hits)].count(True)


if __name__ == "__main__":
    serve(prepare)
