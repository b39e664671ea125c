"""What one visitor's request must not do to what another one gets: each case is a door that was tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from wsgistack import PageCache

HIT = "wsgistack; hit; ttl=60"
NOW = 1_795_000_000.0
PLAIN = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/a",
    "QUERY_STRING": "",
    "HTTP_HOST": "example.com",
    "SERVER_NAME": "10.0.0.1",
    "SERVER_PORT": "8000",
    "REMOTE_ADDR": "192.0.2.1",
    "wsgi.url_scheme": "http",
}


def mirror(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with all that the request says, to everybody for a minute."""
    fields = [("Cache-Control", "max-age=60"), ("Content-Location", environ["PATH_INFO"])]
    start_response("200 OK", fields)
    said = {name: value for name, value in environ.items() if name != "wsgistack.cache"}
    return [repr(sorted(said.items())).encode()]


def ask(app: Any, **more: Any) -> tuple[str, str]:
    """Return what Cache-Status says, and the body."""
    told: list[str] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.append(dict(headers)["Cache-Status"])

    environ = {name: value for name, value in (PLAIN | more).items() if value is not None}
    body = app(environ, start)
    read = b"".join(body)
    getattr(body, "close", lambda: None)()
    return told[0], read.decode()


POISON = "p0is0n"
CASES = {
    "post": {"REQUEST_METHOD": "POST", "HTTP_COOKIE": f"sessionid={POISON}"},
    "anonymous post": {"REQUEST_METHOD": "POST", "HTTP_X_FORWARDED_HOST": POISON},
    "get with a body": {"CONTENT_LENGTH": "6", "HTTP_X_BODY": POISON},
    "session": {"HTTP_COOKIE": f"sessionid={POISON}"},
    "session behind an ignored cookie": {"HTTP_COOKIE": f"_ga=1;sessionid={POISON}"},
    "two cookie lines": {"HTTP_COOKIE": f"_ga=1, sessionid={POISON}"},
    "session in quotes": {"HTTP_COOKIE": f'_ga="1; sessionid={POISON}"'},
    "nameless": {"HTTP_COOKIE": f"_ga=1; {POISON}"},
    "authorization": {"HTTP_AUTHORIZATION": f"Bearer {POISON}"},
    "tailscale": {"HTTP_TAILSCALE_USER_LOGIN": POISON},
    "private token": {"HTTP_PRIVATE_TOKEN": POISON},
    "authorization by another name": {"HTTP_X_FORWARDED_AUTHORIZATION": POISON},
    "told by a gateway": {"HTTP_X_CONSUMER_USERNAME": POISON},
    "base url": {"HTTP_BASE_URL": POISON},
    "another forwarded host": {"HTTP_X_FORWARD_HOST": POISON},
    "forwarded https": {"HTTP_X_FORWARDED_HTTPS": POISON},
    "forwarded host": {"HTTP_X_FORWARDED_HOST": POISON},
    "forwarded ssl": {"HTTP_X_FORWARDED_SSL": POISON},
    "scheme": {"HTTP_X_FORWARDED_PROTO": POISON},
    "rewritten": {"HTTP_X_ORIGINAL_URL": f"/{POISON}"},
    "method": {"HTTP_X_HTTP_METHOD_OVERRIDE": POISON},
    "mount": {"HTTP_X_SCRIPT_NAME": f"/{POISON}"},
    "analytics": {"HTTP_COOKIE": f"_ga={POISON}"},
    "campaign": {"QUERY_STRING": f"utm_source={POISON}", "RAW_URI": f"/a?utm_source={POISON}"},
    "type of no body": {"CONTENT_TYPE": POISON},
    "absolute target": {"RAW_URI": f"http://{POISON}/a"},
    "host of two": {"HTTP_HOST": f"example.com, {POISON}"},
    "host with a user": {"HTTP_HOST": f"{POISON}@example.com"},
    "host with a path": {"HTTP_HOST": f"example.com/{POISON}"},
    "validator": {"HTTP_IF_NONE_MATCH": f'"{POISON}"'},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_that_one_request_says_is_in_the_page_of_another(case: dict[str, str]) -> None:
    cache = PageCache(mirror, now=lambda: NOW)
    ask(cache, **case)
    raw = {"RAW_URI": "/a"} if "RAW_URI" in case else {}
    assert POISON not in ask(cache, **raw)[1]


def test_a_page_of_a_visitor_is_no_answer_to_his_own_post_for_others() -> None:
    cache = PageCache(mirror, now=lambda: NOW)
    assert ask(cache, REQUEST_METHOD="POST")[0] == "wsgistack; fwd=method; detail=method"
    assert ask(cache)[0] == "wsgistack; fwd=uri-miss; ttl=60; stored"


@pytest.mark.parametrize("raw", [None, "/a/b"], ids=["decoded", "raw"])
def test_a_prefix_that_a_client_makes_up_is_another_page(raw: str | None) -> None:
    cache = PageCache(mirror, now=lambda: NOW)
    site = ProxyFix(cache, x_prefix=1)
    moved = None if raw is None else "/b"
    ask(site, PATH_INFO="/b", RAW_URI=moved, REQUEST_URI=moved, HTTP_X_FORWARDED_PREFIX="/a")
    told, body = ask(site, PATH_INFO="/a/b", RAW_URI=raw, REQUEST_URI=raw)
    assert told == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert "('PATH_INFO', '/a/b')" in body


@pytest.mark.parametrize("raw", [None, "/a/b"], ids=["decoded", "raw"])
def test_a_mount_point_that_a_client_makes_up_is_another_page(raw: str | None) -> None:
    """A field SCRIPT_NAME, which gunicorn obeys, makes the application take the rest of the same path for all of it."""
    cache = PageCache(mirror, now=lambda: NOW)
    ask(cache, SCRIPT_NAME="/a", PATH_INFO="/b", RAW_URI=raw)
    told, body = ask(cache, PATH_INFO="/a/b", RAW_URI=raw)
    assert told == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert "('PATH_INFO', '/a/b')" in body


def test_a_mount_point_below_a_prefix_is_another_page_too() -> None:
    """As a middleware that puts the prefix of a proxy before SCRIPT_NAME shows it."""
    cache = PageCache(mirror, now=lambda: NOW)
    ask(cache, SCRIPT_NAME="/p/a", PATH_INFO="/b", RAW_URI="/a/b")
    told, body = ask(cache, SCRIPT_NAME="/p", PATH_INFO="/a/b", RAW_URI="/a/b")
    assert told == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert "('PATH_INFO', '/a/b')" in body


def test_what_changes_behind_a_mount_point_is_forgotten_there() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Cache-Control", "max-age=60"), ("Location", "/shop/list")])
        return [b"page"]

    cache = PageCache(app, now=lambda: NOW)
    mounted = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/list"}
    ask(cache, **mounted)
    assert ask(cache, **mounted)[0] == HIT
    ask(cache, SCRIPT_NAME="/shop", PATH_INFO="/add", REQUEST_METHOD="POST")
    assert ask(cache, **mounted)[0] == "wsgistack; fwd=uri-miss; ttl=60; stored"


def test_a_head_is_answered_by_what_a_get_brought_and_brings_nothing() -> None:
    cache = PageCache(mirror, now=lambda: NOW)
    assert ask(cache, REQUEST_METHOD="HEAD")[0] == "wsgistack; fwd=uri-miss"
    assert ask(cache)[0] == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert ask(cache, REQUEST_METHOD="HEAD") == (HIT, "")


def test_a_part_of_one_variant_is_no_part_of_another() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["HTTP_ACCEPT_LANGUAGE"].encode() * 3
        start_response("200 OK", [("Cache-Control", "max-age=60"), ("Vary", "Accept-Language")])
        return [body]

    cache = PageCache(app, now=lambda: NOW)
    ask(cache, HTTP_ACCEPT_LANGUAGE="de")
    ask(cache, HTTP_ACCEPT_LANGUAGE="en")
    parts = [ask(cache, HTTP_ACCEPT_LANGUAGE=one, HTTP_RANGE="bytes=0-1")[1] for one in ("de", "en")]
    assert parts == ["de", "en"]


def test_a_download_that_is_resumed_is_not_given_the_rest_of_another_version() -> None:
    """RFC 9110 §13.1.5: the rest only if it is the same; the application alone knows, where nothing is stored."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_same = environ.get("HTTP_IF_RANGE", '"new"') == '"new"'
        fields = [("Cache-Control", "max-age=60"), ("ETag", '"new"')]
        if is_same and "HTTP_RANGE" in environ:
            start_response("206 Partial Content", [*fields, ("Content-Range", "bytes 4-7/8")])
            return [b"5678"]
        start_response("200 OK", fields)
        return [b"12345678"]

    rest = {"HTTP_RANGE": "bytes=4-", "HTTP_IF_RANGE": '"old"'}
    cache = PageCache(app, now=lambda: NOW)
    assert ask(cache, **rest) == ("wsgistack; fwd=uri-miss; ttl=60; stored", "12345678")
    cache = PageCache(app, now=lambda: NOW)
    assert ask(cache, HTTP_RANGE="bytes=4-")[1] == "5678"
    assert ask(cache, **rest)[1] == "12345678"
    cache = PageCache(app, now=lambda: NOW)
    assert ask(cache, HTTP_RANGE="bytes=4-", HTTP_IF_RANGE='"new"')[1] == "5678"
