"""`metrics`: what is answered, how fast, and by what, for Prometheus at a path of one's own.

    from wsgistack import wrap

    application = wrap(application, metrics={"path": "/metrics", "allow": ["127.0.0.1", "10.0.0.5"]})

The page is given to who is allowed, by default this machine; for everybody else the path is the
application's.  Where several processes serve, their counts are added up in *store*, by default in
memory that the workers of one server share: each brings its own about once a second (the last ones by
a short-lived thread, when nobody asks it any more), when it gives the page, and at its end.

- In the response: nothing changes.
- It costs 1 to 9 µs a request.
- It does not tell paths or visitors apart: its labels are method, status, what the page cache did, and buckets.
"""

from __future__ import annotations

import logging
import os
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

from wsgistack import forks
from wsgistack.accounts import Door
from wsgistack.complaints import gather
from wsgistack.errors import ConfigurationError, SettingError, StoreError
from wsgistack.http.forwarded import parse_hop
from wsgistack.ratelimit.networks import Networks, parse_networks
from wsgistack.ratelimit.segment import workers_name
from wsgistack.settings import NETWORKS, TEXT, Setting, Table
from wsgistack.steps import Instead, Passage, Steps
from wsgistack.store.base import Store, is_store, refuse_store
from wsgistack.store.url import make_store
from wsgistack.tally import Tally
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "OBJECTS", "PLACE", "SETTINGS", "Metrics", "make"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BOUNDS_US = (
    1000,
    2500,
    5000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
)
DURATIONS = tuple(f"duration|{number}" for number in range(len(BOUNDS_US) + 1))
SHARED_BYTES = 1024 * 1024
LOCAL = ("127.0.0.0/8", "::1/128")
# method, status, microseconds, bytes, Cache-Status, the bucket of each split
Response = tuple[str, str, int, int, str, dict[str, str] | None]
CACHE_WORD = re.compile(r";\s*(hit|fwd=[a-z-]+)")  # RFC 9211 §2

log = logging.getLogger(__name__)

NAME = "metrics"
PLACE = 30
HELP = "requests, bytes and durations at a path for Prometheus, added up over all processes"
MAIN = "path"
OBJECTS = ("store",)
SETTINGS = Table(
    "metrics",
    [
        Setting("path", TEXT, "/metrics", "the path of the page"),
        Setting("allow", NETWORKS, LOCAL, "who may read it"),
        Setting(
            "store",
            TEXT,
            "",
            "where processes add up their counts, as a store's URL; without one the workers of a server find each other",
        ),
    ],
)


class Metrics:
    """A WSGI application that counts what *app* answers.  Settings: see SETTINGS.

    A request costs some microseconds and no round trip.  Safe for threads, greenlets and forks.
    """

    is_step = True
    _allow: Networks

    def __init__(
        self,
        app: WSGIApplication,
        *,
        path: str = "/metrics",
        allow: Iterable[str] = LOCAL,
        store: Store | str = "",
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(_check_path, path),
            partial(parse_networks, allow, setting="allow"),
            partial(_find_store, store),
        )
        _, self._allow, kept = gather(steps)
        self.app = app
        self.tally = Tally(kept, digest=_counts_of)
        self._knows_place = bool(store)
        self._path = path
        self.enter = Door(path, self._enter).enter
        self.at_end: Callable[[Passage], object] = self.tally.notes.at_end
        self._steps = Steps((self,), clock=monotonic_ns)
        self._is_alone = False  # the first request said that there is one process
        forks.load("wsgistack.store.shm.store", "prometheus_client.core", "prometheus_client.exposition")
        forks.register(self)

    def forked(self) -> None:
        """Let the first request here settle the place, where one of the parent found no other process."""
        if self._is_alone:
            self._is_alone = self._knows_place = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the page, or pass the request on and count it at its end."""
        return self._steps.run(self.app, environ, start_response)

    def _enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Return the page for who asks for it and may have it."""
        if not self._knows_place:
            self._find_place(environ)
        if environ.get("PATH_INFO") == self._path and self._may_read(environ):
            return partial(self._page, environ)
        return None

    def _find_place(self, environ: Environ) -> None:
        """Share counts with the other workers of this server, if it says that there are some."""
        self._knows_place = True
        if not environ.get("wsgi.multiprocess"):
            self._is_alone = True
            return
        code = blake2b(
            f"{os.getcwd()}\n{self._path}".encode("utf-8", "surrogatepass"), digest_size=8
        ).hexdigest()
        try:
            from wsgistack.store.shm.store import ShmStore

            name = workers_name(f"{code}6").removeprefix("wsgistack-")
            self.tally.share(ShmStore(name, SHARED_BYTES))
        except (StoreError, ConfigurationError) as error:
            log.warning("metrics: each process counts for itself: %s", error)

    def _may_read(self, environ: Environ) -> bool:
        return parse_hop(environ.get("REMOTE_ADDR") or "") in self._allow

    def _page(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        text, content_type = render(self.tally.read(), environ.get("HTTP_ACCEPT", ""))
        fields = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(text))),
            ("Cache-Control", "no-store"),
        ]
        start_response("200 OK", fields)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]


