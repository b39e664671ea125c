"""Thousands of mixed requests at once: cached is as uncached, and nobody gets what is another's.

WSGISTACK_LONG=100000 sets the number of requests of the long form behind Django.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webob import Request

from tests.cache.django_site import serving
from tests.cache.flask_site import make_site
from tests.cache.shop import heard_by
from tests.conftest import Cluster, examples
from wsgistack.cache.middleware import PageCache
from wsgistack.wsgi import WSGIApplication

LONG_S = 120.0
BEHIND_DJANGO = int(os.environ.get("WSGISTACK_LONG", "600"))
DJANGO_PATHS = [
    "/public",
    "/public?a=1&utm_source=x",
    "/hello",
    "/touched",
    "/token",
    "/navbar",
    "/message",
    "/set-cookie",
]
CALLS = int(os.environ.get("WSGISTACK_LONG", "1200"))
PATHS = [
    "/public",
    "/public?a=1",
    "/public?a=1&utm_source=x",
    "/hello",
    "/in",
    "/user",
    "/token",
    "/flash",
    "/touched",
]
JUNK = ["", "_ga=GA1.2.3", "_gid=x; _fbp=1"]


def get(
    app: WSGIApplication, path: str, cookie: str = "", **headers: str
) -> tuple[str, dict[str, str], bytes]:
    heads: list[Any] = []
    fields = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request.blank(path, headers=fields)
    if cookie:
        request.headers["Cookie"] = cookie
    body = app(request.environ, heard_by(heads))
    try:
        read = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return heads[-1][0], dict(heads[-1][1]), read


def session_of(app: WSGIApplication, name: str) -> str:
    """Sign *name* in and return the Cookie field of his browser."""
    return get(app, f"/login?name={name}")[1]["Set-Cookie"].strip().partition(";")[0]


def by_threads(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)


def by_greenlets(work: Callable[[int], None], count: int) -> None:
    gevent.joinall([gevent.spawn(work, number) for number in range(count)], timeout=LONG_S, raise_error=True)


@pytest.mark.parametrize("at_once", [by_threads, by_greenlets], ids=["threads", "gevent"])
@pytest.mark.parametrize("adapter", [False, True], ids=["plain", "with adapter"])
def test_a_signed_in_visitors_bytes_never_reach_another(
    at_once: Callable[[Callable[[int], None], int], None], adapter: bool
) -> None:
    """CALLS requests of 20 members and of strangers, while pages are purged and go stale."""
    site = make_site(adapter=adapter).wsgi_app
    cache = PageCache(site)
    members = {f"member{number}-of-his-own": "" for number in range(20)}
    for name in members:
        members[name] = session_of(site, name)
    wrong: list[str] = []
    done: list[int] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(CALLS // 20):
            path, name = rng.choice(PATHS), rng.choice([*members, *[""] * 20])
            cookie = "; ".join(filter(None, [rng.choice(JUNK), members.get(name, "")]))
            _, fields, body = get(cache, path, cookie)
            own = [other for other in members if other.encode() in body or other in str(fields)]
            if own not in ([], [name]) or (
                path == "/hello" and body != b"hello " + (name or "nobody").encode()
            ):
                wrong.append(f"{name or 'a stranger'} at {path}: {body!r}")
            if not name and "Set-Cookie" in fields and "; hit" in fields["Cache-Status"]:
                wrong.append(f"a cookie out of the store at {path}")
            if rng.random() < 0.02:
                cache.purge(path="/public")
            done.append(1)
            if at_once is by_greenlets:
                gevent.sleep(0)

    at_once(work, 20)
    assert wrong == []
    assert len(done) == CALLS


@pytest.mark.parametrize("adapter", [False, True], ids=["plain", "with adapter"])
def test_a_signed_in_visitors_bytes_never_reach_another_behind_django(adapter: bool) -> None:
    """Members and strangers read and purge at once, by four threads."""
    wrong: list[str] = []
    done: list[int] = []
    with serving(adapter=adapter) as site:
        cache = PageCache(site)
        members = {f"member{number}-of-his-own": "" for number in range(8)}
        for name in members:
            members[name] = session_of(site, name)

        def work(number: int) -> None:
            rng = random.Random(number)
            for _ in range(BEHIND_DJANGO // 4):
                path, name = rng.choice(DJANGO_PATHS), rng.choice([*members, *[""] * 8])
                cookie = "; ".join(filter(None, [rng.choice(JUNK), members.get(name, "")]))
                more = {"X_Forwarded_Host": f"{name}.example"} if name else {}
                _, fields, body = get(cache, path, cookie, **more)
                own = [other for other in members if other.encode() in body or other in str(fields)]
                is_his = path != "/hello" or body == b"hello " + (name or "nobody").encode()
                if own not in ([], [name]) or not is_his:
                    wrong.append(f"{name or 'a stranger'} at {path}: {body!r}")
                if "Set-Cookie" in fields and "; hit" in fields["Cache-Status"]:
                    wrong.append(f"a cookie out of the store at {path}")
                if rng.random() < 0.02:
                    cache.purge(path="/public")
                done.append(1)

        by_threads(work, 4)
    assert wrong == []
    assert len(done) == BEHIND_DJANGO // 4 * 4


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer by a digest of all that the cache lets it see; some pages vary, some say nothing."""
    seen = sorted(
        (name, str(value)) for name, value in environ.items() if name.startswith(("HTTP_", "QUERY", "PATH"))
    )
    fields = [("Cache-Control", "max-age=60")]
    language = environ.get("HTTP_ACCEPT_LANGUAGE")
    if environ["PATH_INFO"].startswith("/vary"):
        fields.append(("Vary", "Accept-Language, Cookie"))
    else:
        seen = [pair for pair in seen if pair[0] != "HTTP_ACCEPT_LANGUAGE"]
        language = None
    start_response("200 OK", fields)
    return [hashlib.sha256(repr((seen, language)).encode()).hexdigest().encode()]


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["/", "/a", "/vary", "/vary/a", "/a%20b"]),
        st.sampled_from(["", "?a=1", "?a=1&b=2", "?utm_source=x", "?a=1&utm_source=x", "?gclid=1&a=1"]),
        st.sampled_from(["", "_ga=1", "_ga=2; _gid=3", "beta=on", "beta=off", "_ga=1; beta=on"]),
        st.sampled_from([None, "", "de", "de, en;q=0.5", "en"]),
        st.sampled_from(["example.com", "EXAMPLE.com", "example.com:80", "other.example"]),
        st.sampled_from([None, "https", "http", "evil"]),
    ),
    max_size=25,
)


