"""A split before a page cache: pages of different pools never mix, and the keeper never sees who somebody is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.cached import CachedWorld, make, make_cache
from tests.simulation.limited import Answer, Visitor
from tests.simulation.split import cookie_for, service_of, split
from wsgistack.balancer.plane.ready_table import ready_key
from wsgistack.balancer.split import Rule, bucket_number

BETA, MAIN = "beta", "n0"


def cached(worlds: list[Any], **settings: str) -> tuple[CachedWorld, Rule]:
    world = make(worlds, make_cache(**settings))
    world.nodes[0].says = [("x-node", MAIN)]
    rule = split(world, "beta 50% cookie")
    world.nodes[1].says = [("x-node", BETA)]
    return world, rule


def keep_for(world: CachedWorld, bucket: str, body: bytes) -> None:
    assert world.board.ready is not None
    number = bucket_number(bucket) << 8 if bucket else 0
    now = world.net.clock()[1]
    assert world.board.ready.publish(
        ready_key(number, b"http", b"a", b"/", b""),
        head_before=b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 00:00:00 GMT\r\n",
        head_after=b"",
        body=body,
        born=now,
        expires_at=now + 60,
    )


def test_ready_pages_are_those_of_the_bucket(worlds: list[Any]) -> None:
    world, rule = cached(worlds)
    keep_for(world, "", b"main page")
    assert world.ask(cookie_for(rule, "")).body == b"main page"
    assert world.ask(cookie_for(rule, "beta")).fields["x-node"] == BETA
    keep_for(world, "beta", b"beta page")
    assert world.ask(cookie_for(rule, "beta")).body == b"beta page"
    assert world.ask(cookie_for(rule, "")).body == b"main page"


def test_who_is_new_is_told_so_beside_a_ready_page(worlds: list[Any]) -> None:
    world, _ = cached(worlds)
    keep_for(world, "", b"main page")
    keep_for(world, "beta", b"beta page")
    for _ in range(6):
        first = world.ask()
        cookie = first.fields["set-cookie"].partition(";")[0]
        assert cookie.startswith("wsgistack_split=")
        assert world.ask(("Cookie", cookie)).body == first.body


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_keeper_is_told_the_bucket_and_the_inner_side_obeys(method: str, worlds: list[Any]) -> None:
    world, rule = cached(worlds)
    got: list[tuple[bytes, bytes]] = []
    world.nodes[1].look = lambda request: got.extend(request.headers)
    answer = world.ask(cookie_for(rule, "beta"), ("Wsgistack-Bucket", "forged"), method=method)
    assert answer.fields["x-node"] == BETA
    assert "set-cookie" not in answer.fields
    assert world.keeper.came.count(b"Wsgistack-Bucket: beta\r\n") == 1
    assert b"wsgistack_split" not in world.keeper.came
    assert b"forged" not in world.keeper.came
    assert b"wsgistack-bucket" not in dict(got)
    world.keeper.came.clear()
    assert world.ask(cookie_for(rule, ""), method=method).fields["x-node"] == MAIN
    assert b"Wsgistack-Bucket" not in world.keeper.came


def visit_inside(world: CachedWorld) -> Visitor:
    """Connect as the keeper does."""
    visitor = world.visitor()
    visitor.end = world.net.dial(world.inner[0])
    return visitor


def ask_inside(world: CachedWorld, *fields: tuple[str, str]) -> Answer:
    """Ask as the keeper does."""
    return visit_inside(world).ask(("X-Forwarded-For", "192.0.2.1"), *fields)


def test_a_cookie_is_told_by_the_outer_side_alone(worlds: list[Any]) -> None:
    world, _ = cached(worlds)
    assert world.ask().fields["set-cookie"].startswith("wsgistack_split=")
    for bucket, node in (("beta", BETA), ("", MAIN)):
        answer = ask_inside(world, *([("Wsgistack-Bucket", bucket)] if bucket else []))
        assert (answer.fields["x-node"], "set-cookie" in answer.fields) == (node, False)


def test_a_page_of_the_main_pool_is_marked_where_it_stands_in_for_beta(worlds: list[Any]) -> None:
    world, rule = cached(worlds)
    split(world, "beta 50% cookie", up=False)
    answer = world.ask(cookie_for(rule, "beta"))
    assert answer.fields["x-node"] == MAIN
    assert answer.fields["wsgistack-own"] == "other-pool"  # a real keeper takes it off
    assert "wsgistack-own" not in world.ask(cookie_for(rule, "")).fields


@pytest.mark.parametrize("has_split", [True, False], ids=["another split", "no split any more"])
def test_a_bucket_that_the_inner_side_does_not_know_is_marked_too(has_split: bool, worlds: list[Any]) -> None:
    world, _ = cached(worlds)
    if not has_split:
        service_of(world)["split"] = None
        world.plane.apply(world.snapshot)
    answer = ask_inside(world, ("Wsgistack-Bucket", "gone"))
    assert (answer.fields["x-node"], answer.fields["wsgistack-own"]) == (MAIN, "other-pool")


def test_a_bucket_that_goes_under_a_request_is_marked_too(worlds: list[Any]) -> None:
    world, _ = cached(worlds)
    visitor = visit_inside(world)
    told = ("X-Forwarded-For", "192.0.2.1"), ("Wsgistack-Bucket", "beta")
    visitor.send(*told, method="POST", late=b"x")  # waits for its body before it goes to a node
    world.run_for(0.2)
    service_of(world)["split"] = None
    world.plane.apply(world.snapshot)
    world.net.transmit(visitor.end, b"x")
    answer = visitor.read()
    assert (answer.fields["x-node"], answer.fields["wsgistack-own"]) == (MAIN, "other-pool")


def test_past_a_dead_keeper_the_bucket_holds(worlds: list[Any]) -> None:
    world, rule = cached(worlds)
    world.keeper.alive = False
    answer = world.ask(cookie_for(rule, "beta"))
    assert answer.fields["x-node"] == BETA
    assert world.counted == {"hops": 1, "fallbacks": 1}


def test_a_cache_that_knows_no_visitors_is_for_the_main_pool_alone(worlds: list[Any]) -> None:
    world, rule = cached(worlds, profile="rfc9111")
    answer = world.ask(cookie_for(rule, "beta"))
    assert answer.fields["x-node"] == BETA
    assert answer.fields["cache-status"] == "wsgistack; fwd=bypass; detail=split"
    world.ask(cookie_for(rule, ""))
    world.ask(cookie_for(rule, "beta"), method="POST")
    assert world.counted == {"bypasses": 1, "hops": 2}
    assert world.keeper.came.count(b"Wsgistack-Bucket: beta\r\n") == 1
