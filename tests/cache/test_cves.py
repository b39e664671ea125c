"""Every published hole of a Python page cache of late, asked of real Django and Flask sites behind PageCache.

Each test is named by its CVE and plays what its advisory tells; a hole is closed when the second
visitor gets nothing of the first one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from tests.cache.django_site import serving
from tests.cache.flask_site import make_site
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule
from wsgistack.store.memory import MemoryStore
from wsgistack.wsgi import WSGIApplication

PROFILES = ["anonymous", "rfc9111"]


@pytest.fixture
def django() -> Iterator[WSGIApplication]:
    with serving() as site:
        yield site


def visitor(app: Any) -> Client:
    """Return a browser of its own, with its own cookies."""
    return Client(app)


def is_hit(reply: TestResponse) -> bool:
    return "; hit" in reply.headers["Cache-Status"]


def says(**fields: str) -> str:
    return "/says?" + "&".join(f"{name.replace('_', '-')}={value}" for name, value in fields.items())


@pytest.mark.parametrize("profile", PROFILES)
def test_cve_2026_113593_an_absent_field_is_not_an_empty_one(django: WSGIApplication, profile: str) -> None:
    cache = PageCache(django, profile=profile)
    assert visitor(cache).get("/language", headers={"Accept-Language": ""}).text == "[]"
    assert visitor(cache).get("/language").text == "absent"
    again = visitor(cache).get("/language", headers={"Accept-Language": ""})
    assert (again.text, is_hit(again)) == ("[]", True)


def test_cve_2026_48588_a_set_cookie_is_not_stored_because_the_visitor_had_another_cookie(
    django: WSGIApplication,
) -> None:
    cache = PageCache(django)
    first = visitor(cache).get("/set-cookie", headers={"Cookie": "_ga=1"})
    second = visitor(cache).get("/set-cookie", headers={"Cookie": "_ga=2"})
    cookies = [reply.headers["Set-Cookie"].strip() for reply in (first, second)]
    assert cookies == ["visitor=1; Path=/", "visitor=2; Path=/"]
    assert first.headers["Cache-Status"].endswith("detail=set-cookie")


@pytest.mark.parametrize("profile", PROFILES)
def test_cve_2026_35193_what_authorization_brought_is_not_shared(
    django: WSGIApplication, profile: str
) -> None:
    cache = PageCache(django, profile=profile)
    path = says(Cache_Control="max-age=60")
    assert visitor(cache).get(path, headers={"Authorization": "of joe"}).text == "secret of of joe"
    assert visitor(cache).get(path).text == "secret of nobody"
    assert visitor(cache).get(path, headers={"Authorization": "of ann"}).text != "secret of of joe"


def test_cve_2026_35193_the_default_does_not_even_share_what_says_public(django: WSGIApplication) -> None:
    cache = PageCache(django)
    path = says(Cache_Control="public,max-age=60")
    assert visitor(cache).get(path, headers={"Authorization": "of joe"}).text == "secret of of joe"
    assert visitor(cache).get(path, headers={"Authorization": "of ann"}).text == "secret of of ann"
    assert visitor(cache).get(path).text == "secret of nobody"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("word", ["Private", "PRIVATE", "max-age=60,%20Private"])
def test_cve_2026_8404_private_is_understood_in_any_case(
    django: WSGIApplication, profile: str, word: str
) -> None:
    cache = PageCache(django, profile=profile, rules=[Rule("/*", ttl=60)])
    path = says(Cache_Control=word)
    assert [is_hit(visitor(cache).get(path)) for _ in range(3)] == [False, False, False]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("vary", ["%20*", "*%20", "%20*%20", "Accept,%20*", "*,Accept"])
def test_cve_2026_48587_a_star_with_whitespace_is_a_star(
    django: WSGIApplication, profile: str, vary: str
) -> None:
    cache = PageCache(django, profile=profile)
    path = says(Cache_Control="max-age=60", Vary=vary)
    assert [is_hit(visitor(cache).get(path)) for _ in range(3)] == [False, False, False]


@pytest.mark.parametrize("profile", PROFILES)
def test_cve_2026_6907_vary_star_is_never_stored(django: WSGIApplication, profile: str) -> None:
    store = MemoryStore(1 << 20)
    cache = PageCache(django, profile=profile, store=store)
    reply = visitor(cache).get(says(Cache_Control="max-age=60", Vary="*"))
    assert reply.headers["Cache-Status"].endswith("detail=vary-star")
    assert [key for key in store._entries if key.startswith("p:")] == []


def test_cve_2026_35192_a_session_that_is_saved_with_every_request_is_not_stolen() -> None:
    with serving(SESSION_SAVE_EVERY_REQUEST=True) as site:
        cache = PageCache(site)
        victim, thief = visitor(cache), visitor(cache)
        victim.get("/login?name=victim")
        assert "sessionid" in victim.get("/public").headers["Set-Cookie"]
        reply = thief.get("/public")
        assert "sessionid" not in reply.headers.get("Set-Cookie", "")
        assert thief.get("/hello").text == "hello nobody"


@pytest.mark.parametrize("profile", PROFILES)
def test_cve_2014_1418_vary_and_cache_control_go_out_as_they_came(
    django: WSGIApplication, profile: str
) -> None:
    cache = PageCache(django, profile=profile)
    old_ie = {"User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"}
    for _ in range(2):
        reply = visitor(cache).get("/language", headers=old_ie)
        assert (reply.headers["Vary"], reply.headers["Cache-Control"]) == (
            "Accept-Language",
            "public, max-age=60",
        )
    assert is_hit(reply)


@pytest.mark.parametrize("adapter", [False, True], ids=["without adapter", "with adapter"])
def test_cve_2014_0473_a_csrf_token_is_for_one_visitor(adapter: bool) -> None:
    with serving(adapter=adapter) as site:
        cache = PageCache(site)
        pages = {visitor(cache).get("/token").text for _ in range(3)}
        assert len(pages) == 3


def test_cve_2014_0473_a_csrf_token_kept_in_the_session_is_for_one_visitor() -> None:
    with serving(CSRF_USE_SESSIONS=True) as site:
        cache = PageCache(site)
        assert len({visitor(cache).get("/token").text for _ in range(3)}) == 3


@pytest.mark.parametrize(
    "cookie",
    [
        "_ga=1;csrftoken=evil",
        "_ga=GA1.2]csrftoken=evil",
        '_ga="x; csrftoken=evil"',
        "_ga=1, csrftoken=evil",
        "_ga=1\tcsrftoken=evil",
    ],
)
def test_cve_2016_7401_no_cookie_reaches_the_application_that_the_cache_did_not_see(
    django: WSGIApplication, cookie: str
) -> None:
    cache = PageCache(django)
    reply = visitor(cache).get("/public", headers={"Cookie": cookie})
    personal = "fwd=bypass" in reply.headers["Cache-Status"]
    assert personal or reply.text.endswith("[]")
    after = visitor(cache).get("/public")
    assert after.text.endswith("[]")


def test_cve_2026_27205_a_flask_site_that_asks_in_session_alone_is_not_shared() -> None:
    cache = PageCache(make_site())
    joe = visitor(cache)
    joe.get("/login?name=joe")
    assert joe.get("/in").text == "signed in"
    assert visitor(cache).get("/in").text == "nobody"
    assert joe.get("/in").text == "signed in"


def test_cve_2023_30861_a_permanent_session_that_is_refreshed_is_not_sent_to_others() -> None:
    cache = PageCache(make_site(SESSION_REFRESH_EACH_REQUEST=True))
    joe = visitor(cache)
    joe.get("/login?name=joe")
    assert "session=" in joe.get("/public").headers["Set-Cookie"]
    stranger = visitor(cache)
    for _ in range(2):
        assert "Set-Cookie" not in stranger.get("/public").headers
    assert stranger.get("/hello").text == "hello nobody"


class Bomb:
    """What runs code when it is unpickled."""

    exploded = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Bomb, "exploded", True))


@pytest.mark.parametrize("secret", [b"", b"of the site"], ids=["plain", "signed"])
def test_cve_2021_33026_what_lies_in_the_store_is_never_unpickled(
    django: WSGIApplication, secret: bytes
) -> None:
    import pickle

    store = MemoryStore(1 << 20)
    cache = PageCache(django, store=store, secret=secret)
    visitor(cache).get("/public")
    for key in list(store._entries):
        store.set(key, pickle.dumps(Bomb()), 60.0)
    reply = visitor(cache).get("/public")
    assert (reply.status_code, is_hit(reply), Bomb.exploded) == (200, False, False)


def test_cve_2021_33026_whoever_can_write_to_the_store_cannot_make_a_signed_page(
    django: WSGIApplication,
) -> None:
    store = MemoryStore(1 << 20)
    visitor(PageCache(django, store=store)).get("/public")  # who knows no secret writes an honest frame
    reply = visitor(PageCache(django, store=store, secret=b"of the site")).get("/public")
    assert not is_hit(reply)


# -- what section 4.2 of the survey adds: poisoning by what no key carries


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"X-Original-URL": "/evil"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Forwarded": "host=evil.example"},
        {"X-Forwarded-Prefix": "/evil"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_field_that_no_key_carries_poisons_no_page(headers: dict[str, str]) -> None:
    with serving(USE_X_FORWARDED_HOST=True) as site:
        cache = PageCache(site)
        visitor(cache).get("/public", headers=headers)
        reply = visitor(cache).get("/public")
        assert reply.text == "public /public localhost []"


def test_an_ignored_parameter_is_reflected_to_nobody(django: WSGIApplication) -> None:
    cache = PageCache(django)
    visitor(cache).get("/public?utm_source=<script>&a=1")
    reply = visitor(cache).get("/public?a=1&utm_source=other")
    assert (reply.text, is_hit(reply)) == ("public /public?a=1 localhost []", True)


def test_a_body_with_a_get_fills_nothing(django: WSGIApplication) -> None:
    cache = PageCache(django)
    reply = visitor(cache).get("/public", data=b"a=evil", content_type="text/plain")
    assert reply.headers["Cache-Status"] == "wsgistack; fwd=bypass; detail=body"


def test_an_error_that_a_client_provokes_is_not_stored() -> None:
    with serving(ALLOWED_HOSTS=["localhost"]) as site:
        cache = PageCache(site, rules=[Rule("/*", ttl=60)])
        assert visitor(cache).get("/public", headers={"Host": "evil.example"}).status_code == 400
        assert not is_hit(visitor(cache).get("/public", headers={"Host": "evil.example"}))


@pytest.mark.parametrize("path", ["/hello/x.css", "/hello;x.css", "/hello%2Fx.css", "/hello%00.css"])
def test_no_extension_makes_a_page_public(django: WSGIApplication, path: str) -> None:
    cache = PageCache(django)
    joe = visitor(cache)
    joe.get("/login?name=joe")
    joe.get(path)
    assert "joe" not in visitor(cache).get(path).text
