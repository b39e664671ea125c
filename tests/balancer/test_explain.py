"""Who would serve a request, told without sending it."""

from dataclasses import replace

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.explain import Question, explain, parse_fields
from wsgistack.balancer.sticky import number_of
from wsgistack.errors import CommandError


@pytest.fixture
def stage() -> Stage:
    """The site of the manual."""
    stage = Stage()
    stage.make_site()
    return stage


def test_service_pool_and_each_nodes_score_are_told(stage: Stage) -> None:
    stage.stats.node(0)["in_flight"] = 3
    assert stage.say("explain GET /index.html") == [
        "request GET /index.html",
        "service mysite: listens on 127.0.0.1:8080",
        "pool mypool: two_choices, 2 nodes",
        "node 127.0.0.1:8002 score 0: candidate",
        "node 127.0.0.1:8001 score 3: candidate",
        "answer by a candidate: two of them are drawn by weight, and the lower score wins",
        ".",
    ]


def test_who_is_no_candidate_is_told_with_its_reason(stage: Stage) -> None:
    stage.do(
        "set mypool.balance_method = least",
        "pool mypool add 127.0.0.1:8003 max=2",
        "pool mypool add 127.0.0.1:8004 backup",
        "pool mypool drain 127.0.0.1:8002",
    )
    stage.stats.node(2)["in_flight"] = 2
    lines = stage.say("explain GET /")
    assert lines[3:-1] == [
        "node 127.0.0.1:8001 score 1: candidate",
        "node 127.0.0.1:8002 score -: drains",
        "node 127.0.0.1:8003 score -: full: 2 of 2 requests",
        "node 127.0.0.1:8004 score -: backup, not needed",
        "answer by 127.0.0.1:8001",
    ]


def test_a_consistent_choice_shows_its_key_and_needs_what_it_hashes(stage: Stage) -> None:
    stage.do("set mypool.balance_method = consistent", "set mypool.hash_key = cookie:sid")
    with_key = stage.say('explain GET / "Cookie: a=1; sid=abc"')
    assert [line.split()[1] for line in with_key if line.startswith("node")] == [
        line.split()[1]
        for line in stage.say("explain POST /other Host: x; Cookie: sid=abc")
        if line.startswith("node")
    ]
    assert with_key[3].startswith("key cookie:sid: ")
    assert stage.say("explain GET /")[3] == "key cookie:sid: the request has none"


def test_by_address_the_client_counts(stage: Stage) -> None:
    stage.do("set mypool.balance_method = consistent", "set mypool.hash_key = ip")
    for last in range(2, 12):
        stage.do(f"pool mypool add 127.0.1.{last}:80")
    answers = {stage.say(f"explain GET / from 10.0.0.{last}")[-2] for last in range(20)}
    assert len(answers) > 3
    assert stage.say("explain GET / from 10.0.0.1") == stage.say("explain GET / from 10.0.0.1 Host: a")


def test_a_session_sticks_to_its_node_even_while_that_drains(stage: Stage) -> None:
    stage.do("set mysite.sticky = cookie", "set mysite.sticky_secret = no-one-knows-it")
    tokens = stage.control.snapshot.services["mysite"].tokens
    stage.do("pool mypool drain 127.0.0.1:8002")
    lines = stage.say(f"explain GET / Cookie: a=b; wsgistack_node={tokens['127.0.0.1:8002']}; c=d")
    assert "session wsgistack_node: sticks to 127.0.0.1:8002" in lines
    assert lines[-2] == "answer by 127.0.0.1:8002"
    assert stage.say("explain GET / Cookie: wsgistack_node=forged")[-2] == "answer by 127.0.0.1:8001"


