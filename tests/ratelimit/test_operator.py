"""What operators do about clients, over all processes that share the limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.ratelimit.appending import Appender
from wsgistack import wrap
from wsgistack.errors import RateError, SettingError
from wsgistack.ratelimit import RateLimit, Rule, client_network, everybody
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.operator import find_key
from wsgistack.ratelimit.shut import MOST_BANS, Shut
from wsgistack.store.url import make_store

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
BAN = "2 in 1 hour for 1 hour"


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


class Site:
    """Processes that share limits, on one clock; the last answer's fields and body are kept."""

    def __init__(self, *rules: Rule, processes: int = 2, store: Any = None, **options: Any) -> None:
        self.now = NOW
        if store is not None:
            options |= {"store": store, "bans_every": 1}
        self.apps = [RateLimit(app, rules=rules, now=lambda: self.now, **options) for _ in range(processes)]
        self.operator = self.apps[0].operator
        self.fields: dict[str, str] = {}
        self.body = b""

    def ask(self, peer: str = "192.0.2.1", *, process: int = 0) -> int:
        seen: list[str] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            seen.append(status)
            self.fields = dict(headers)
            return lambda block: None

        body = self.apps[process]({"REMOTE_ADDR": peer, "PATH_INFO": "/"}, start_response)
        self.body = b"".join(body)
        getattr(body, "close", lambda: None)()
        return int(seen[0][:3])


def stores() -> dict[str, Any]:
    return {"swaps": make_store("memory://"), "appends": Appender()}


@pytest.mark.parametrize("kind", ["swaps", "appends"])
def test_a_ban_holds_in_all_processes_within_a_second_and_ends_by_itself(kind: str) -> None:
    site = Site(Rule("api", "1000/hour"), store=stores()[kind])
    assert [site.ask(process=i) for i in (0, 1)] == [200, 200]
    site.operator.ban("192.0.2.1", "2 minutes")
    assert site.ask() == 429, "at once where it was said"
    site.now += 1 * SECOND
    assert [site.ask(process=1), site.ask("192.0.2.2", process=1)] == [429, 200]
    site.now += 118 * SECOND
    assert site.ask(process=1) == 429
    site.now += 1 * SECOND
    assert [site.ask(process=i) for i in (0, 1)] == [200, 200]


def test_who_is_banned_reads_of_abnormal_usage_and_of_no_quota() -> None:
    site = Site(Rule("api", "1000/hour"))
    site.operator.ban("192.0.2.1", "2 minutes")
    assert site.ask() == 429
    assert site.fields["Retry-After"] == "120"
    assert not [name for name in site.fields if name.lower().startswith("ratelimit")]
    problem = json.loads(site.body)
    assert (problem["type"].rpartition("#")[2], problem["violated-policies"]) == (
        "abnormal-usage-detected",
        ["api-ban"],
    )


@pytest.mark.parametrize("headers", ["draft10", "draft10-pk", "draft6", "legacy", "none"])
def test_every_form_of_fields_is_silent_towards_who_is_banned(headers: str) -> None:
    site = Site(Rule("api", "1000/hour"), headers=headers)
    site.operator.ban("192.0.2.1")
    assert site.ask() == 429
    assert sorted(site.fields) == ["Cache-Control", "Content-Length", "Content-Type", "Retry-After", "Vary"]


def test_who_is_banned_is_so_in_a_stack_too() -> None:
    stack = wrap(app, rate_limit={"rate": "1/hour", "now": lambda: NOW}, request_id=True)
    limits = stack.layer("rate_limit")
    limits.operator.ban("192.0.2.1")
    seen: list[str] = []
    for peer in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"):
        body = stack(
            {"REMOTE_ADDR": peer, "PATH_INFO": "/", "REQUEST_METHOD": "GET"},
            lambda status, headers, exc_info=None: seen.append(status[:3]) or (lambda block: None),  # type: ignore[func-returns-value]
        )
        list(body)
        getattr(body, "close", lambda: None)()
    assert seen == ["429", "429", "200", "429"]
    assert limits.limiter.table.get(0, b"\xc0\x00\x02\x01") is None, "he took nothing"


