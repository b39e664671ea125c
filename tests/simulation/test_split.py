"""A share of the visitors goes to another pool: who, why always the same, and what happens when that pool fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.simulation.limited import LimitedWorld
from tests.simulation.split import KEY, SECRET, cookie_for, find_token, service_of, split
from tests.simulation.world import World
from tests.wsgi_shapes import serve
from wsgistack.balancer.split import Rule, find_visitor
from wsgistack.components.buckets import Buckets
from wsgistack.splits import Share, mark_of

BETA, MAIN = "beta", "n0"


def make_world(
    worlds: list[World], text: str = "beta 50% cookie", **options: Any
) -> tuple[LimitedWorld, Rule]:
    service = {name: options.pop(name) for name in list(options) if name.startswith(("split_", "sticky"))}
    world = LimitedWorld(**{"split_cookie": "wsgistack_split", **service})
    worlds.append(world)
    for node in world.nodes:
        node.says = [("x-node", MAIN)]
    rule = split(world, text, **options)
    world.nodes[1].says = [("x-node", BETA)]
    return world, rule


def test_a_visitor_with_our_cookie_is_where_the_function_says(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    for bucket, node in (("beta", BETA), ("", MAIN)):
        for _ in range(3):
            answer = world.ask(cookie_for(rule, bucket))
            assert answer.fields["x-node"] == node
            assert "set-cookie" not in answer.fields


def test_who_is_new_gets_a_cookie_and_stays(worlds: list[World]) -> None:
    world, _ = make_world(worlds)
    seen = set()
    for _ in range(12):
        first = world.ask()
        cookie, *attributes = first.fields["set-cookie"].split("; ")
        assert attributes == ["Path=/", "Max-Age=1000000", "HttpOnly", "SameSite=Lax"]
        again = world.ask(("Cookie", cookie))
        assert again.fields["x-node"] == first.fields["x-node"]
        assert "set-cookie" not in again.fields
        seen.add(first.fields["x-node"])
    assert seen == {BETA, MAIN}
    assert len({world.ask().fields["set-cookie"] for _ in range(5)}) == 5


def test_the_component_reads_the_cookie_and_says_the_same(worlds: list[World]) -> None:
    world, _ = make_world(worlds, split_cookie="wsgistack_bucket", text="test: beta 30% cookie")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgistack.bucket"].encode()]

    buckets = Buckets(app, split="test: beta 30%", secret=SECRET)
    for _ in range(20):
        answer = world.ask()
        seen = serve(buckets, {"HTTP_COOKIE": answer.fields["set-cookie"].partition(";")[0]})
        assert seen.body == (b"beta" if answer.fields["x-node"] == BETA else b"")
        assert [name for name, _ in seen.headers if name == "Set-Cookie"] == []
    for _ in range(20):
        value = dict(serve(buckets).headers)["Set-Cookie"].partition(";")[0]
        answer = world.ask(("Cookie", value))
        assert "set-cookie" not in answer.fields
        expected = serve(buckets, {"HTTP_COOKIE": value}).body == b"beta"
        assert (answer.fields["x-node"] == BETA) == expected


def test_what_a_share_may_grow_into_is_nobodys(worlds: list[World]) -> None:
    world, rule = make_world(worlds, "test: mypool 10% up to 40%, beta 30% up to 50% cookie")
    nodes = {"mypool": MAIN, "beta": BETA, "": MAIN}
    told = []
    for token in (f"{number:x}" for number in range(60)):
        answer = world.ask(("Cookie", f"wsgistack_split={token}.{mark_of(KEY, token)}"))
        bucket = rule.split.bucket(KEY, token.encode())
        assert answer.fields["x-node"] == nodes[bucket], token
        at = rule.split.place(KEY, token.encode()) * 100 // 2**32
        told.append(bucket or ("its room" if 10 <= at < 40 else "the rest"))
    counts = {name: told.count(name) for name in ("mypool", "its room", "beta", "the rest")}
    assert counts == {"mypool": 6, "its room": 22, "beta": 15, "the rest": 17}


def test_the_cookies_of_both_look_the_same(worlds: list[World]) -> None:
    world, _ = make_world(worlds, split_cookie="wsgistack_bucket")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    made = dict(serve(Buckets(app, split="beta 5%", secret=SECRET)).headers)["Set-Cookie"]
    told = world.ask().fields["set-cookie"]
    assert told.partition(";")[2] == made.partition(";")[2]
    assert [len(part) for part in told.split(".", 1)] == [len(part) for part in made.split(".", 1)]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "{token}",
        "{token}.",
        ".{mark}",
        "{token}.{mark}0",
        "{token}0.{mark}",
        "{token}.{other}",
        "a b.{mark}",
    ],
)
def test_a_cookie_that_is_not_ours_is_replaced(value: str, worlds: list[World]) -> None:
    world, _ = make_world(worlds)
    token, _, mark = world.ask().fields["set-cookie"].partition(";")[0].partition("=")[2].partition(".")
    said = value.format(token=token, mark=mark, other=mark[::-1])
    assert "set-cookie" in world.ask(("Cookie", f"wsgistack_split={said}")).fields


def test_the_node_does_not_see_the_cookie_and_nobody_can_say_the_bucket(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    got: list[tuple[bytes, bytes]] = []
    world.nodes[0].look = lambda request: got.extend(request.headers)
    answer = world.ask(cookie_for(rule, ""), ("Wsgistack-Bucket", "beta"))
    assert answer.fields["x-node"] == MAIN
    assert (b"cookie", b"_ga=1; _gid=2") in got
    assert b"wsgistack-bucket" not in dict(got)


NAMES = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc", "Cs", "Zs"], exclude_characters=';"\xad,'),
    max_size=40,
)


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(by=st.sampled_from(["ip", "header x-user", "cookie uid"]), name=NAMES, address=st.ip_addresses())
def test_others_are_known_by_what_the_split_says(
    by: str, name: str, address: Any, shared: LimitedWorld
) -> None:
    world, rule = shared, split(shared, f"beta 50% {by}")
    fields = {"x-user": name, "cookie": f"a=1; uid={name}"}
    if by == "ip":
        fields = {"x-forwarded-for": str(address)}
    known = find_visitor(rule, KEY, "wsgistack_split", address=address, field=fields.get)
    said: Any = [(key, value.encode("latin-1")) for key, value in fields.items()]  # h11 takes bytes
    answer = world.ask(*said)
    assert ("set-cookie" in answer.fields) == (known.text == "")
    if known.text:
        assert answer.fields["x-node"] == (BETA if rule.split.bucket(KEY, known.as_bytes) else MAIN)


@pytest.fixture(scope="module")
def shared() -> Iterator[LimitedWorld]:
    worlds: list[World] = []
    world, _ = make_world(worlds)
    service_of(world)["settings"]["always_trusted"] = True
    yield world
    world.close()


def test_the_cookie_is_secure_where_the_client_came_by_https(worlds: list[World]) -> None:
    world, _ = make_world(worlds)
    service_of(world)["settings"]["always_trusted"] = True
    world.plane.apply(world.snapshot)
    answer = world.visitor().ask(("X-Forwarded-Proto", "https"))
    assert answer.fields["set-cookie"].endswith("; SameSite=Lax; Secure")


def test_who_finds_the_pool_dead_goes_to_the_main_one(worlds: list[World]) -> None:
    world, rule = make_world(worlds, "beta 50% cookie", up=False)
    answer = world.ask(cookie_for(rule, "beta"))
    assert (answer.status, answer.fields["x-node"]) == (200, MAIN)
    assert counted(world) == ([0, 1], 1)


def test_a_node_that_refuses_costs_a_visitor_nothing(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    world.nodes[1].alive = False
    assert world.ask(cookie_for(rule, "beta")).fields["x-node"] == MAIN
    world.nodes[1].alive = True
    world.run_for(3)
    assert world.ask(cookie_for(rule, "beta")).fields["x-node"] == BETA


def test_an_open_breaker_lets_its_visitors_go_to_the_main_pool(worlds: list[World]) -> None:
    world, rule = make_world(worlds, admits=0)
    assert world.ask(cookie_for(rule, "beta")).fields["x-node"] == MAIN


def test_a_full_pool_lets_its_visitors_go_to_the_main_one(worlds: list[World]) -> None:
    world, rule = make_world(worlds, max_connections=1)
    world.nodes[1].thinks_s = (5.0,)
    slow, other = world.visitor(), world.visitor()
    slow.send(cookie_for(rule, "beta"))
    world.run_for(0.2)
    assert other.ask(cookie_for(rule, "beta")).fields["x-node"] == MAIN
    assert slow.read().fields["x-node"] == BETA
    assert counted(world) == ([0, 2], 1)


def test_who_waits_for_both_takes_the_first_place_of_either(worlds: list[World]) -> None:
    world, rule = make_world(worlds, max_connections=1)
    world.options[0] = {"max_connections": 1}
    world.apply(range(1))
    split(world, "beta 50% cookie", max_connections=1)
    for node, thinks in zip(world.nodes, (20.0, 1.0), strict=True):
        node.thinks_s = (thinks,)
    first, second, third = world.visitor(), world.visitor(), world.visitor()
    first.send(cookie_for(rule, ""))
    second.send(cookie_for(rule, "beta"))
    world.run_for(0.2)
    third.send(cookie_for(rule, "beta"))
    assert second.read().fields["x-node"] == BETA
    assert third.read().fields["x-node"] == BETA
    assert first.read().fields["x-node"] == MAIN


def test_main_visitors_do_not_wait_behind_a_full_beta(worlds: list[World]) -> None:
    world, rule = make_world(worlds, max_connections=1)
    world.nodes[1].thinks_s = (5.0,)
    world.visitor().send(cookie_for(rule, "beta"))
    world.run_for(0.2)
    began = world.net.now
    assert world.ask(cookie_for(rule, "")).fields["x-node"] == MAIN
    assert world.net.now - began < 1


def test_main_visitors_do_not_go_to_beta_when_their_pool_is_dead(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    world.apply(range(1), down=[0])
    split(world, "beta 50% cookie")
    assert world.ask(cookie_for(rule, "")).status == 503
    assert world.ask(cookie_for(rule, "beta")).fields["x-node"] == BETA


def test_a_session_sticks_within_its_bucket(worlds: list[World]) -> None:
    world, rule = make_world(worlds, sticky="cookie")
    name, value = cookie_for(rule, "beta")
    first = world.ask((name, value))
    cookie = first.fields["set-cookie"].partition(";")[0]
    assert cookie.startswith("wsgistack_node=")
    again = world.ask((name, f"{value}; {cookie}"))
    assert again.fields["x-node"] == BETA
    assert "set-cookie" not in again.fields


def test_the_split_can_change_under_requests(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    world.nodes[1].thinks_s = (2.0,)
    visitor = world.visitor()
    visitor.send(cookie_for(rule, "beta"))
    world.run_for(0.2)
    service_of(world)["split"] = None
    world.plane.apply(world.snapshot)
    assert visitor.read().fields["x-node"] == BETA
    assert visitor.ask(cookie_for(rule, "beta")).fields["x-node"] == MAIN


def test_requests_are_counted_by_bucket(worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    for bucket, times in (("beta", 3), ("", 2)):
        for _ in range(times):
            world.ask(cookie_for(rule, bucket))
    assert counted(world) == ([2, 3], 0)


def test_the_access_log_names_bucket_and_pool(tmp_path: Path, worlds: list[World]) -> None:
    world, rule = make_world(worlds)
    world.plane.open_log(str(tmp_path / "log"), "json")
    world.ask(cookie_for(rule, "beta"))
    world.ask(cookie_for(rule, ""))
    split(world, "beta 50% cookie", up=False)
    world.ask(cookie_for(rule, "beta"))
    world.plane.open_log("off", "json")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["bucket"], line["pool"]) for line in lines] == [
        ("beta", "beta"),
        ("-", "mypool"),
        ("beta", "mypool"),
    ]


def counted(world: LimitedWorld) -> tuple[list[int], int]:
    """Return how many requests were of nobody's bucket and of beta, and how many strayed."""
    told = world.board.service(0)
    return told["buckets"][:2], told["strayed"]


def test_tokens_are_those_of_the_function() -> None:
    # The helper of these tests and hashlib agree: what is compared above is not one thing with itself.
    rule = Rule("beta", (Share("beta", 50.0, 50.0),))
    token = find_token(rule, "beta")
    person = blake2b(b"beta", digest_size=16).digest()
    digest = blake2b(token.encode(), digest_size=4, key=KEY, person=person).digest()
    assert digest[0] < 128
