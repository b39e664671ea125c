"""The page cache in the data plane: who is answered out of the ready table, who goes the hop, who goes past it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.cached import CachedWorld, make, make_cache
from tests.simulation.limited import make_limit
from wsgistack.cache.personal import Personal
from wsgistack.cache.texts import find_visitors

HIT, HOP, BYPASS = "hits", "hops", "bypasses"


# -- ready hits ----------------------------------------------------------------------------


def test_a_page_that_is_ready_is_answered_without_a_node_and_without_the_keeper(
    worlds: list[CachedWorld],
) -> None:
    world = make(worlds)
    world.keep(body=b"kept", age_s=7.9, ttl_s=60.5)
    visitor = world.visitor()
    for _ in range(2):
        answer = visitor.ask()
        assert (answer.status, answer.body, answer.kept) == (200, b"kept", True)
        assert answer.fields == {
            "date": "Thu, 26 Nov 2026 00:00:00 GMT",
            "age": "7",
            "cache-status": "wsgistack; hit; ttl=60",
            "etag": "1",
            "content-length": "4",
        }
    assert world.counted == {HIT: 2}
    assert world.executed == 0
    assert world.keeper.connections == 0
    told = world.board.service(0)
    assert (told["requests"], told["responses"][2], told["in_flight"]) == (2, 2, 0)


def test_age_grows_and_time_to_live_shrinks_until_the_page_expires(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep(ttl_s=10.5)
    world.run_for(3)
    answer = world.ask()
    assert (answer.fields["age"], answer.fields["cache-status"]) == ("3", "wsgistack; hit; ttl=7")
    world.run_for(8)
    assert "age" not in world.ask().fields
    assert world.counted == {HIT: 1, HOP: 1}


def test_a_page_from_the_future_is_not_answered(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep(age_s=-5)
    world.ask()
    assert world.counted == {HOP: 1}


def test_head_is_answered_out_of_the_page_without_its_body(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep(body=b"x" * 5000)
    answer = world.ask(method="HEAD")
    assert (answer.status, answer.body, answer.fields["content-length"]) == (200, b"", "5000")
    assert world.counted == {HIT: 1}


@pytest.mark.parametrize(
    ("minor", "fields", "said", "kept"),
    [
        ("1.1", (), None, True),
        ("1.1", (("Connection", "close"),), "close", False),
        ("1.0", (), "close", False),
        ("1.0", (("Connection", "keep-alive"),), "keep-alive", False),  # h11 never keeps those
    ],
    ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive"],
)
def test_connection_follows_its_own_rules(
    minor: str, fields: tuple[tuple[str, str], ...], said: str | None, kept: bool, worlds: list[CachedWorld]
) -> None:
    world = make(worlds)
    world.keep()
    answer = world.ask(*fields, minor=minor)
    assert (answer.fields.get("connection"), answer.body) == (said, b"kept")
    assert answer.kept == kept or minor == "1.0"
    assert world.counted == {HIT: 1}


def test_a_page_without_content_is_answered(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep(body=b"", status=b"204 No Content")
    answer = world.ask()
    assert (answer.status, answer.body, "content-length" in answer.fields) == (204, b"", False)


def test_other_statuses_are_counted_as_what_they_are(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep(status=b"404 Not Found")
    assert world.ask().status == 404
    assert world.board.service(0)["responses"][4] == 1


def test_after_a_clear_nothing_is_answered_that_was_published_before(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep()
    assert world.board.ready is not None
    world.board.ready.clear()
    world.ask()
    assert world.counted == {HOP: 1}


def test_limits_come_before_the_cache_and_tell_what_is_left(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.put(make_limit("api", rate="1/minute"))
    world.keep()
    assert "ratelimit" in world.ask().fields
    assert world.ask().status == 429
    assert world.counted == {HIT: 1}


# -- who may have a page -------------------------------------------------------------------

ENCODING = ("Accept-Encoding", "gzip")
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (HIT, {}),
    "user agent": (HIT, {"fields": [("User-Agent", "x"), ("Accept", "text/html"), ("Referer", "/b")]}),
    "no page": (HOP, {"target": "/other"}),
    "another host": (HOP, {"fields": [("X", "y")], "host": "b"}),
    "same host, other case": (HOP, {"host": "A"}),
    "a query": (HOP, {"target": "/?"}),
    "accept-encoding": (HOP, {"fields": [ENCODING]}),
    "empty accept-encoding": (HOP, {"fields": [("Accept-Encoding", "")]}),
    "range": (HOP, {"fields": [("Range", "bytes=0-1")]}),
    "if-none-match": (HOP, {"fields": [("If-None-Match", '"1"')]}),
    "if-modified-since": (HOP, {"fields": [("If-Modified-Since", "x")]}),
    "if-match": (HOP, {"fields": [("If-Match", '"1"')]}),
    "if-range": (HOP, {"fields": [("If-Range", '"1"')]}),
    "cache-control": (HOP, {"fields": [("CACHE-control", "no-cache")]}),
    "pragma": (HOP, {"fields": [("Pragma", "x")]}),
    "keyed field": (HOP, {"fields": [("X-Requested-With", "XMLHttpRequest")]}),
    "forged scheme": (HIT, {"fields": [("X-Forwarded-Proto", "https")]}),
    "absolute form": (HOP, {"target": "http://a/"}),
    "expect": (HOP, {"fields": [("Expect", "100-continue")]}),
    "delete": (HOP, {"method": "DELETE"}),
    "trace": (HOP, {"method": "TRACE"}),
    "purge": (HOP, {"method": "PURGE"}),
    "post": (HOP, {"method": "POST", "body": b"x"}),
    "ignored cookies": (HIT, {"fields": [("Cookie", "_ga=1; _gid=2;; __utmz=a b")]}),
    "key cookie": (HOP, {"fields": [("Cookie", "_ga=1; beta=on")]}),
    "cookie in two lines": (HOP, {"fields": [("Cookie", "_ga=1"), ("Cookie", "_gid=1")]}),
    "unknown cookie": (BYPASS, {"fields": [("Cookie", "_ga=1; cart=5")]}),
    "session": (BYPASS, {"fields": [("Cookie", "sessionid=5")]}),
    "session by another case": (BYPASS, {"fields": [("Cookie", "PHPSESSID=5")]}),
    "session in the second line": (BYPASS, {"fields": [("Cookie", "_ga=1"), ("Cookie", "sessionid=1")]}),
    "authorization": (BYPASS, {"fields": [("authorization", "Basic eA==")]}),
    "api key": (BYPASS, {"fields": [("X-Api-Key", "x")]}),
    "nameless cookie": (BYPASS, {"fields": [("Cookie", "_ga=1; nameless")]}),
    "odd cookie": (BYPASS, {"fields": [("Cookie", "_ga=1; b[]=1")]}),
    "joined cookies": (BYPASS, {"fields": [("Cookie", "_ga=1, sessionid=2")]}),
    "a comma in a cookie": (HIT, {"fields": [("Cookie", "_ga=1,2")]}),
    "a body": (BYPASS, {"body": b"x"}),
    "websocket": (BYPASS, {"fields": [("Connection", "upgrade"), ("Upgrade", "websocket")]}),
    "a post that would rather speak HTTP/2": (
        HOP,
        {"method": "POST", "fields": [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]},
    ),
    "a signed-in visitor's post": (HOP, {"method": "POST", "fields": [("Cookie", "sessionid=5")]}),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[CachedWorld]:
    world = CachedWorld(make_cache(key_cookies="beta=on|off"))
    yield world
    world.close()


@pytest.mark.parametrize("name", WAYS)
def test_requests_go_their_way(name: str, shared: CachedWorld) -> None:
    way, asked = WAYS[name]
    shared.keep()
    shared.board.reset_service(0)
    shared.keeper.came.clear()
    before = shared.executed
    fields = list(asked.get("fields", ()))
    options = {key: asked[key] for key in ("method", "target", "body", "host") if key in asked}
    answer = shared.ask(*fields, **options)
    assert shared.counted == {way: 1}
    assert (answer.fields.get("age") is not None) == (way == HIT)
    assert (len(shared.keeper.came) > 0) == (way == HOP)
    assert shared.executed == before + (way != HIT)
    told = shared.board.service(0)
    assert (told["requests"], told["in_flight"], told["accepted"]) == (1, 0, 1)


def test_a_bypass_tells_why(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    answer = world.ask(("Cookie", "SessionId=5"))
    assert answer.fields["cache-status"] == "wsgistack; fwd=bypass; detail=cookie:SessionId"
    answer = world.ask(("X-API-Key", "5"))
    assert answer.fields["cache-status"] == "wsgistack; fwd=bypass; detail=field:x-api-key"
    long = "x" * 100
    answer = world.ask(("Cookie", f"{long}=5"))
    assert answer.fields["cache-status"] == f"wsgistack; fwd=bypass; detail=cookie:{'x' * 64}"


def test_by_the_rfc_alone_cookies_and_authorization_are_the_keepers_business(
    worlds: list[CachedWorld],
) -> None:
    world = make(worlds, make_cache(profile="rfc9111"))
    world.keep()
    for fields in ([("Cookie", "sessionid=5")], [("Authorization", "x")]):
        world.ask(*fields)
    world.ask()
    assert world.counted == {HOP: 2, HIT: 1}


def test_where_only_identity_cookies_are_personal_others_are_nobodys(worlds: list[CachedWorld]) -> None:
    world = make(worlds, make_cache(strict="off"))
    world.keep()
    for cookie in ("cart=5", "sessionid=5"):
        world.ask(("Cookie", cookie))
    assert world.counted == {HIT: 1, BYPASS: 1}


def test_patterns_that_only_the_keeper_can_read_make_it_decide(worlds: list[CachedWorld]) -> None:
    world = make(worlds, make_cache(ignored_cookies="_g[ab], _x*"))
    world.keep()
    for cookie in ("_ga=5", "_xy=5", "sessionid=5"):
        world.ask(("Cookie", cookie))
    assert world.counted == {HOP: 1, HIT: 1, BYPASS: 1}


def test_a_trusted_proxy_says_by_which_scheme_its_client_came(worlds: list[CachedWorld]) -> None:
    world = make(worlds, always_trusted=True)
    world.keep(body=b"by http")
    world.keep(body=b"by https", scheme=b"https")
    said = [world.ask(("X-Forwarded-Proto", scheme)).body for scheme in ("http", "https")]
    assert said == [b"by http", b"by https"]
    world.ask(("X-Forwarded-Proto", "HTTPS"))
    world.ask(("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http"))
    assert world.counted == {HIT: 2, HOP: 2}


def test_the_keys_of_a_world_of_requests_are_never_mixed_up(worlds: list[CachedWorld]) -> None:
    """What is published under a request's key answers that request alone; seeded, some thousands of pairs."""
    world = make(worlds)
    rng = random.Random(9111)
    hosts, targets = ["a", "b", "aa", "a.b", "ab"], ["/", "/a", "/b", "//", "/a/", "/?a", "/a?b"]
    encodings = ["", "a", "b", "a, b", "gzip", "gzip;q=1"]
    kept: dict[tuple[str, str, str], bytes] = {}
    for number in range(100):
        one = rng.choice(hosts), rng.choice(targets), rng.choice(encodings)
        kept[one] = b"%d" % number
        world.keep(one[1], host=one[0].encode(), encoding=one[2].encode(), body=kept[one], ttl_s=3600)
    visitor = world.visitor()
    for host in hosts:
        for target in targets:
            for encoding in encodings:
                fields = [("Accept-Encoding", encoding)] if encoding else []
                answer = visitor.ask(*fields, host=host, target=target)
                page = kept.get((host, target, encoding))
                assert (answer.body if "age" in answer.fields else None) == page, (host, target, encoding)
                if not answer.kept:
                    visitor = world.visitor()


NAMES = [
    "_ga",
    "_gat_x",
    "beta",
    "sessionid",
    "SESSIONID",
    "auth",
    "x",
    "__utm",
    "OptanonConsent",
    "wordpress_logged_in_1",
]


def test_cookies_are_judged_as_at_the_other_edge(worlds: list[CachedWorld]) -> None:
    """Whom the WSGI edge takes for somebody is never answered here, nor sent to the keeper; and no guest is sent away."""
    cache = make_cache(key_cookies="beta=on|off")
    world, visitors, rng = make(worlds, cache), find_visitors(cache.settings), random.Random(5)
    world.keep(ttl_s=3600)
    for _ in range(150):
        pieces = [
            rng.choice(NAMES) + rng.choice(["=1", "=on", "=", "", "=a,b=c", '="x"', " =1"])
            for _ in range(rng.randint(1, 3))
        ]
        cookie = rng.choice(["; ", ";", ", "]).join(pieces)
        world.board.reset_service(0)
        world.ask(("Cookie", cookie))
        personal = isinstance(visitors.judge_cookies(cookie), Personal)
        assert (world.counted == {BYPASS: 1}) == personal or world.counted == {HOP: 1}, cookie
