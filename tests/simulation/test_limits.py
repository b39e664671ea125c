"""Limits in the data plane: the same as at the WSGI edge, exact over workers, and cheap for who is refused."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from webob import Request

from tests.simulation.limited import Answer, LimitedWorld, make_limit
from wsgistack.balancer.foresight import find_address, find_keys
from wsgistack.balancer.ledger import BoardLedger
from wsgistack.balancer.limit_states import pack_ban
from wsgistack.balancer.model import Service
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.ratelimit.clients import everybody, header_key
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule

PEER = "192.0.2.9"  # whom the virtual network lets everybody be
TOLD = ("content-type", "cache-control", "vary", "retry-after", "ratelimit-policy", "ratelimit")
API_KEY = ("X-Api-Key", "one")
HTML = ("Accept", "text/html")


def make(worlds: list[LimitedWorld], *limits: Any, **options: Any) -> LimitedWorld:
    worlds.append(LimitedWorld(*limits, **options))
    return worlds[-1]


# -- one engine, two edges -----------------------------------------------------------------

# A step: seconds that pass before it, its method and fields.
Step = tuple[float, str, tuple[tuple[str, str], ...]]
BURST: list[Step] = [(0.0, "GET", ())] * 4
PAUSES: list[Step] = [
    (0.01, "GET", ()),
    (0.7, "GET", ()),
    (0.3, "GET", ()),
    (0.0, "GET", ()),
    (1.1, "GET", ()),
]
KEYS: list[Step] = [(0.0, "GET", (("X-Api-Key", name),)) for name in ("one", "one", "two", "", "three")]

EDGES: dict[str, tuple[dict[str, Any], dict[str, Any], list[Step]]] = {
    "gcra": ({"rate": "3/second"}, {}, BURST + PAUSES * 3),
    "a burst of its own": ({"rate": "100/minute burst 2"}, {}, BURST + PAUSES),
    "fixed": ({"rate": "3/2 seconds fixed"}, {}, BURST + PAUSES * 3),
    "sliding": ({"rate": "3/second sliding"}, {}, BURST + PAUSES * 3),
    "calendar": ({"rate": "3/calendar minute"}, {}, BURST + PAUSES + [(12.0, "GET", ())] * 7 + BURST),
    "exact": ({"rate": "3/second exact"}, {}, BURST + PAUSES * 3),
    "exact and dear": ({"rate": "5/second exact", "cost": "2"}, {"cost": 2}, BURST + PAUSES * 3),
    "exact, refused ones count": ({"rate": "2/second exact", "count_refused": "on"}, {"count_refused": True}, BURST + PAUSES * 2),
    "concurrent": ({"rate": "2 concurrent; 3/second exact", "status": "503"}, {"status": 503}, BURST + PAUSES),
    "too many at once": ({"rate": "2 concurrent", "cost": "3"}, {"cost": 3}, BURST),
    "several rates": ({"rate": "5/minute; 2/second; 4/10 s fixed"}, {}, BURST + PAUSES * 2),
    "no whole second": ({"rate": "2/500 ms"}, {}, BURST + PAUSES),
    "html": ({"rate": "1/minute"}, {}, [(0.1, "GET", (HTML,))] * 3),
    "head": ({"rate": "1/minute"}, {}, [(0.1, "HEAD", ())] * 3),
    "cost": ({"rate": "10/minute", "cost": "3"}, {"cost": 3}, BURST * 2),
    "too high a cost": ({"rate": "2/minute", "cost": "3"}, {"cost": 3}, [*BURST, (0.1, "GET", (HTML,))]),
    "status": ({"rate": "1/minute", "status": "503"}, {"status": 503}, BURST),
    "refused ones count": ({"rate": "2/second", "count_refused": "on"}, {"count_refused": True}, BURST + PAUSES * 2),
    "methods": ({"rate": "1/minute", "methods": "POST"}, {"methods": "POST"}, [(0.0, m, ()) for m in ("GET", "POST", "POST", "HEAD")]),
    "two methods": ({"rate": "1/minute", "methods": "PUT, POST"}, {"methods": ["PUT", "POST"]}, [(0.0, m, ()) for m in ("POST", "GET", "PUT")]),
    "get is head": ({"rate": "1/minute", "methods": "GET"}, {"methods": "GET"}, [(0.0, m, ()) for m in ("GET", "HEAD", "POST")]),
    "ban": (
        {"rate": "1/second", "ban": "2 in 10 s for 3 s"},
        {"ban": "2 in 10 s for 3 s"},
        [*BURST, *PAUSES, (4.0, "GET", ()), *BURST, *PAUSES, (0.1, "GET", (HTML,)), (7.0, "GET", ())],
    ),
    "dry run": ({"rate": "1/minute", "dry_run": "on"}, {"dry_run": True}, BURST),
    "by credential": ({"rate": "3/minute", "key": "header:x-api-key"}, {"key": header_key("X-Api-Key")}, KEYS),
    "all together": ({"rate": "2/minute", "key": "global"}, {"key": everybody}, BURST),
    "unlimited": ({"rate": "unlimited"}, {}, BURST),
}  # fmt: skip


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def ask_wsgi(app: RateLimit, method: str, fields: tuple[tuple[str, str], ...]) -> Any:
    request = Request.blank("/", method=method, environ={"REMOTE_ADDR": PEER})
    request.headers.update(dict(fields))
    response = request.get_response(app)
    assert response.body is not None  # read, and closed: a place is given back
    return response


@pytest.mark.parametrize("name", EDGES)
def test_both_edges_say_the_same(name: str, worlds: list[LimitedWorld]) -> None:
    settings, options, script = EDGES[name]
    world = make(worlds, make_limit("api", **settings))
    app = RateLimit(hello, rules=[Rule("api", settings["rate"], **options)], now=lambda: world.now_us)
    visitor = world.visitor()
    for number, (pause_s, method, fields) in enumerate(script):
        world.run_for(pause_s)
        if visitor.h11.our_state is not h11.IDLE:
            visitor = world.visitor()
        wanted = ask_wsgi(app, method, fields)
        got = visitor.ask(*fields, method=method)
        assert got.status == wanted.status_int, (number, got)
        for field in TOLD[3:] if got.status == 200 else TOLD:
            assert got.fields.get(field) == wanted.headers.get(field), (number, field)
        if got.status != 200 and method != "HEAD":
            assert got.body == wanted.body
            assert got.fields["content-length"] == str(len(wanted.body))


# -- refusals ------------------------------------------------------------------------------


def test_a_refusal_touches_no_node_and_is_as_small_as_it_may_be(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    visitor = world.visitor()
    assert visitor.ask().status == 200
    refused = visitor.ask()
    assert refused.status == 429
    assert refused.fields["date"].endswith(" GMT")
    assert refused.fields["server"] == "wsgistack"
    assert refused.fields["content-type"] == "application/problem+json"
    assert refused.body == (
        b'{"type": "https://iana.org/assignments/http-problem-types#quota-exceeded", "title": "Request cannot be '
        b'satisfied as assigned quota has been exceeded", "status": 429, "violated-policies": ["api"]}'
    )
    assert world.executed == 1
    assert world.board.service(0)["refused"] == 1
    assert world.events == []  # who is refused must not be able to fill the log


def test_the_connection_of_who_was_refused_is_kept_where_the_next_request_is_sure_to_begin(
    worlds: list[LimitedWorld],
) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    world.ask()
    visitor = world.visitor()
    refused = [
        visitor.ask(),
        visitor.ask(method="HEAD"),
        visitor.ask(method="POST", body=b"a body that is here"),
        visitor.ask(),
    ]
    assert [(answer.status, answer.kept) for answer in refused] == [(429, True)] * 4
    assert refused[1].body == b""


def test_the_connection_closes_where_a_body_is_still_to_come(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    world.ask()
    refused = world.ask(method="POST", body=b"some of ", late=b"a body")
    assert (refused.status, refused.fields["connection"]) == (429, "close")


def test_who_speaks_http_1_0_is_answered_in_it(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    world.ask()
    assert world.ask(minor="1.0").fields["connection"] == "close"
    assert world.ask(("Connection", "keep-alive"), minor="1.0").fields["connection"] == "keep-alive"


def test_refusals_and_passages_are_counted_by_limit(worlds: list[LimitedWorld]) -> None:
    world = make(
        worlds, make_limit("api", rate="2/minute"), make_limit("dry", 1, rate="1/minute", dry_run="on")
    )
    assert world.statuses(5) == [200, 200, 429, 429, 429]
    names = ("allowed", "refused", "banned", "watched", "trouble")
    assert [world.board.limit(0)[name] for name in names] == [2, 3, 0, 0, 0]
    assert [world.board.limit(1)[name] for name in names] == [1, 0, 0, 4, 0]
    (key,) = world.board.top(0)
    assert (key.hex(), world.board.top(0)[key]) == ("6100000000000000000000ffffc0000209", 3)


def test_log_only_of_the_service_makes_all_its_limits_watch(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"), log_only=True)
    assert world.statuses(3) == [200, 200, 200]
    assert world.board.limit(0)["watched"] == 2
    assert "ratelimit" not in world.ask().fields


def test_who_shall_not_be_told_is_not_told(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute", headers="none"))
    assert "ratelimit" not in world.ask().fields
    refused = world.ask()
    assert (refused.status, refused.fields["retry-after"]) == (429, "60")
    assert "ratelimit" not in refused.fields


def test_several_limits_are_granted_together_or_not_at_all(worlds: list[LimitedWorld]) -> None:
    world = make(
        worlds, make_limit("wide", rate="10/minute"), make_limit("narrow", 1, rate="2/minute", key="global")
    )
    assert world.statuses(6) == [200, 200, 429, 429, 429, 429]
    assert world.ask().fields["ratelimit"] == '"wide";r=8;t=6, "narrow";r=0;t=30'
    assert world.board.limit(0)["refused"] == 0


# -- who is asking -------------------------------------------------------------------------


def forwarded(*hops: str) -> tuple[str, str]:
    return "X-Forwarded-For", ", ".join(hops)


def test_nobody_is_believed_who_is_not_a_proxy_of_ours(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2/minute"))
    assert [world.ask(forwarded(f"198.51.100.{n}")).status for n in range(4)] == [200, 200, 429, 429]


TRUSTED: dict[str, Any] = {"trusted_upstream_proxies": ("192.0.2.0/24", "10.0.0.0/8")}


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (forwarded("198.51.100.7"), forwarded("198.51.100.8"), False),
        (forwarded("198.51.100.7:1"), forwarded("198.51.100.7:2"), True),
        (forwarded("6.6.6.6", "198.51.100.7"), forwarded("7.7.7.7", "198.51.100.7"), True),
        (forwarded("198.51.100.7", "10.0.0.1"), forwarded("198.51.100.7", "10.9.9.9"), True),
        (forwarded("198.51.100.7", "unknown"), forwarded("198.51.100.8", "garbage"), True),
        (forwarded("2001:db8::1"), forwarded("2001:db8::ffff:1"), True),
        (forwarded("2001:db8:0:1::1"), forwarded("2001:db8:0:2::1"), False),
        (forwarded("::ffff:198.51.100.7"), forwarded("198.51.100.7"), True),
    ],
)
def test_trusted_proxies_are_believed_up_to_the_first_stranger(
    first: tuple[str, str], second: tuple[str, str], is_same: bool, worlds: list[LimitedWorld]
) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"), **TRUSTED)
    assert [world.ask(first).status, world.ask(second).status] == [200, 429 if is_same else 200]


def test_lines_of_a_field_are_one_list(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"), **TRUSTED)
    assert world.ask(forwarded("6.6.6.6"), forwarded("198.51.100.7", "10.0.0.1")).status == 200
    assert world.ask(forwarded("7.7.7.7", "198.51.100.7")).status == 429


def test_networks_that_are_exempt_are_not_counted(worlds: list[LimitedWorld]) -> None:
    world = make(
        worlds, make_limit("api", rate="1/minute", exempt="198.51.100.0/25, 2001:db8::/32"), **TRUSTED
    )
    assert world.statuses(3, forwarded("198.51.100.7")) == [200, 200, 200]
    assert world.statuses(3, forwarded("2001:db8::7")) == [200, 200, 200]
    assert world.statuses(3, forwarded("198.51.100.200")) == [200, 429, 429]


def test_networks_of_ipv6_exempt_no_client_of_ipv4(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute", exempt="::/0, ::ffff:203.0.113.0/120"), **TRUSTED)
    assert world.statuses(2, forwarded("198.51.100.7")) == [200, 429]
    assert world.statuses(2, forwarded("::ffff:198.51.100.7")) == [429, 429]
    assert world.statuses(2, forwarded("2001:db8::7")) == [200, 200]
    assert world.statuses(2, forwarded("203.0.113.7")) == [200, 200]


def test_a_limit_of_a_path_is_about_every_way_to_write_it(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("login", rate="1/minute", path="/login, /admin/*"))
    assert world.ask(target="/login").status == 200
    ways = ["//login", "/./login", "/x/../login", "/%6Cogin", "/login;a=b", "/login?a=b", "/x%2f..%2flogin"]
    assert [world.ask(target=way).status for way in [*ways, "/admin/x"]] == [429] * 8
    assert [world.ask(target=other).status for other in ("/", "/login/x", "/admin", "/?/login")] == [200] * 4


def test_an_invented_credential_is_no_way_around(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="3/minute", key="header:x-api-key"))
    assert [world.ask(("X-Api-Key", str(n))).status for n in range(5)] == [200, 200, 200, 429, 429]


SERVICE = Service("mysite", 0, "reverse_proxy", True, None, (), SERVICE_SETTINGS.defaults() | TRUSTED, (), ())


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"key": "ip"}, ()),
        ({"key": "ip", "ipv4_prefix": "20"}, ()),
        ({"key": "ip"}, (forwarded("2001:db8::1:2:3"),)),
        ({"key": "ip", "ipv6_prefix": "45"}, (forwarded("2001:db8:ffff:ffff::1"),)),
        ({"key": "header:x-api-key"}, (API_KEY,)),
        ({"key": "header:x-api-key"}, ()),
        ({"key": "service"}, ()),
        ({"key": "global"}, ()),
    ],
)
def test_operators_ask_by_the_keys_that_workers_count_by(
    settings: dict[str, Any], fields: tuple[tuple[str, str], ...], worlds: list[LimitedWorld]
) -> None:
    limit = make_limit("api", rate="1/minute", **settings)
    world = make(worlds, limit, **TRUSTED)
    assert world.statuses(2, *fields) == [200, 429]
    told = {name.lower(): value for name, value in fields}
    ledger = BoardLedger(world.board)
    address = find_address(SERVICE, PEER, told.get)
    keys = find_keys(limit, SERVICE, ledger, address, told.get)
    assert list(world.board.top(0)) == keys[:1]
    assert world.board.limits is not None
    assert all(world.board.limits.get(key, limit.steps[1].id, world.now_us)[0] for key in keys)


# -- over workers, time and change ---------------------------------------------------------


def test_workers_share_the_count(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="5/minute"), workers=3)
    statuses = [world.ask(worker=number % 3).status for number in range(9)]
    assert statuses == [200] * 5 + [429] * 4
    assert world.board.limit(0)["allowed"] == 5


def test_a_worker_that_dies_takes_no_count_with_it(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2/minute"), workers=2)
    assert world.statuses(2) == [200, 200]
    world.crash(0)
    assert [world.ask(worker=worker).status for worker in (0, 1)] == [429, 429]


def test_another_snapshot_changes_no_count_but_another_rate_begins_anew(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    assert world.statuses(2) == [200, 429]
    world.put(make_limit("api", rate="1/minute", status="503"))
    assert world.ask().status == 503
    world.put(make_limit("api", rate="2/minute"))
    assert world.statuses(3) == [200, 200, 429]
    world.put(make_limit("api", epoch=1, rate="2/minute"))  # limit reset
    assert world.statuses(3) == [200, 200, 429]
    world.put()
    assert world.ask().status == 200


def test_a_ban_by_hand_holds_at_once_and_ends_by_itself(worlds: list[LimitedWorld]) -> None:
    limit = make_limit("api", rate="unlimited")
    world = make(worlds, limit)
    assert world.ask().status == 200
    table = world.board.limits
    assert table is not None
    key = b"a" + b"\0" * 10 + b"\xff\xff" + bytes([192, 0, 2, 9])
    table.look_at_bans()
    assert table.put(key, limit.steps[0].id, world.now_us, pack_ban(world.now_us + 5_000_000, 1, 60_000_000))
    refused = world.ask()
    assert (refused.status, refused.fields["retry-after"]) == (429, "5")
    assert b"abnormal-usage-detected" in refused.body
    assert world.board.limit(0)["banned"] == 1
    world.run_for(5)
    assert world.ask().status == 200


def test_who_cannot_be_counted_in_time_passes_and_is_told_of(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute", key="global"))
    table = world.board.limits
    assert table is not None
    world.ask()
    table.hold(b"*")
    assert world.ask().status == 200
    table.release(b"*")
    assert world.ask().status == 429
    assert world.board.limit(0)["trouble"] == 1


def test_a_response_is_passed_on_with_what_limits_tell_beside_a_sticky_cookie(
    worlds: list[LimitedWorld],
) -> None:
    world = make(worlds, make_limit("api", rate="5/minute"), sticky="cookie")
    answer: Answer = world.ask()
    assert answer.fields["ratelimit"] == '"api";r=4;t=12'
    assert answer.fields["set-cookie"].startswith("wsgistack_node=")


def test_a_window_of_the_calendar_follows_a_clock_that_is_set(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2/calendar hour Asia/Kathmandu"))
    assert world.board.limits is not None
    assert world.statuses(3) == [200, 200, 429]
    world.board.limits.keep_time(2 * 3_600_000_000)
    assert world.ask().status == 429, "its window ends when it was said to end"
    other = make(worlds, make_limit("api", rate="2/calendar hour Asia/Kathmandu"))
    assert other.board.limits is not None
    other.board.limits.keep_time(
        -other.now_us + 5_399_000_000
    )  # 1970: half an hour off, so the hour ends at half past
    assert other.statuses(3) == [200, 200, 429]
    assert other.ask().fields["retry-after"] == "1"
    other.run_for(1.0)
    assert other.ask().status == 200