def test_nobody_is_looked_for_when_no_ban_is_left() -> None:
    site = Site(Rule("api", "9/hour"), processes=1)
    limiter = site.apps[0].limiter
    assert limiter.bound is not None
    site.operator.ban("192.0.2.1", "1 minute")
    assert limiter.bound is None
    site.now += 60 * SECOND
    assert site.ask() == 200
    assert limiter.bound is not None


def test_who_is_banned_takes_nothing() -> None:
    site = Site(Rule("api", "1/hour"))
    site.operator.ban("192.0.2.1")
    assert [site.ask() for _ in range(3)] == [429] * 3
    site.operator.unban("192.0.2.1")
    assert site.ask() == 200


def test_a_ban_is_of_one_rule_or_of_all() -> None:
    rules = [Rule("api", "9/hour"), Rule("all", "9/hour", key=everybody)]
    site = Site(*rules)
    site.operator.ban("192.0.2.1", rule="api")
    assert [site.ask(), site.ask("192.0.2.2")] == [429, 200]
    site.operator.ban("*", rule="api")
    assert site.ask("192.0.2.2") == 200, "that rule counts by address"
    site.operator.ban("*", rule="all")
    assert site.ask("192.0.2.2") == 429


def test_an_ipv6_client_is_banned_with_its_network() -> None:
    site = Site(Rule("api", "9/hour"), Rule("site", "9/hour", key=client_network()))
    site.operator.ban("2001:db8:0:1::7")
    assert [site.ask("2001:db8:0:1:ffff::"), site.ask("2001:db8:0:2::")] == [429, 200]
    site.operator.ban("2001:db8::/48")
    assert site.ask("2001:db8:0:2::") == 429


@pytest.mark.parametrize("kind", ["swaps", "appends"])
def test_a_client_is_let_in_again_also_where_a_rule_banned_it(kind: str) -> None:
    site = Site(Rule("api", "1/hour", ban=BAN), store=stores()[kind])
    assert [site.ask() for _ in range(4)] == [200, 429, 429, 429]
    assert site.operator.show("192.0.2.1")[1] == "api-ban 192.0.2.1: banned for 1 hour"
    assert site.operator.unban("192.0.2.1") is True
    assert site.operator.show("192.0.2.1")[1] == "api-ban 192.0.2.1: not banned"
    assert site.operator.unban("192.0.2.1") is False


@pytest.mark.parametrize("kind", ["swaps", "appends"])
def test_what_a_client_used_is_forgotten(kind: str) -> None:
    site = Site(Rule("api", "2/hour; 1/minute"), store=stores()[kind])
    assert [site.ask(), site.ask()] == [200, 429]
    assert site.operator.reset("192.0.2.1", rule="api") is True
    assert site.ask() == 200
    assert site.operator.reset("192.0.2.2") is False


def test_what_is_left_is_shown() -> None:
    site = Site(Rule("api", "10/hour"), Rule("slow", "1/minute fixed", dry_run=True))
    site.ask()
    site.operator.ban("192.0.2.1", "90 s")
    assert site.operator.show("192.0.2.1") == [
        "* 192.0.2.1: banned for 90 seconds",
        "api 192.0.2.1: 10/hour: 9 left, more in 6 minutes",
        "slow 192.0.2.1: 1/minute fixed: 0 left, more in 1 minute",
    ]
    assert site.operator.show("192.0.2.2", rule="slow") == ["slow 192.0.2.2: 1/minute fixed: 1 left"]


def test_a_ban_of_one_rule_ends_with_all_and_one_of_all_is_shown_for_each() -> None:
    site = Site(Rule("api", "9/hour"))
    site.operator.ban("192.0.2.1", rule="api")
    assert site.operator.unban("192.0.2.1") is True
    assert site.ask() == 200
    site.operator.ban("192.0.2.1", "1 minute")
    assert site.operator.show("192.0.2.1", rule="api")[0] == "* 192.0.2.1: banned for 1 minute"


def test_a_ban_takes_the_place_of_the_one_before() -> None:
    site = Site(Rule("api", "10/hour"))
    for length in ("1 day", "1 minute"):
        site.operator.ban("192.0.2.1", length)
    assert site.operator.bans() == [Shut(NOW + 60 * SECOND, "*", b"\xc0\x00\x02\x01")]


def test_a_dry_run_refuses_nobody_who_is_banned() -> None:
    site = Site(Rule("api", "10/hour"), dry_run=True)
    site.operator.ban("192.0.2.1")
    assert site.ask() == 200
    site = Site(Rule("api", "10/hour", dry_run=True))
    site.operator.ban("192.0.2.1")
    assert site.ask() == 200


