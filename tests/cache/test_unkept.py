"""Requests for pages that were not kept a moment ago go past the cache, and nothing of them is stored."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cache.shop import FRESH, NOW, TEXT, Shop, ask, page, pages_in
from wsgistack import wrap
from wsgistack.cache.found import Place
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.unkept import Unkept
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.steps import Fused
from wsgistack.store.memory import MemoryStore

SILENT = page(b"made for you", headers=[TEXT])
NOTHING_SAID = "wsgistack; fwd=uri-miss; detail=no-lifetime"
GA = "_ga=1"


class Step:
    """Something beside the cache, so that both are steps of one frame."""

    at_end = None

    def enter(self, environ: dict[str, Any], passage: Any, /) -> None:
        passage.add([("X-Step", "here")])


def stacked(shop: Shop, store: MemoryStore | None = None, **options: Any) -> Any:
    cache = PageCache(shop, now=lambda: NOW, store=store, **options)
    return Fused([Step(), cache], shop)


def told(answer: Any) -> str:
    return str(answer.headers["Cache-Status"])


def test_what_is_never_kept_is_soon_shown_as_it_came_and_told_as_before() -> None:
    shop = Shop(SILENT)
    app = stacked(shop)
    met = [ask(app, Cookie=GA) for _ in range(4)]
    assert [told(answer) for answer in met] == [NOTHING_SAID] * 4
    assert [answer.headers["X-Step"] for answer in met] == ["here"] * 4
    assert "HTTP_COOKIE" not in shop.asked[0]
    assert shop.asked[-1]["HTTP_COOKIE"] == GA
    assert isinstance(shop.asked[-1][ENVIRON_KEY], Voice)


def test_a_page_that_may_be_kept_all_at_once_is_kept_the_next_time() -> None:
    store, fresh = MemoryStore(1_000_000), page(b"news", headers=FRESH)
    shop = Shop(SILENT, SILENT, SILENT, fresh)
    app = stacked(shop, store)
    met = [ask(app, Cookie=GA) for _ in range(6)]
    assert told(met[2]) == NOTHING_SAID
    assert told(met[3]) == "wsgistack; fwd=uri-miss; detail=not-kept-lately"
    assert told(met[4]) == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert told(met[5]) == "wsgistack; hit; ttl=60"
    assert pages_in(store) == 1
    assert "HTTP_COOKIE" in shop.asked[3]  # seen as it came, and so not what is stored
    assert "HTTP_COOKIE" not in shop.asked[4]


@pytest.mark.parametrize(
    ("options", "is_left"),
    [
        ({}, True),
        ({"rules": [{"path": "/other/*", "ttl": 5}]}, False),
        ({"verify": 2}, False),
        ({"audit": True}, False),
        ({"coalesce": False}, False),
    ],
    ids=str,
)
def test_where_more_hangs_on_each_request_each_is_looked_at(options: dict[str, Any], is_left: bool) -> None:
    shop = Shop(SILENT)
    app = stacked(shop, **options)
    for _ in range(4):
        ask(app, Cookie=GA)
    assert ("HTTP_COOKIE" in shop.asked[-1]) is is_left


def test_the_whole_stack_lets_visitors_with_a_bucket_pass_too() -> None:
    shop = Shop(SILENT)
    app = wrap(
        shop,
        page_cache=True,
        request_id=True,
        buckets={"split": "beta 50%", "secret": "of these tests alone"},
    )
    first = ask(app)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    met = [ask(app, Cookie=f"{GA}; {cookie}", X_Forwarded_Proto="https") for _ in range(5)]
    assert {told(answer) for answer in met} == {NOTHING_SAID}
    assert GA in shop.asked[-1]["HTTP_COOKIE"]


FIELDS = st.sampled_from(
    [
        ("Cache-Control", "max-age=60"),
        ("Cache-Control", "no-store"),
        ("Cache-Control", "private"),
        ("CDN-Cache-Control", "max-age=5"),
        ("Expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
        ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT"),
        ("ETag", '"made by the application"'),
        ("Set-Cookie", "a=1"),
        ("Content-Encoding", "gzip"),
        ("Content-Range", "bytes 0-1/2"),
        ("Vary", "Accept"),
        ("Vary", "*"),
        ("Cache-Status", "further-inside; hit"),
    ]
)


def say(voice: Voice, words: Iterable[str]) -> None:
    for word in words:
        if word == "private":
            voice.private("session")
        elif word == "ttl":
            voice.ttl(30)
        elif word == "tag":
            voice.tag("news")
        elif word == "witness":
            voice.ask(lambda: "asked")
        else:
            voice.has_made_tag = True


@example(status="200 OK", fields=[("Vary", "*"), ("Vary", "Accept")], words=[])
@example(status="200 OK", fields=[("ETag", '"x"')], words=["made-tag"])
@given(
    status=st.sampled_from(
        ["200 OK", "200 OK", "404 Not Found", "206 Partial Content", "302 Found", "500 No"]
    ),
    fields=st.lists(FIELDS, max_size=4),
    words=st.lists(
        st.sampled_from(["private", "ttl", "tag", "witness", "made-tag"]), max_size=2, unique=True
    ),
)
def test_at_a_glance_it_is_told_what_a_closer_look_tells(
    status: str, fields: list[tuple[str, str]], words: list[str]
) -> None:
    cache = PageCache(Shop(SILENT), now=lambda: NOW)
    unkept = cache._unkept
    assert isinstance(unkept, Unkept)
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "SERVER_NAME": "example.org", "SERVER_PORT": "80"}
    ask(cache, "/")
    place = cache._find_places("http://example.org/")[0]
    assert isinstance(place, Place)

    def passage() -> Any:
        environ[ENVIRON_KEY] = voice = Voice()
        say(voice, words)
        by_name = {name.lower(): value for name, value in fields}
        return SimpleNamespace(environ=environ, head=status, headers=[*fields], fields=by_name)

    glance, close = passage(), None
    seen = unkept._status_of(glance, place)
    close = passage()
    assert seen == unkept._closely(close, place, close.environ[ENVIRON_KEY])


def test_what_is_said_too_late_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def late(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        yield b"first"
        environ[ENVIRON_KEY].ttl(60)

    app = stacked(Shop(SILENT, SILENT, SILENT, late))
    for _ in range(4):
        ask(app)
    assert "ttl_too_late" in caplog.text
