"""Rules in a file, which an operator edits while the site runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsgistack.complaints import complaints_of
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.ratelimit import RateLimit, Rule
from wsgistack.ratelimit.rules_file import NAMES, RulesFile, parse_rules
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


def rule(**items: str) -> str:
    """The text of a rule: values as TOML has them."""
    return "[[rule]]\n" + "".join(f"{name} = {value}\n" for name, value in items.items())


class Site:
    """A site whose rules are the file's; two seconds pass between two `write`s."""

    def __init__(self, folder: Path, text: str, **options: Any) -> None:
        self.path = folder / "rules.toml"
        self.now = NOW
        self.seconds = 0.0
        self.path.write_text(text)
        self.app = RateLimit(app, rules_file=self.path, now=lambda: self.now, **options)
        self.file = self.app.rules_file = RulesFile(self.path, monotonic=lambda: self.seconds)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.seconds += 2
        os.utime(self.path, (self.seconds, self.seconds))

    def begin(self, peer: str = "192.0.2.1", **environ: Any) -> tuple[int, Any]:
        seen: list[str] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            seen.append(status)
            return lambda block: None

        body = self.app({"REMOTE_ADDR": peer, "PATH_INFO": "/", **environ}, start_response)
        return int(seen[0][:3]), body

    def ask(self, peer: str = "192.0.2.1", **environ: Any) -> int:
        status, body = self.begin(peer, **environ)
        getattr(body, "close", lambda: None)()
        return status


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Site]:
    """A function that makes a site of a text."""
    return lambda text, **options: Site(tmp_path, text, **options)


API = rule(name='"api"', rate='"3/hour"')


def test_a_file_that_has_changed_holds_and_counts_are_kept(make_site: Callable[..., Site]) -> None:
    site = make_site(API)
    assert [site.ask(), site.ask()] == [200, 200]
    site.write(API + rule(name='"login"', rate='"1/hour"', path='"/login"'))
    assert [site.ask(PATH_INFO="/login"), site.ask(), site.ask(PATH_INFO="/login")] == [200, 429, 429]
    site.write(API.replace("3/hour", "4/hour"))
    assert [site.ask() for _ in range(5)] == [200] * 4 + [429], "another rate begins anew"


@pytest.mark.parametrize("kind", ["process", "memory"])
@pytest.mark.parametrize(
    "rate", ["2/hour", "2/hour fixed", "2/hour sliding", "2/hour exact", "2/calendar year"]
)
def test_what_is_the_same_goes_on_wherever_states_are(
    kind: str, rate: str, make_site: Callable[..., Site]
) -> None:
    text = rule(name='"api"', rate=f'"{rate}"')
    site = make_site(text, store=make_store("memory://") if kind == "memory" else "process")
    assert [site.ask() for _ in range(3)] == [200, 200, 429]
    site.write(rule(name='"first"', rate='"9/hour"') + text)
    assert site.ask() == 429
    assert len(site.app.limiter.rules) == 2


@pytest.mark.parametrize("kind", ["process", "memory"])
def test_a_place_is_given_back_where_other_rules_hold_meanwhile(
    kind: str, make_site: Callable[..., Site]
) -> None:
    text = rule(name='"slots"', rate='"1 concurrent"')
    site = make_site(text, store=make_store("memory://") if kind == "memory" else "process")
    status, body = site.begin()
    site.write(rule(name='"first"', rate='"9/hour"') + text)
    assert (status, site.ask()) == (200, 503)
    body.close()
    assert site.ask() == 200


def test_a_rule_that_becomes_simple_or_ceases_to_be_is_decided_right(make_site: Callable[..., Site]) -> None:
    site = make_site(rule(name='"slots"', rate='"1 concurrent"'))
    _status, body = site.begin()
    site.write(rule(name='"all"', rate='"9/hour"'))
    assert site.ask() == 200
    body.close()
    site.write(rule(name='"slots"', rate='"1 concurrent"', path='"/x"') + rule(name='"all"', rate='"9/hour"'))
    assert [site.ask(), site.ask(PATH_INFO="/x"), site.ask(PATH_INFO="/x")] == [200, 200, 200]