def _find_store(store: Store | str) -> Store | None:
    if isinstance(store, str):
        return make_store(store) if store else None
    if not is_store(store):
        raise SettingError(refuse_store(store))
    return store


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise SettingError(f"path: {path!r} does not begin with /")


def _counts_of(responses: list[Response]) -> dict[str, int]:
    """Return what is counted of many responses, also where an application left things that are no texts."""
    try:
        return _count_kinds(responses)
    except Exception:  # noqa: BLE001 - of one, which costs the others nothing
        return _count_kinds([_as_texts(*response) for response in responses])


def _as_texts(
    method: object, status: object, took_us: int, sent: int, cache_status: object, buckets: object
) -> Response:
    pairs = buckets if isinstance(buckets, dict) else {}
    texts = {_text(split): _text(bucket) for split, bucket in pairs.items()}
    return _text(method), _text(status), took_us, sent, _text(cache_status), texts


def _text(value: object) -> str:
    try:
        return str(value or "")
    except Exception:  # noqa: BLE001 - an application's own object may raise anything
        return ""


def _count_kinds(responses: list[Response]) -> dict[str, int]:
    """Return the same of texts: each kind is told apart once, not for each response."""
    counts: Counter[str] = Counter()
    methods, statuses, durations, sent, cached, buckets = zip(*responses, strict=True)
    for (method, status), by in Counter(zip(methods, statuses, strict=True)).items():
        counts[_request_name(method if method in METHODS else "other", status)] += by
    for number, by in Counter([bisect_left(BOUNDS_US, took_us) for took_us in durations]).items():
        counts[DURATIONS[number]] = by
    counts["duration_us"] = sum(durations)
    counts["bytes"] = sum(sent)
    for cache_status, by in Counter(cached).items():
        if cache_status:
            found = CACHE_WORD.search(cache_status)
            counts[f"cache|{found[1].removeprefix('fwd=') if found else 'other'}"] += by
    for pairs, by in Counter([tuple(one.items()) for one in buckets if one]).items():
        for split, bucket in pairs:
            counts[f"bucket|{split}|{bucket}"] += by
    return counts


@lru_cache(maxsize=1024)
def _request_name(method: str, status: str) -> str:
    return f"requests|{method}|{status}"


def render(counts: dict[str, int], accept: str) -> tuple[bytes, str]:
    """Return the page and its content type: OpenMetrics if *accept* names it, else Prometheus' own."""
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class Exhibit(Collector):
        def collect(self) -> Iterator[Any]:
            return _families(counts)

    wanted = "application/openmetrics-text; version=1.0.0" if "application/openmetrics-text" in accept else ""
    encoder, content_type = choose_encoder(wanted)
    return encoder(Exhibit()), content_type


def _families(counts: dict[str, int]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily(
        "wsgistack_wsgi_requests", "Responses by method and status.", labels=["method", "status"]
    )
    cache = CounterMetricFamily(
        "wsgistack_wsgi_cache", "Responses by what the page cache did.", labels=["result"]
    )
    buckets = CounterMetricFamily(
        "wsgistack_wsgi_buckets", "Requests by split and bucket.", labels=["split", "bucket"]
    )
    for name, family in (("requests", requests), ("cache", cache), ("bucket", buckets)):
        for key in sorted(counts):
            kind, *labels = key.split("|")
            if kind == name:
                family.add_metric(labels, counts[key])
        yield family
    sent = CounterMetricFamily("wsgistack_wsgi_response_bytes", "Bytes of response bodies.")
    sent.add_metric([], counts.get("bytes", 0))
    yield sent
    durations = HistogramMetricFamily(
        "wsgistack_wsgi_duration_seconds", "From the request to the end of its response."
    )
    total, steps = 0, []
    for number in range(len(BOUNDS_US) + 1):
        total += counts.get(f"duration|{number}", 0)
        bound = "+Inf" if number == len(BOUNDS_US) else str(BOUNDS_US[number] / 1e6)
        steps.append((bound, total))
    durations.add_metric([], steps, counts.get("duration_us", 0) / 1e6)
    yield durations


make = Metrics
