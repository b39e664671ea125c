"""What proves at the WSGI edge that a page is everybody's: fills that are compared, reads that are audited."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import gevent
import pytest

from tests.cache.shop import FRESH, Shop, ask, guest, page
from wsgistack.cache.middleware import PageCache
from wsgistack.errors import SettingError

STORED = "wsgistack; fwd=uri-miss; ttl=60; stored"
UNTOLD = "wsgistack; fwd=uri-miss; ttl=60"  # nobody knows before the body is there
HIT = "wsgistack; hit; ttl=60"


def told(cache: PageCache, path: str = "/", **headers: str) -> str:
    return str(ask(cache, path, **headers).headers["Cache-Status"])


def test_a_page_is_shared_after_so_many_equal_fills() -> None:
    shop = Shop(page(b"page"))
    cache = guest(shop, verify=3)
    bodies = [ask(cache).body for _ in range(5)]
    assert bodies == [b"page"] * 5
    assert len(shop.asked) == 3


def test_a_page_with_a_token_is_never_shared_and_the_place_is_named(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(*[page(b"<input value=%d>" % number) for number in range(9)])
    cache = guest(shop, verify=2)
    with caplog.at_level(logging.WARNING):
        assert [ask(cache).body for _ in range(4)] == [b"<input value=%d>" % number for number in range(4)]
    assert [record.offset for record in caplog.records] == [13, 13, 13]  # type: ignore[attr-defined]  # our field
    assert caplog.records[0].url == "http://localhost/"  # type: ignore[attr-defined]  # our field


def test_each_variant_of_a_page_is_compared_with_itself() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*FRESH, ("Vary", "Accept-Language")])
        return [environ["HTTP_ACCEPT_LANGUAGE"].encode()]

    cache = guest(app, verify=2)
    assert [told(cache, Accept_Language=one) for one in ("en", "de", "en", "de", "en", "de")] == [
        "wsgistack; fwd=uri-miss; ttl=60; detail=unverified",
        "wsgistack; fwd=uri-miss; ttl=60; detail=unverified",
        "wsgistack; fwd=uri-miss; ttl=60",
        "wsgistack; fwd=vary-miss; ttl=60",
        HIT,
        HIT,
    ]


def test_a_fill_that_may_differ_after_all_is_not_called_stored() -> None:
    cache = guest(Shop(page(b"page"), page(b"other"), page(b"other")), verify=2)
    assert [told(cache) for _ in range(4)] == [
        "wsgistack; fwd=uri-miss; ttl=60; detail=unverified",
        UNTOLD,  # it differs
        UNTOLD,  # it does not
        HIT,
    ]


def test_a_redirect_to_a_place_of_ones_own_is_never_shared(caplog: pytest.LogCaptureFixture) -> None:
    places = [page(status="302 Found", headers=[*FRESH, ("Location", f"/of/{n}")]) for n in range(9)]
    cache = guest(Shop(*places), verify=2)
    with caplog.at_level(logging.WARNING):
        assert [ask(cache).headers["Location"] for _ in range(3)] == ["/of/0", "/of/1", "/of/2"]
    assert [record.field for record in caplog.records] == ["location"] * 2  # type: ignore[attr-defined]  # our field


def test_who_waits_while_fills_are_compared_gets_the_page_that_was_equal() -> None:
    shop = Shop(page(b"page"))
    cache = guest(shop, verify=2)
    ask(cache)

    def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        gevent.sleep(0.01)
        return page(b"page")(environ, start_response)

    shop.pages = (slow,)
    clients = [gevent.spawn(told, cache) for _ in range(3)]
    gevent.joinall(clients, raise_error=True, timeout=60)
    collapsed = "wsgistack; fwd=uri-miss; stored; collapsed"
    assert [client.value for client in clients] == [UNTOLD, collapsed, collapsed]


@pytest.mark.parametrize("verify", [1, 101, True], ids=repr)
def test_a_number_of_fills_that_cannot_be_meant_is_refused(verify: Any) -> None:
    with pytest.raises(SettingError, match="verify: "):
        guest(Shop(), verify=verify)


def test_an_audit_lists_what_was_read_and_is_in_no_key() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        for name in ("USER_AGENT", "ACCEPT_LANGUAGE", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "HOST"):
            environ.get(f"HTTP_{name}")
        start_response("200 OK", [*FRESH, ("Vary", "Accept-Language")])
        return [b"page"]

    cache = guest(app, audit=True)
    assert told(cache) == STORED
    assert cache.audit is not None
    assert [(found.name, found.url) for found in cache.audit.report()] == [
        ("user-agent", "http://localhost/")
    ]


def test_an_audit_sees_what_is_read_while_the_body_is_made() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.get("HTTP_USER_AGENT")
        start_response("200 OK", [*FRESH, ("Vary", "Accept-Language")])
        yield b"page "
        environ.get("HTTP_ACCEPT_LANGUAGE")
        environ.get("HTTP_DNT")
        yield b"done"

    cache = guest(app, audit=True)
    assert told(cache) == UNTOLD
    assert cache.audit is not None
    assert [(found.name, found.pages) for found in cache.audit.report()] == [("dnt", 1), ("user-agent", 1)]


@pytest.mark.parametrize(
    ("profile", "found"),
    [("anonymous", []), ("rfc9111", ["cookie", "x-forwarded-host", "x-forwarded-proto"])],
)
def test_an_audit_knows_what_the_keys_of_a_profile_carry(profile: str, found: list[str]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        for name in ("COOKIE", "X_FORWARDED_HOST", "X_FORWARDED_PROTO"):
            environ.get(f"HTTP_{name}")
        start_response("200 OK", FRESH)
        return [b"page"]

    cache = guest(app, audit=True, profile=profile, key_cookies={"beta": ["on"]})
    told(cache, Cookie="beta=on")
    assert cache.audit is not None
    assert [one.name for one in cache.audit.report()] == found


def test_without_audit_the_environ_is_a_plain_dict() -> None:
    shop = Shop(page(b"page"))
    ask(guest(shop))
    assert type(shop.asked[0]) is dict
