"""What stands before and behind a cache: what the request is, and what becomes of a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from wsgistack.balancer.split import FIELD, bucket_number
from wsgistack.cache.bodies import Then
from wsgistack.cache.middleware import PageCache
from wsgistack.keeper.origin import WAY, OriginFailed, Way
from wsgistack.keeper.ready import SERVICE
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, pass_head

__all__ = ["Edge"]

SCHEMES = ("http", "https")
BUCKET = "HTTP_" + FIELD.upper().replace("-", "_")


class Edge:
    """A WSGI application: the requests of one service, answered by its cache.

    *service*: its number.  *inner*: the path of its inner listener.  *tells_peers*: the last
    X-Forwarded-For is the balancer's own.  *buckets*: those of its split, each with pages of its own.  *later(f)* calls f when the reply was sent, without letting
    the connection wait.  *counts* has how requests were answered, by the words of Cache-Status.
    """

    def __init__(
        self,
        cache: PageCache,
        *,
        service: int,
        inner: str,
        tells_peers: bool,
        counts: Counter[str],
        later: Callable[[Callable[[], None]], object],
        buckets: Collection[str] = (),
    ) -> None:
        self._cache = cache
        self._buckets = {name: service | bucket_number(name) << 8 for name in buckets}
        self._service = service
        self._inner = inner
        self._tells_peers = tells_peers
        self._counts = counts
        self._later = later

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that came from a worker."""
        environ[WAY] = _read_way(environ, self._inner)
        environ[SERVICE] = self._buckets.get(environ.get(BUCKET, ""), self._service)
        if environ[SERVICE] == self._service:  # a bucket that is not known here is none
            environ.pop(BUCKET, None)
        if self._tells_peers:
            environ["REMOTE_ADDR"] = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        start = _Start(start_response, self._counts)
        try:
            body = self._cache(environ, start)
        except OriginFailed as failed:
            self._counts["failed"] += 1
            return failed.answer(start_response)
        return _Afterwards(body, self._later) if isinstance(body, Then) else body


def _read_way(environ: Environ, inner: str) -> Way:
    """Take out what the balancer says of how a request came, as far as the cache knows it otherwise.

    Another host than that of Host stays: pages made by it would be poisoned, so the cache withholds it.
    """
    way = Way(inner)
    scheme = environ.get("HTTP_X_FORWARDED_PROTO")
    if scheme in SCHEMES:  # no key carries another one: it stays for the cache to withhold
        del environ["HTTP_X_FORWARDED_PROTO"]
        way.told.append(("X-Forwarded-Proto", scheme))
        environ["wsgi.url_scheme"] = scheme
    host = environ.get("HTTP_X_FORWARDED_HOST")
    if host is not None and host == environ.get("HTTP_HOST"):
        del environ["HTTP_X_FORWARDED_HOST"]
        way.told.append(("X-Forwarded-Host", host))
    return way


class _Start:
    """start_response, with what our server does not take put right."""

    __slots__ = ("_counts", "_start_response")

    def __init__(self, start_response: StartResponse, counts: Counter[str]) -> None:
        self._start_response = start_response
        self._counts = counts

    def __call__(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        name, value = headers[-1] if headers else ("", "")
        if name == "Cache-Status":
            self._counts[_word_of(value)] += 1
        if status[:3] in ("304", "204"):
            headers = [one for one in headers if one[0].lower() != "content-length"]
        return pass_head(self._start_response, status, headers, exc_info)


def _word_of(cache_status: str) -> str:
    """Return `hit`, `stale`, `bypass`, `uri-miss` and the like, `collapsed` for one that came with another.

    >>> _word_of("wsgistack; fwd=uri-miss; ttl=60; stored"), _word_of("wsgistack; hit; ttl=5")
    ('uri-miss', 'hit')
    """
    if "; collapsed" in cache_status:
        return "collapsed"
    word = cache_status.partition("; ")[2].partition(";")[0]
    return word.removeprefix("fwd=")


class _Afterwards:
    """A reply with something to do afterwards, which nobody who sends requests here waits for."""

    __slots__ = ("_body", "_later")

    def __init__(self, body: Then, later: Callable[[Callable[[], None]], object]) -> None:
        self._body = body
        self._later = later

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __len__(self) -> int:
        return len(self._body)

    def close(self) -> Any:
        self._later(self._body.close)