def test_a_session_that_was_learned_is_told(stage: Stage) -> None:
    stage.do("set mysite.sticky = learn", "set mysite.sticky_cookie = sid", "set mysite.sticky_ttl = 60")
    stage.stats.sessions["mysite", "s1", 60.0] = number_of("127.0.0.1:8002")
    stage.stats.sessions["mysite", "s2", 60.0] = number_of("127.0.0.9:80")  # it left the pool
    lines = stage.say("explain GET / Cookie: a=b; sid=s1")
    assert "session sid: sticks to 127.0.0.1:8002" in lines
    assert lines[-2] == "answer by 127.0.0.1:8002"
    for other in ("sid=s2", "sid=s3", "a=s1", "sid="):
        assert not any(line.startswith("session") for line in stage.say(f"explain GET / Cookie: {other}"))


def test_nothing_is_sent_and_nothing_changes(stage: Stage) -> None:
    before = stage.control.snapshot
    stage.session.readonly = True
    stage.say("explain GET /")
    assert stage.control.snapshot is before


@pytest.mark.parametrize(
    ("lines", "question", "last"),
    [
        (["create service other", "set role = reverse_proxy"], "explain other GET /", "answer 503: the service has no pool"),
        (["pool mypool remove 127.0.0.1:8001", "pool mypool remove 127.0.0.1:8002"], "explain GET /", "answer 503: no node can take it"),
        (["pool mypool remove 127.0.0.1:8001"], "explain GET /", "answer by 127.0.0.1:8002"),
        (["disable mysite"], "explain mysite GET http://a/b", "answer by a candidate: two of them are drawn by weight, and the lower score wins"),
    ],
)  # fmt: skip
def test_the_answer_is_told(stage: Stage, lines: list[str], question: str, last: str) -> None:
    stage.do(*lines)
    assert stage.say(question)[-2] == last


def test_an_open_breaker_is_told(stage: Stage) -> None:
    snapshot = stage.control.snapshot
    pool = replace(snapshot.pools["mypool"], admits=10)
    lines = explain(
        replace(snapshot, pools={"mypool": pool}),
        snapshot.services["mysite"],
        Question("GET", "/"),
        {},
        now=0.0,
    )
    assert lines[3] == "breaker: open, 10 % of the requests are let through, the others get 503"


def test_full_nodes_are_waited_for(stage: Stage) -> None:
    for port in (8001, 8002):
        stage.do(f"pool mypool add 127.0.0.1:{port} max=1")
    for slot in (0, 1):
        stage.stats.node(slot)["in_flight"] = 1
    assert stage.say("explain GET /")[-2] == "answer: waits in the queue for a node"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("explain", "Invalid syntax to 'explain' command; usage: explain [<service>] <method> <target> [from <ip>]"),
        ("explain GET index.html", "Invalid syntax to 'explain' command; usage"),
        ("explain nope GET /", "service 'nope' does not exist"),
        ("explain mysit GET /", "service 'mysit' does not exist (did you mean 'mysite'?)"),
        ("explain admin GET /", "service 'admin' passes no requests on"),
        ("explain GET / from nowhere", "'nowhere' is not the IP address of a client"),
        ("explain GET / Host", "'Host' is no field: expected Name: value"),
        ('explain GET / "Host: a" b', 'a field is written "Name: value", each in quotes of its own'),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(stage: Stage, line: str, error: str) -> None:
    assert stage.say(line)[0].startswith(f"ERROR: {error}")


def test_with_several_services_one_is_named(stage: Stage) -> None:
    stage.do("create service b", "set role = reverse_proxy")
    assert stage.say("explain GET /") == [
        "ERROR: there are several services, or none: say which of b, mysite"
    ]
    assert stage.say("explain mysite GET /")[1] == "service mysite: listens on 127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", ()),
        ("Host: a", (("Host", "a"),)),
        ("Host: a; Cookie: b=1; c=2", (("Host", "a"), ("Cookie", "b=1; c=2"))),
        ("Host : a;X-B:c", (("Host", "a"), ("X-B", "c"))),
        ('"Host: a" "Accept: x; Foo: y"', (("Host", "a"), ("Accept", "x; Foo: y"))),
    ],
)
def test_fields_are_told_apart(text: str, fields: tuple[tuple[str, str], ...]) -> None:
    assert parse_fields(text) == fields


