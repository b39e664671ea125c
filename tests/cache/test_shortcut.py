"""The short way from an environ to a page says what the long one says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cache.shop import FRESH, NOW, Shop, ask, guest, heard_by, page
from wsgistack.cache import shortcut
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule, bypass

WORTH_TRYING: dict[str, list[str]] = {
    "REQUEST_METHOD": ["GET", "GET", "GET", "HEAD", "POST", "get"],
    "PATH_INFO": ["/a", "/a", "/b", "/api/x", "//a", "/a/../b"],
    "RAW_URI": ["/a", "/%61", "/b?x=1", "http://evil.example/a"],
    "QUERY_STRING": ["", "", "x=1", "x=1&utm_source=y", "utm_source=y"],
    "SCRIPT_NAME": ["", "/a"],
    "HTTP_HOST": ["example.org", "EXAMPLE.org:80", "evil", "bad host", ""],
    "wsgi.url_scheme": ["http", "https"],
    "HTTP_COOKIE": [
        "",
        "_ga=1",
        "_ga=2; _gid=3",
        "beta=1",
        "beta=2; _ga=1",
        "sessionid=1",
        "nameless",
        "a=b",
    ],
    "HTTP_AUTHORIZATION": ["Basic x"],
    "HTTP_X_FORWARDED_PROTO": ["https", "gopher"],
    "HTTP_X_FORWARDED_HOST": ["evil.example"],
    "HTTP_ACCEPT_LANGUAGE": ["en", "de"],
    "HTTP_CACHE_CONTROL": ["no-cache", "only-if-cached"],
    "HTTP_IF_NONE_MATCH": ['"a"'],
    "HTTP_RANGE": ["bytes=0-1"],
    "CONTENT_LENGTH": ["", "0", "5"],
    "REMOTE_USER": ["me"],
}
BASE = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "SERVER_NAME": "example.org", "SERVER_PORT": "80"}
ENVIRONS = st.fixed_dictionaries({}, optional={n: st.sampled_from(v) for n, v in WORTH_TRYING.items()})


def answers(cache: PageCache, environs: list[dict[str, Any]]) -> list[Any]:
    met = []
    for environ in environs:
        heads: list[Any] = []
        given = {**BASE, **environ}
        body = cache(given, heard_by(heads))
        met.append((heads, list(body)))
    return met


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Say what was seen, so that a page in the wrong place shows."""
    seen = [f"{name}={environ[name]}" for name in sorted(WORTH_TRYING) if name in environ]
    vary = [("Vary", "Cookie, Accept-Language")] if environ["PATH_INFO"] == "/b" else []
    start_response("200 OK", [*FRESH, ("ETag", '"a"'), *vary])
    return ["; ".join(seen).encode()]


@pytest.mark.parametrize("profile", ["anonymous", "rfc9111"])
@example(environs=[{}, {"PATH_INFO": "/api/x", "HTTP_COOKIE": "sessionid=1"}])
@given(environs=st.lists(ENVIRONS, min_size=2, max_size=12))
def test_the_short_way_and_the_long_one_agree(profile: str, environs: list[dict[str, Any]]) -> None:
    options: dict[str, Any] = {
        "profile": profile,
        "key_cookies": {"beta": ["1"]},
        "rules": [Rule("/api/*", bypass)],
        "now": lambda: NOW,
    }
    short, long = PageCache(site, **options), PageCache(site, **options, is_personal=lambda request: False)
    assert answers(short, environs) == answers(long, environs)


def test_places_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "MOST_PLACES", 3)
    shop = Shop(page(b"hello"))
    cache = guest(shop)
    for path in ("/1", "/2", "/3", "/4", "/1", "/4"):
        assert ask(cache, path).body == b"hello"
    assert len(shop.asked) == 4