def test_who_is_banned_is_metered_as_refused() -> None:
    site = Site(Rule("api", "10/hour"), processes=1, meter=True)
    site.operator.ban("192.0.2.1")
    site.ask()
    meter = site.apps[0].meter
    assert meter is not None
    (row,) = meter.usage()
    assert (row.rule, row.key, row.counts[3], row.counts[5]) == ("api", b"\xc0\x00\x02\x01", 1, 1)


def test_what_is_no_request_is_shut_out_too() -> None:
    site = Site(Rule("mail", "10/hour"))
    site.operator.ban(b"ann")
    limiter = site.apps[0].limiter
    assert [limiter.hit_rule("mail", key).ok for key in (b"ann", b"bob")] == [False, True]


def test_a_store_in_trouble_keeps_the_bans_of_before(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Appender()
    site = Site(Rule("api", "10/hour"), store=store)
    site.operator.ban("192.0.2.1")
    site.now += 2 * SECOND
    monkeypatch.setattr(store, "get", _fail)
    monkeypatch.setattr(store, "append_many", _fail)
    assert [site.ask(), site.ask("192.0.2.2")] == [429, 200]
    assert "bans_kept reason=" in caplog.text


def _fail(*arguments: Any) -> Any:
    from wsgistack.errors import StoreDown

    raise StoreDown("down")


def test_what_others_wrote_into_the_store_is_passed_over() -> None:
    store = make_store("memory://")
    store.set("rl:bans", b"junk\n1 2\n\xff\n9999999999999999 * zz\n9999999999999999 * c0000201\n", 60)
    site = Site(Rule("api", "10/hour"), store=store)
    assert [site.ask(), site.ask("192.0.2.2")] == [429, 200]


def test_without_bans_a_store_is_asked_no_more_than_it_was() -> None:
    store = Appender()
    asked: list[str] = []
    get = store.get
    store.get = lambda key: (asked.append(key), get(key))[1]  # type: ignore[method-assign,func-returns-value]
    limited = RateLimit(app, "10/hour", store=store, now=lambda: NOW)
    limited.limiter.hit_from("192.0.2.1")
    assert asked == []
    with pytest.raises(SettingError, match="bans_every is 0"):
        limited.operator.ban("192.0.2.1")


def test_too_many_are_told() -> None:
    site = Site(Rule("api", "10/hour"), processes=1)
    site.operator.ban("192.0.2.1")
    text = "".join(f"{NOW + SECOND} * {number:08x}\n" for number in range(MOST_BANS - 1)).encode()
    site.apps[0].limiter.shut._note.change(lambda before: before + text)
    site.operator.ban("192.0.2.1", "2 hours")  # he is on it
    with pytest.raises(SettingError, match="ban: 1000 are shut out already; deny_file is for more"):
        site.operator.ban("192.0.2.2")


@pytest.mark.parametrize(
    ("who", "key"),
    [
        ("192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
        ("2001:db8:1:2::3", bytes.fromhex("20010db800010002")),
        ("2001:db8:1:2::/64", bytes.fromhex("20010db800010002")),
        ("2001:db8::/32", bytes.fromhex("20010db800")),
        ("192.0.2.0/24", b"\xc0\x00\x02\x00"),
        ("*", b"*"),
        ("-", b"-"),
        ("0f" * 16, b"\x0f" * 16),
    ],
)
def test_who_is_meant(who: str, key: bytes) -> None:
    assert find_key(who, Trust()) == key


@pytest.mark.parametrize("who", ["", "ann", "0f0f", "zz" * 16, "10.0.0.0/9", "10.0.0.1/8", "1.2.3"])
def test_who_is_nobody_is_told(who: str) -> None:
    with pytest.raises(SettingError, match=f"{re.escape(repr(who))} is not an address"):
        find_key(who, Trust())


def test_a_mistake_names_what_is_meant() -> None:
    site = Site(Rule("login", "10/hour"))
    with pytest.raises(SettingError, match=r"rule logn: no rule has this name \(did you mean 'login'\?\)"):
        site.operator.show("192.0.2.1", rule="logn")
    with pytest.raises(RateError, match="minte"):
        site.operator.ban("192.0.2.1", "5 minte")