@given(requests=REQUESTS)
@settings(max_examples=examples(50), deadline=None)
def test_cached_is_as_uncached_for_anonymous_visitors(requests: list[tuple[Any, ...]]) -> None:
    """What comes out of a store that others filled is what a cache of one's own would have made."""
    shared = PageCache(echo, key_cookies={"beta": ["on"]})
    for path, query, cookie, language, host, proto in requests:
        headers = {"Host": host}
        if language is not None:
            headers["Accept-Language"] = language
        if proto is not None:
            headers["X-Forwarded-Proto"] = proto
        own = PageCache(echo, key_cookies={"beta": ["on"]})
        cached, uncached = (
            get(shared, path + query, cookie, **headers),
            get(own, path + query, cookie, **headers),
        )
        assert (cached[0], cached[2]) == (uncached[0], uncached[2])
        assert "; hit" not in uncached[1]["Cache-Status"]


@pytest.mark.parametrize("path", ["/public", "/public?a=1", "/language", "/stream", "/hello", "/navbar"])
def test_a_django_page_is_as_it_would_be_without_a_cache(path: str) -> None:
    with serving() as site:
        cache = PageCache(site)
        plain = get(site, path)
        for cookie in ("", "_ga=1", "", "_ga=2"):
            status, fields, body = get(cache, path, cookie)
            assert (status, body) == (plain[0], plain[2])
            kept = {name: fields.get(name) for name in ("Cache-Control", "Content-Type", "Vary")}
            assert kept == {name: plain[1].get(name) for name in kept}


def test_a_thousand_clients_in_four_processes_are_one_fill(
    memcached_cluster: Cluster, tmp_path: Path
) -> None:
    servers = ",".join(server.address for server in memcached_cluster(2))
    command = [sys.executable, "-m", "tests.cache.filler", servers, "250", str(tmp_path)]
    fillers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for filler in fillers:
        assert filler.stdout is not None
        assert filler.stdout.readline() == "ready\n"
    for filler in fillers:
        assert filler.stdin is not None
        filler.stdin.write("go\n")
        filler.stdin.flush()
    got = [filler.communicate(timeout=LONG_S)[0].splitlines() for filler in fillers]
    assert (tmp_path / "calls").read_bytes() == b"x"
    assert {line for lines in got for line in lines} == {got[0][0]}
    assert got[0][0].startswith("250 made by ")