def test_it_is_looked_at_once_a_second_at_most(make_site: Callable[..., Site]) -> None:
    site = make_site(API)
    site.path.write_text(API.replace("3", "1"))
    site.seconds = 0.9
    assert [site.ask() for _ in range(3)] == [200, 200, 200]
    site.seconds = 1.0
    assert [site.ask() for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[rule]\n", "Expected"),
        (API + rule(name='"b"', rate='"5/minte"'), "did you mean 'minute'?"),
        (API + API, "rule api: two rules have this name"),
        (rule(name='"fixed"', rate='"1/s"'), "rule fixed: two rules have this name"),
        (rule(name='"w"', rate='"10/s burst 20 delay 5"'), "most_waiting"),
        ("", "no '[[rule]]' is there"),
    ],
)
def test_a_mistake_keeps_all_rules_of_before_and_is_told_once(
    text: str, complaint: str, make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(API, rules=[Rule("fixed", "1000/s")])
    site.write(text)
    with caplog.at_level(logging.INFO):
        assert [site.ask() for _ in range(4)] == [200, 200, 200, 429]
        site.seconds += 2
        assert site.ask() == 429
    assert complaint in site.file.trouble
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == ["rules_kept"]
    site.write(API)
    assert (site.ask(), site.file.trouble) == (429, "")


def test_a_file_that_is_gone_keeps_its_rules(make_site: Callable[..., Site]) -> None:
    site = make_site(API)
    site.path.unlink()
    site.seconds += 2
    assert site.ask() == 200
    assert site.file.trouble == f"rules_file: {site.path}: No such file or directory"


def test_who_was_reading_in_the_parent_of_a_fork_is_stood_in_for(make_site: Callable[..., Site]) -> None:
    site = make_site(API)
    site.write(API.replace("3/hour", "1/hour"))
    site.app._placing.acquire()
    assert site.file.look() is not None, "another thread was as far as this"
    site.app.forked()
    assert [site.ask(), site.ask()] == [200, 429]


def test_the_line_of_a_bad_rule_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"^line 4: rule b: no 'rate'"):
        parse_rules(API + rule(name='"b"'))


def test_tiers_that_read_alike_are_counted_apart_by_other_rules_too(make_site: Callable[..., Site]) -> None:
    text = rule(name='"api"', rate='"1/hour"', tier='"environ:plan"', tiers='{gold = "1/hour"}')
    site = make_site(text)
    assert [site.ask(), site.ask(plan="gold")] == [200, 200]
    site.write(text + rule(name='"first"', rate='"9/hour"', path='"/x"'))
    assert [site.ask(), site.ask(plan="gold")] == [429, 429]
    assert [site.ask("192.0.2.2"), site.ask("192.0.2.2", plan="gold")] == [200, 200]


def test_bans_of_operators_outlive_other_rules(make_site: Callable[..., Site]) -> None:
    site = make_site(API)
    site.app.operator.ban("192.0.2.1")
    site.write(API + rule(name='"all"', rate='"9/hour"'))
    assert [site.ask(), site.ask("192.0.2.2")] == [429, 200]
    assert site.app.operator.unban("192.0.2.1") is True
    assert site.ask() == 200


