"""PURGE by HTTP: who may, and what it is about."""

from __future__ import annotations

from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH, Shop, ask, guest, page
from wsgistack.cache.middleware import PageCache
from wsgistack.errors import SettingError, StoreDown
from wsgistack.store.memory import MemoryStore

OURS = ["10.0.0.0/8", "::1"]


def purge(cache: PageCache, path: str = "/", peer: str = "10.1.2.3", **headers: str) -> Any:
    request = Request.blank(path, method="PURGE", environ={"REMOTE_ADDR": peer})
    for name, value in headers.items():
        request.headers[name.replace("_", "-")] = value
    return request.get_response(cache)


def cached(**options: Any) -> tuple[PageCache, Shop]:
    shop = Shop(page(b"page", headers=[*FRESH, ("Cache-Groups", '"news"')]))
    cache = guest(shop, purge_from=OURS, **options)
    ask(cache)
    ask(cache)
    assert len(shop.asked) == 1
    return cache, shop


@pytest.mark.parametrize("peer", ["10.1.2.3", "::1", "::ffff:10.0.0.1"])
def test_who_may_purges_a_page(peer: str) -> None:
    cache, shop = cached()
    reply = purge(cache, peer=peer)
    assert (reply.status_int, reply.text) == (200, "purged\n")
    assert reply.headers["Cache-Status"] == "wsgistack; detail=purge"
    ask(cache)
    assert len(shop.asked) == 2


@pytest.mark.parametrize("peer", ["192.0.2.1", "", "unix:", "::2"])
def test_who_may_not_does_not(peer: str) -> None:
    cache, shop = cached()
    reply = purge(cache, peer=peer, X_Forwarded_For="10.0.0.1", Forwarded="for=10.0.0.1")
    assert (reply.status_int, reply.text) == (403, "this address may not purge\n")
    ask(cache)
    assert len(shop.asked) == 1


@pytest.mark.parametrize("field", ["Cache_Tag", "xkey", "Surrogate_Key"])
def test_a_tag_is_purged_wherever_the_request_goes(field: str) -> None:
    cache, shop = cached()
    assert purge(cache, "/other", **{field: "news"}).status_int == 200
    ask(cache)
    assert len(shop.asked) == 2


def test_a_purge_of_another_page_or_tag_leaves_it_alone() -> None:
    cache, shop = cached()
    purge(cache, "/other")
    purge(cache, "/", Cache_Tag="sports")
    ask(cache)
    assert len(shop.asked) == 1


def test_a_soft_purge_makes_old() -> None:
    cache, _ = cached()
    purge(cache, Soft_Purge="1")
    assert [ban.soft for ban in cache.purges.ledger.bans] == [True]
    purge(cache, Soft_Purge="0")
    assert [ban.soft for ban in cache.purges.ledger.bans] == [False]


def test_what_cannot_be_meant_is_said() -> None:
    cache, _ = cached()
    reply = purge(cache, xkey=" ".join(str(number) for number in range(300)))
    assert (reply.status_int, reply.text) == (400, "purge: 300 tags; one request names at most 256\n")


def test_a_store_that_does_not_take_it_is_said() -> None:
    class Down(MemoryStore):
        def update(self, *words: Any, **more: Any) -> bytes | None:
            raise StoreDown("no")

    shop = Shop(page(b"page"))
    assert purge(guest(shop, purge_from=OURS, store=Down(1 << 20))).status_int == 503
    assert shop.asked == []


def test_without_the_setting_purge_is_the_applications() -> None:
    shop = Shop(page(b"page"))
    assert purge(guest(shop)).status_int == 200
    assert [environ["REQUEST_METHOD"] for environ in shop.asked] == ["PURGE"]


@pytest.mark.parametrize("networks", ["10.0.0.0/8", ["10.0.0.0/99"], ["localhost"]], ids=str)
def test_networks_that_cannot_be_meant_are_refused(networks: Any) -> None:
    with pytest.raises(SettingError, match="purge_from: "):
        guest(Shop(), purge_from=networks)
