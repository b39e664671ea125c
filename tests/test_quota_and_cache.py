"""A page cache and a rate limiter, whichever stands outside: a page never carries somebody's quota."""

from __future__ import annotations

from typing import Any

import pytest
from webob import Request

from wsgistack import PageCache, RateLimit

HOUR = 1_795_000_000_000_000


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Cache-Control", "public, max-age=60"), ("Content-Type", "text/plain")])
    return [b"page"]


def ask(application: Any, peer: str) -> Any:
    response = Request.blank("/page", environ={"REMOTE_ADDR": peer}).get_response(application)
    response.body  # noqa: B018 - reads and closes it
    return response


@pytest.mark.parametrize("headers", ["draft10", "draft6", "legacy"])
def test_a_page_out_of_the_cache_has_no_quota_of_who_filled_it(headers: str) -> None:
    application = PageCache(RateLimit(app, "5/minute", headers=headers, now=lambda: HOUR))
    first, second = ask(application, "192.0.2.1"), ask(application, "192.0.2.2")
    assert [name for name in first.headers if "ratelimit" in name.lower()]
    assert "Age" in second.headers
    assert [name for name in second.headers if "ratelimit" in name.lower()] == []


def test_each_client_reads_its_own_quota_beside_a_page_out_of_the_cache() -> None:
    application = RateLimit(PageCache(app), "5/minute", now=lambda: HOUR)
    peers = ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    quotas = [ask(application, peer).headers["RateLimit"] for peer in peers]
    assert quotas == ['"default";r=4;t=12', '"default";r=4;t=12', '"default";r=3;t=12']


def test_a_refusal_is_never_stored() -> None:
    application = PageCache(RateLimit(app, "1/minute", now=lambda: HOUR))
    site = [ask(application, "192.0.2.1").status_int for _ in range(2)]
    assert site == [200, 200], "out of the cache"
    limited = RateLimit(app, "1/minute", now=lambda: HOUR)
    limited.limiter.hit(_Request())
    other = PageCache(limited)
    assert [ask(other, peer).status_int for peer in ("192.0.2.9", "192.0.2.9")] == [429, 429]
    assert ask(other, "192.0.2.10").status_int == 200


class _Request:
    """What the limiter looks at."""

    peer = "192.0.2.9"
    path = "/page"
    method = "GET"
    host = ""
    scheme = "http"
    target = "/page"
    query = ""

    def field(self, name: str) -> str | None:
        return None

    def variable(self, name: str) -> str | None:
        return None