@pytest.mark.parametrize("text", [":", "a b: c", "; Host: a", '"Host"', "größe: x"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        parse_fields(text)


def test_the_page_cache_is_named_before_the_pool(stage: Stage) -> None:
    stage.do("SET mysite.cache = on")
    told = "cache pages: is asked first, `cache pages trace URL` tells what it would say; without a page:"
    assert stage.say("explain GET /index.html")[2] == told
    assert (
        stage.say("explain POST /")[2] == "cache pages: passes it on, and forgets the pages that it changes"
    )


def split_site(stage: Stage) -> str:
    """Give the site a split, and return the cookie of a visitor who is in."""
    stage.do("create pool beta", "pool beta add 127.0.0.1:8003", "set mysite.split_secret = 0123456789abcdef")
    stage.do("set mysite.split = beta 50% cookie")
    return "wsgistack_split=2b3ea1459fbaa920ca2620d6.1063a6534561455ec31bb9a2"


def test_a_visitors_bucket_and_why_are_told(stage: Stage) -> None:
    cookie = split_site(stage)
    assert stage.say(f"explain GET / Cookie: {cookie}")[2:] == [
        "split beta 50% cookie",
        "bucket beta: the cookie wsgistack_split stands at 23.327 %",
        "pool beta: two_choices, 1 nodes",
        "node 127.0.0.1:8003 score 0: candidate",
        "answer by 127.0.0.1:8003",
        ".",
    ]
    stage.do("set mysite.split = beta 20% cookie")
    assert stage.say(f"explain GET / Cookie: {cookie}")[3:5] == [
        "bucket -: the cookie wsgistack_split stands at 23.327 %",
        "pool mypool: two_choices, 2 nodes",
    ]
    assert stage.say("explain GET /")[3] == (
        "bucket: no cookie wsgistack_split of ours; who is new is drawn by lot, and told by a cookie; else:"
    )


def test_by_address_the_forwarded_client_counts_where_proxies_are_trusted(stage: Stage) -> None:
    split_site(stage)
    stage.do("set mysite.split = beta 50% ip", "set mysite.trusted_upstream_proxies = 10.0.0.0/8")
    direct = stage.say("explain GET / from 192.0.2.1")[3]
    assert direct.endswith(" %") and ": the address 192.0.2.1 stands at" in direct
    assert stage.say("explain GET / from 10.0.0.1 X-Forwarded-For: 192.0.2.1")[3] == direct


@pytest.mark.parametrize(
    "trouble",
    [
        "pool beta remove 127.0.0.1:8003",
        "pool beta drain 127.0.0.1:8003",
        "pool beta add 127.0.0.1:8003 max=1",
    ],
    ids=["none there", "draining", "full"],
)
def test_that_a_pool_has_no_place_for_its_visitors_is_told(stage: Stage, trouble: str) -> None:
    cookie = split_site(stage)
    stage.do(trouble)
    stage.stats.node(2)["in_flight"] = 1
    assert stage.say(f"explain GET / Cookie: {cookie}")[4:6] == [
        "pool beta: no node of it has a place, mypool takes it",
        "pool mypool: two_choices, 2 nodes",
    ]


def test_a_session_within_a_bucket_is_told(stage: Stage) -> None:
    cookie = split_site(stage)
    stage.do("set mysite.sticky = cookie")
    tokens = stage.control.snapshot.services["mysite"].split_tokens["beta"]
    lines = stage.say(f"explain GET / Cookie: {cookie}; wsgistack_node={tokens['127.0.0.1:8003']}")
    assert "session wsgistack_node: sticks to 127.0.0.1:8003" in lines


def test_an_open_breaker_of_a_bucket_costs_its_visitors_nothing(stage: Stage) -> None:
    cookie = split_site(stage)
    snapshot = stage.control.snapshot
    beta = replace(snapshot.pools["beta"], admits=10)
    lines = explain(
        replace(snapshot, pools={**snapshot.pools, "beta": beta}),
        snapshot.services["mysite"],
        Question("GET", "/", (("Cookie", cookie),)),
        {},
        now=0.0,
    )
    assert lines[5] == "breaker: open, 10 % of the requests are let through, the others go to mypool"