def test_workers_share_limits_whose_rules_change(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(API)
    other = RateLimit(app, rules_file=site.path, now=lambda: site.now)
    other._place = site.app._place
    shared: dict[str, Any] = {"wsgi.multiprocess": True}
    assert [site.ask(**shared), site.ask(**shared)] == [200, 200]
    assert other.limiter.table is not site.app.limiter.table
    site.write(rule(name='"first"', rate='"9/hour"') + API)
    assert site.ask(**shared) == 200
    body = other({"REMOTE_ADDR": "192.0.2.1", "PATH_INFO": "/", **shared}, lambda *_: lambda block: None)
    assert b"quota-exceeded" in b"".join(body), "it has seen nothing but the file of before"


def test_all_that_a_rule_may_have_is_read() -> None:
    text = rule(
        name='"api"', rate='"10/hour"', path='["/a*", "/b*"]', methods='"GET"', host='"*.example.org"',
        key='"header:X-Api-Key"', cost="2", charge='{"5xx" = -1}', tier='"environ:plan"',
        tiers='{gold = "99/hour"}', status="403", count_refused="true",
        ban='"10 in 1 hour for 1 hour"', dry_run="false", tell="false",
    )  # fmt: skip
    (found,) = parse_rules(text)
    assert (found.name, found.rate, found.path, found.cost) == ("api", "10/hour", ["/a*", "/b*"], 2)
    assert (found.charge, found.tiers, found.status) == ({"5xx": -1}, {"gold": "99/hour"}, 403)
    assert (found.count_refused, found.dry_run, found.tell) == (True, False, False)
    assert found.tier is not None
    assert found.tier(EnvironRequest({"plan": "gold"})) == "gold"
    assert found.tier(EnvironRequest({})) is None


@pytest.mark.parametrize("key", ["ip", "everybody", "network", "environ:REMOTE_USER"])
def test_who_shares_a_limit_is_a_word(key: str) -> None:
    (found,) = parse_rules(rule(name='"api"', rate='"1/s"', key=f'"{key}"'))
    assert callable(found.key)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            rule(name='"a"', rate='"1/s"', pth='"/x"'),
            r"rule a: 'pth' is not one of .* \(did you mean 'path'\?\)",
        ),
        (rule(name='"a"', rate="5"), "rule a: rate: 5 is not a text such as '100/minute'"),
        (rule(name='"a"', rate='"1/s"', cost="true"), "rule a: cost: True is not from 0"),
        (rule(name='"a"', rate='"1/s"', path="7"), "rule a: path: 7 is neither a text nor a list"),
        (rule(name='"a"'), "rule a: no 'rate'"),
        (rule(rate='"1/s"'), "rule 1: no 'name'"),
        (
            rule(name='"a"', rate='"1/s"', key='"ipp"'),
            r"rule a: key: 'ipp' is not one of .*did you mean 'ip'\?",
        ),
        (rule(name='"a"', rate='"1/s"', key='"header:"'), "rule a: key: 'header:' is not one of"),
        (
            rule(name='"a"', rate='"1/s"', tier='"plan"', tiers='{x = "1/s"}'),
            "rule a: tier: 'plan' is not like",
        ),
        (
            rule(name='"a"', rate='"1/s"', tier='"environ:HTTP_X_PLAN"', tiers='{x = "1/s"}'),
            "rule a: tier: HTTP_X_PLAN is written by the client",
        ),
        (
            rule(name='"a"', rate='"1/s"', key='"environ:HTTP_X_KEY"'),
            "rule a: key: environ_key: HTTP_X_KEY is written by the client",
        ),
        (rule(name='"a"', rate='"1/s"', key="7"), "rule a: key: 7 is no key function"),
        (rule(name='"a"', rate='"1/s"', key='"haeder:X"'), r"did you mean 'header'\?"),
        ("rules = 1\n", r"'rules' is not '\[\[rule\]\]'"),
        ("rule = 1\n", "'rule' is not a list of tables"),
        ("rule = [1]\n", "'rule' is not a list of tables"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse_rules(text)


def test_everything_that_is_wrong_with_a_file_is_told_at_once() -> None:
    text = (
        rule(nme='"a"', rat='"1/s"', key='"ipp"', cost="-1")
        + rule(name='"b"', rate='"1/minte"', ban='"often"', methods='"G{T"')
        + "rules = 1\n"
    )
    with pytest.raises(SettingError) as caught:
        parse_rules(text)
    told = [complaint.replace(", ".join(NAMES), "…") for complaint in caught.value.complaints]
    assert told == [
        "line 1: rule 1: 'nme' is not one of … (did you mean 'name'?)",
        "line 1: rule 1: 'rat' is not one of … (did you mean 'rate'?)",
        "line 1: rule 1: key: 'ipp' is not one of ip, everybody, network, header:NAME, environ:NAME (did you mean 'ip'?)",
        "line 1: rule 1: cost: -1 is not from 0 to 10**9, nor a function of the request",
        "line 6: rule b: 'rules' is not one of …",
        "line 6: rule b: '1/minte', column 3: met 'minte', expected a unit of time such as 'minute' (did you mean 'minute'?)",
        "line 6: rule b: ban: 'often' is not like '10 in 1 hour for 15 minutes up to 1 day'",
        "line 6: rule b: methods: 'G{T' is no method",
    ]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"x" * (1024 * 1024 + 1), "more than 1048576 bytes"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b"", r"no '\[\[rule\]\]' is there"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_is_bad_at_first_is_refused(data: bytes | None, complaint: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "rules").write_bytes(data)
    with pytest.raises(SettingError, match=f"rules_file: .*rules: {complaint}"):
        RulesFile(tmp_path / "rules")
    with pytest.raises(SettingError, match="rules_file: "):
        RulesFile("/nul\0")


def test_names_that_are_there_twice_and_delays_are_told_with_all_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    slow = rule(name='"slow"', rate='"10/s burst 20 delay 5"')
    path.write_text(API + API + slow + rule(name='"odd"', rate='"10 per parsec"'))
    with pytest.raises(ConfigurationError) as caught:
        RateLimit(lambda environ, start_response: [], rules_file=path, jitter=7)
    told = "\n".join(complaints_of(caught.value))
    parts = ("rule api: two rules have this name", "rule slow: '10/second", "rule odd: ", "jitter: 7 is not")
    assert [part for part in parts if part not in told] == []
