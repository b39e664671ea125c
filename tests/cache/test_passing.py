"""Who passes the cache, and what is told of him, by each of the twins of Passing."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cache.shop import NOW, Shop, ask, page
from tests.conftest import examples
from wsgistack import passage, passage_cy
from wsgistack.cache import shortcut, shortcut_cy
from wsgistack.cache.codings import Codings
from wsgistack.cache.found import Place
from wsgistack.cache.guests import Guests
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.personal import Personal, Visitors
from wsgistack.cache.unkept import Unkept
from wsgistack.cache.voice import ENVIRON_KEY, Voice

BOTH = pytest.mark.parametrize("twin", [shortcut, shortcut_cy], ids=["plain", "compiled"])


def passage_of(twin: ModuleType, environ: dict[str, Any]) -> Any:
    """Return a request on its way, as Passing of *twin* gets it."""
    module = passage if twin is shortcut else passage_cy
    return module.Passage(environ, lambda *head: len, (), lambda: 0)


def shortcut_of(twin: ModuleType, visitors: Visitors) -> Any:
    guests = Guests(visitors, Codings(()))
    return twin.Shortcut(
        guests.telling,
        guests.judge,
        kinds=guests.cookies,
        nobody=guests.anonymous,
        owners=guests.owners,
        of_kind=guests.of_kind,
    )


def passing(twin: ModuleType, visitors: Visitors, lately: Any = None) -> Any:
    return twin.Passing(
        shortcut_of(twin, visitors), lambda why: f"for {why}", lately, lambda *asked: lambda start: asked
    )


class Text(str):
    """What some servers put into an environ, though PEP 3333 forbids it."""

    __slots__ = ()


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD", Text("GET")])
@pytest.mark.parametrize("cookies", ["_ga=1; sessionid=1", Text("sessionid=1"), "_ga=1, sessionid=1"])
def test_who_brings_a_session_passes(twin: ModuleType, method: str, cookies: str) -> None:
    visitors = Visitors()
    visitors.judge_cookies("sessionid=1; _ga=1")
    visitors.judge_cookies("_ga=1")
    why = Visitors().judge_cookies(str(cookies)).why  # type: ignore[union-attr]  # of a Personal
    found = passage_of(twin, {"REQUEST_METHOD": method, "HTTP_COOKIE": cookies})
    assert passing(twin, visitors).enter(found.environ, found) is None
    assert type(found.environ[ENVIRON_KEY]) is Voice
    found.start_response("200 OK", [])
    assert found.headers == [("Cache-Status", f"for {why}")]
    assert found.cache_status == f"for {why}"


@BOTH
@pytest.mark.parametrize(
    ("method", "cookies"),
    [("POST", "sessionid=1"), ("get", "sessionid=1"), ("GET", None), ("GET", "_ga=1"), ("GET", "")],
)
def test_who_is_not_clearly_somebody_is_answered_otherwise(
    twin: ModuleType, method: str, cookies: str | None
) -> None:
    visitors = Visitors()
    visitors.judge_cookies("_ga=1; sessionid=1")
    environ = {"REQUEST_METHOD": method} | ({} if cookies is None else {"HTTP_COOKIE": cookies})
    instead = passing(twin, visitors).enter(environ, passage_of(twin, environ))
    asked, verdict = instead(None)
    assert asked is environ
    assert not isinstance(verdict, Personal)
    assert ENVIRON_KEY not in environ


@BOTH
@pytest.mark.parametrize("is_new", [False, True], ids=["learned", "new"])
@example(cookies="_ga=1; ")
@example(cookies="_ga=1;")
@example(cookies="_ga=1; _ga")
@example(cookies="lang=1; _ga=1; lang=2")
@example(cookies="_ga=1; lang=1 ; _ga=2")
@example(cookies="_ga=1; lang=2")
@example(cookies="lang=1; sessionid=1")
@given(
    cookies=st.lists(
        st.sampled_from(["_ga", "sessionid", "lang", "=", "1", "2", "; ", ";", " ", "\t", ",", "_ga=1; "]),
        max_size=8,
    ).map("".join)
)
@settings(max_examples=examples(200), deadline=None)
def test_cookies_are_judged_as_by_the_full_rules(twin: ModuleType, is_new: bool, cookies: str) -> None:
    visitors = Visitors(key_cookies={"lang": ["1"]})
    for one in () if is_new else ("_ga=1", "sessionid=1", "lang=1"):
        visitors.judge_cookies(one)
    judged = Visitors(key_cookies={"lang": ["1"]}).judge_cookies(cookies)
    known = shortcut_of(twin, visitors)
    for _ in range(2):  # what the first one says of a key cookie is remembered
        verdict = known.read({"REQUEST_METHOD": "GET", "HTTP_COOKIE": cookies})
        if isinstance(judged, Personal):
            assert verdict == judged
        else:
            assert type(verdict) is tuple
            assert verdict[0] == judged.cookie


@BOTH
def test_what_strangers_say_in_a_key_cookie_is_not_remembered_without_end(twin: ModuleType) -> None:
    visitors = Visitors(key_cookies={"lang": ["1"]})
    known = shortcut_of(twin, visitors)
    for number in range(2000):
        found = known.read({"REQUEST_METHOD": "GET", "HTTP_COOKIE": f"lang={number}"})
        assert found[0] == ("lang=1" if number == 1 else None)
    held = [len(one) for one in gc.get_referents(known) if type(one) is dict]
    assert held
    assert max(held) <= 256


@BOTH
def test_reasons_that_clients_make_up_are_forgotten(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "MOST_REASONS", 2)
    through = passing(twin, Visitors())
    for number in (1, 2, 3, 1):
        found = passage_of(twin, {"REQUEST_METHOD": "GET", "HTTP_COOKIE": f"of{number}=x"})
        through.enter(found.environ, found)
        found.start_response("200 OK", [])
        assert found.cache_status == f"for cookie:of{number}"


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
TEXT = ("Content-Type", "text/html")


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


@BOTH
@example(status="200 OK", fields=[("Vary", "*"), ("Vary", "Accept")], words=[], more={})
@example(status="200 OK", fields=[("ETag", '"x"')], words=["made-tag"], more={})
@example(status="200 OK", fields=[TEXT], words=["made-tag", "tag"], more={})
@given(
    status=st.sampled_from(
        ["200 OK", "200 OK", "404 Not Found", "206 Partial Content", "302 Found", "500 No"]
    ),
    fields=st.lists(FIELDS, max_size=4),
    words=st.lists(
        st.sampled_from(["private", "ttl", "tag", "witness", "made-tag"]), max_size=2, unique=True
    ),
    more=st.sampled_from(
        [{}, {}, {"HTTP_AUTHORIZATION": "Basic x"}, {"HTTP_CACHE_CONTROL": "no-store"}, {ENVIRON_KEY: "gone"}]
    ),
)
@settings(deadline=None)
def test_at_a_glance_it_is_told_what_a_closer_look_tells(
    twin: ModuleType, status: str, fields: list[tuple[str, str]], words: list[str], more: dict[str, str]
) -> None:
    cache = PageCache(Shop(page(b"made for you", headers=[TEXT])), now=lambda: NOW)
    unkept = cache._unkept
    assert isinstance(unkept, Unkept)
    ask(cache, "/")
    place = cache._find_places("http://example.org/")[0]
    assert isinstance(place, Place)

    def answered() -> tuple[Any, Voice]:
        voice = Voice()
        say(voice, words)
        environ = {"REQUEST_METHOD": "GET", "SERVER_NAME": "example.org", "SERVER_PORT": "80"}
        found = passage_of(twin, {**environ, ENVIRON_KEY: voice, **more})
        found.start_response(status, fields)
        return found, found.environ[ENVIRON_KEY] if "gone" not in more.values() else Voice()

    glance, told = answered()
    seen = passing(twin, Visitors(), unkept).mark(glance, place)
    close, voice = answered()
    assert seen == unkept.closely(close, place, voice)
    assert str(told.too_late_for) == str(voice.too_late_for) or "gone" in more.values()


@BOTH
@pytest.mark.parametrize(
    ("until", "is_empty", "passes"),
    [(NOW + 1, True, True), (NOW + 1, False, False), (NOW, True, False), (None, True, False)],
)
def test_only_what_is_known_to_be_nowhere_passes_and_only_for_a_while(
    twin: ModuleType, until: float | None, is_empty: bool, passes: bool
) -> None:
    class Lately:
        clock, is_usual = staticmethod(lambda: NOW), True
        alone: dict[str, tuple[float, bool]] = {}  # noqa: RUF012 - of this test alone

    cache = PageCache(Shop(page(b"news")), now=lambda: NOW)
    place = cache._find_places("http://example.org/")[0]
    if until is not None:
        Lately.alone = {place.key.text: (until, is_empty)}
    known = shortcut_of(twin, Visitors())
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": "example.org", "PATH_INFO": "/"}
    known.learn(known.read(environ), place)
    through = twin.Passing(known, str, Lately(), lambda *asked: lambda start: asked)
    found = passage_of(twin, environ)
    instead = through.enter(environ, found)
    if passes:
        found.start_response("200 OK", [TEXT])
        assert instead is None
        assert found.cache_status == "wsgistack; fwd=uri-miss; detail=no-lifetime"
    else:
        assert instead(None) == (environ, place)
