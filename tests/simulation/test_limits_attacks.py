"""Ways around a limit of the balancer that people try; tests/ratelimit/test_attacks.py has the WSGI edge's."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import pytest

from tests.simulation.limited import LimitedWorld, Visitor, make_limit
from tests.simulation.test_limits import TRUSTED, forwarded, make
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_states import pack_ban
from wsgistack.balancer.plane.limit_table import LimitTable

Fields = tuple[tuple[str, str], ...]
ONCE = "1/minute"
SECOND_US = 1_000_000


def login(**settings: Any) -> Limit:
    return make_limit("login", rate=ONCE, path="/login", **settings)


def say(world: LimitedWorld, data: bytes) -> list[int]:
    """Send bytes on a connection of their own and return the statuses of what comes back in a moment."""
    visitor = world.visitor()
    world.net.transmit(visitor.end, data)
    world.run_for(0.2)
    got = world.net.take(visitor.end, 1 << 20)
    answers = b"" if isinstance(got, int) else got
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]


def head(*lines: bytes, target: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: a", b"X-Id: r", *lines, b"", b""])


# -- what is asked for, written otherwise ----------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        b"//login",
        b"/./login",
        b"/a/../login",
        b"/login;x=1",
        b"/login?x=1",
        b"/%6c%6fgin",
        b"/%2e/login",
        b"http://a/login",
        b"http://b:8080//login?x",
    ],
)
def test_another_spelling_of_a_path(target: bytes, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, login())
    assert say(world, head(target=b"/login") + head(target=target)) == [200, 429]


@pytest.mark.parametrize("target", [b"/search/a/../../b", b"//search/%2e%2e/b", b"/search/..;/b"])
def test_dots_that_an_application_does_not_resolve(target: bytes, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("search", rate=ONCE, path="/search/*"))
    assert say(world, head(target=b"/search/a") + head(target=target) + head(target=b"/b")) == [200, 429, 200]


@pytest.mark.parametrize(
    ("method", "fields", "minor"),
    [
        ("HEAD", (), "1.1"),
        ("GET", (("X-HTTP-Method-Override", "PUT"),), "1.1"),
        ("GET", (("X-Original-URL", "/other"), ("X-Rewrite-URL", "/other")), "1.1"),
        ("GET", (), "1.0"),
    ],
)
def test_another_way_to_ask(method: str, fields: Fields, minor: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, login(methods="GET"))
    assert world.ask(target="/login").status == 200
    assert world.ask(*fields, method=method, minor=minor, target="/login").status == 429


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_a_method_in_small_letters(method: str, worlds: list[LimitedWorld]) -> None:
    """Applications that know a Request object take it for the other one (Werkzeug); nodes get it as it came."""
    world = make(worlds, make_limit("login", rate="1/minute", methods=method))
    line = method.lower().encode() + head()[3:]
    assert say(world, line + line.replace(method.lower().encode(), method.title().encode(), 1)) == [200, 429]


def test_a_method_that_is_like_none_is_no_method_of_a_limit(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("login", rate="1/minute", methods="GET"))
    assert say(world, (b"GETS" + head()[3:]) * 2) == [200, 200]


def test_another_host_another_connection_and_many_requests_in_one_packet(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="3/minute"))
    assert say(world, head() * 5) == [200, 200, 200, 429, 429]
    assert world.ask(host="b").status == 429


# -- who is asking, told otherwise -----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "Client-IP",
        "X_Forwarded_For",
    ],
)
@pytest.mark.parametrize("field", ["x-forwarded-for", "forwarded"])
def test_an_address_from_who_is_not_trusted(name: str, field: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE), forwarded=field)
    lies = [(name, f"for=6.6.6.{n}" if name == "Forwarded" else f"6.6.6.{n}") for n in range(2)]
    assert [world.ask(lie).status for lie in lies] == [200, 429]


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "CF-Connecting-IP", "X-Client-IP"])
def test_a_field_that_our_proxies_do_not_set(name: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE), **TRUSTED)
    told = forwarded("198.51.100.7")
    assert [world.ask(told, (name, f"for=6.6.6.{n}")).status for n in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "lies",
    [
        ["198.51.100.7:1", "198.51.100.7:2"],
        ["6.6.6.1, 198.51.100.7", "6.6.6.2, 198.51.100.7"],
        ["garbage<script>, 198.51.100.7", "198.51.100.7"],
        ["::ffff:198.51.100.7", "[::ffff:c633:6407]:80"],
        ["unknown", "_hidden"],
        ["198.51.100.7%eth0", "198.51.100.7%eth1"],
        [", " * 200 + "6.6.6.1, x", "6.6.6.2, "],
    ],
)
def test_another_spelling_of_an_address(lies: list[str], worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE), **TRUSTED)
    assert [say(world, head(f"X-Forwarded-For: {lie}".encode())) for lie in lies] == [[200], [429]]


@pytest.mark.parametrize("lie", ["for=6.6.6.{n};for=6.6.6.{n}", "for=6.6.6.{n};proto=http;proto=http"])
def test_an_address_told_in_an_element_that_says_something_twice(
    lie: str, worlds: list[LimitedWorld]
) -> None:
    world = make(worlds, make_limit("api", rate=ONCE), forwarded="forwarded", **TRUSTED)
    assert [world.ask(("Forwarded", lie.format(n=n))).status for n in range(2)] == [200, 429]


def test_all_the_addresses_of_one_network(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="3/minute"), **TRUSTED)
    first = int(ip_address("2001:db8:1:2::"))
    statuses = [world.ask(forwarded(str(ip_address(first + n * 2**40)))).status for n in range(9)]
    assert statuses == [200] * 3 + [429] * 6
    assert world.ask(forwarded("2001:db8:1:3::")).status == 200


CREDENTIALS: dict[str, list[Fields]] = {
    "a new one for each request": [(("X-Api-Key", f"k{n}"),) for n in range(6)],
    "none, an empty one, and blanks": [(), (("X-Api-Key", ""),), (("X-Api-Key", "  \t"),)] * 2,
    "twice, each time with another": [(("X-Api-Key", "k"), ("X-Api-Key", f"k{n}")) for n in range(6)],
    "in any case": [((name, "k"),) for name in ("x-api-key", "X-API-KEY", "X-Api-Key", "x-Api-key", "X-api-key", "X-API-Key")],
    "by a name that applications take for it": [(("X_Api_Key", f"k{n}"),) for n in range(6)],
    "a very long one": [(("X-Api-Key", "k" * 8000 + str(n)),) for n in range(6)],
    "bytes that are no text": [(("X-Api-Key", f"\x80\xff{n}"),) for n in range(6)],
}  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credentials_are_no_way_around_the_limit_of_an_address(name: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="3/minute", key="header:x-api-key"))
    heads = [
        head(*(f"{n}: {value}".encode("latin-1") for n, value in fields)) for fields in CREDENTIALS[name]
    ]
    assert [say(world, data) for data in heads] == [[200]] * 3 + [[429]] * 3


def test_who_is_banned_is_banned_with_every_credential(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE, key="header:x-api-key", ban="2 in 1 hour for 1 hour"))
    statuses = [world.ask(("X-Api-Key", f"k{n}")).status for n in range(5)]
    assert statuses == [200, 429, 429, 429, 429]
    world.run_for(61)  # the rate would let it pass again
    assert b"abnormal-usage-detected" in world.ask(("X-Api-Key", "new")).body


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 6.6.6.6",
        b"X-Forwarded-For: 198.51.100.7\r6.6.6.6",
        b"X-Forwarded-For: 198.51.100.7\x006.6.6.6",
        b"X-Forwarded-For: 198.51.100.7\r\n 6.6.6.6",
        b"X-Forwarded-For : 6.6.6.6",
        b"X-Api-Key: a\nX-Evil: b",
    ],
)
def test_fields_within_fields(line: bytes, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE, key="header:x-api-key"), **TRUSTED)
    assert say(world, head(line)) == [400]
    assert (world.executed, world.board.limit(0)["allowed"]) == (0, 0)


def test_nothing_of_a_request_comes_back_in_a_refusal(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=ONCE, key="header:x-api-key"), **TRUSTED)
    evil = "<script>evil()</script>"
    fields = (("X-Api-Key", evil), ("User-Agent", evil), ("Accept", "text/html"), forwarded(evil))
    answers = [world.ask(*fields, target="/?evil()") for _ in range(2)]
    assert answers[1].status == 429
    assert "evil" not in repr(answers[1].fields) and b"evil" not in answers[1].body


# -- the table -------------------------------------------------------------------------------


def test_so_many_clients_that_the_table_is_full(worlds: list[LimitedWorld]) -> None:
    """Nobody is thrown out to make room, and who finds none is counted with others, not let through."""
    world = make(worlds, make_limit("api", rate="2/4 minutes"), limit_keys=256, **TRUSTED)
    victim = forwarded("198.51.100.7")
    assert world.statuses(3, victim) == [200, 200, 429]
    visitor = world.visitor()
    strangers = [visitor.ask(forwarded(str(ip_address(0x0A000000 + n)))).status for n in range(600)]
    table = world.board.limits
    assert table is not None
    used, shared = table.count_used(world.now_us)
    assert (used > 200, shared > 100) == (True, True), (
        "256 stripes with a place each, and one count for the rest"
    )
    assert 429 in strangers
    assert strangers.count(200) <= used + 2 * shared
    assert world.ask(victim).status == 429
    world.run_for(240)
    assert world.ask(victim).status == 200


def test_keys_that_are_made_to_collide() -> None:
    """Where a key lies depends on a secret of the table: what collides in one does not in another."""
    tables = [LimitTable.create(1) for _ in range(3)]
    marks = {table.credential(b"198.51.100.7") for table in tables}
    for table in tables:
        table.close()
    assert len(marks) == 3


# -- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["10/minute sliding", "10/minute exact"])
def test_a_burst_at_each_edge_of_a_window(rate: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=rate))
    world.run_for(60 - world.net.now % 60 - 1)
    admitted = world.statuses(20).count(200)
    world.run_for(2)
    assert admitted + world.statuses(20).count(200) == 10, "a fixed window would admit 20"


@pytest.mark.parametrize("rate", ["1/minute", "1/minute fixed", "1/minute sliding", "1/minute exact"])
def test_a_clock_that_is_set_back_or_forward(rate: str, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate=rate))
    assert world.board.limits is not None
    assert world.statuses(2) == [200, 429]
    for offset_us in (-120 * SECOND_US, 120 * SECOND_US, 10**15):
        world.board.limits.keep_time(offset_us)
        assert world.ask().status == 429
    world.run_for(120)
    assert world.ask().status == 200, "nobody waits for the wall to catch up either"


# -- what is held, and what is dear ------------------------------------------------------------


def test_slow_requests_hold_no_more_places_than_there_are(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2 concurrent"))
    slow: list[Visitor] = []
    for _ in range(2):
        slow.append(world.visitor())
        slow[-1].send(method="POST", body=b"a part, and then ", late=b"nothing")
    world.run_for(1)
    assert world.statuses(3) == [503] * 3
    world.net.shut(slow[0].end, reset=True)
    world.run_for(1)
    assert world.ask().status == 200


def test_who_hangs_up_at_once_is_counted_all_the_same(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="3/minute"))
    for _ in range(3):
        visitor = world.visitor()
        visitor.send()
        world.step()
        world.net.shut(visitor.end, reset=True)
        world.run_for(0.1)
    assert world.ask().status == 429


def test_a_cost_above_the_limit_takes_nothing_from_the_others(worlds: list[LimitedWorld]) -> None:
    dear = make_limit("dear", 1, rate="10/minute", cost="11", path="/bomb")
    world = make(worlds, make_limit("api", rate="3/minute"), dear)
    assert [world.ask(target="/bomb").status for _ in range(5)] == [429] * 5
    assert world.statuses(4) == [200] * 3 + [429]


def test_refusals_take_nothing_and_prolong_no_ban(worlds: list[LimitedWorld]) -> None:
    limit = make_limit("api", rate="1/10 s", ban="100 in 1 hour for 1 hour")
    world = make(worlds, limit)
    assert world.board.limits is not None
    assert world.statuses(20) == [200] + [429] * 19
    world.run_for(10)
    assert world.ask().status == 200
    key, now = b"a" + b"\0" * 10 + b"\xff\xff" + bytes([192, 0, 2, 9]), world.now_us
    world.board.limits.put(key, limit.steps[0].id, now, pack_ban(now + 5 * SECOND_US, 1, 60 * SECOND_US))
    for _ in range(4):
        assert world.ask().status == 429
        world.run_for(1)
    world.run_for(7)
    assert world.ask().status == 200


def test_a_404_and_a_node_that_fails_count_too(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2/minute"))
    world.apply(range(1), down=[0])
    assert [world.ask(target="/nothing").status for _ in range(3)] == [503, 503, 429]


# -- what refusals count for ------------------------------------------------------------------


def test_who_is_refused_by_a_limit_without_a_ban_is_banned_by_nobody(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/second"))
    table = world.board.limits
    assert table is not None
    table.look_at_bans()  # an operator has banned somebody else
    assert world.statuses(3) == [200, 429, 429]
    world.run_for(1.1)
    assert world.ask().status == 200


@pytest.mark.parametrize("rate", ["2/minute", "2/minute exact"])
def test_what_can_never_pass_is_not_counted_though_refusals_are(
    rate: str, worlds: list[LimitedWorld]
) -> None:
    world = make(worlds, make_limit("api", rate=rate, count_refused="on", cost="3"))
    assert world.statuses(3) == [429, 429, 429]
    world.put(make_limit("api", rate=rate, count_refused="on", cost="2"))
    assert world.statuses(2) == [200, 429]
