"""Which requests a limit is about."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from wsgistack.errors import RateError, SettingError
from wsgistack.ratelimit.rules import Rule, policy_names
from wsgistack.wsgi import EnvironRequest


def request(path: str = "/", method: str = "GET", host: str = "example.org") -> EnvironRequest:
    return EnvironRequest({"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": host})


def is_about(rule: Rule, asked: EnvironRequest) -> bool:
    return rule.is_about is None or rule.is_about(asked)


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        (Rule("r", "1/s"), request("/anything"), True),
        (Rule("r", "1/s", path="/api/*"), request("/api/users"), True),
        (Rule("r", "1/s", path="/api/*"), request("//api//users"), True),
        (Rule("r", "1/s", path="/api/*"), request("/x/../api/users"), True),
        (Rule("r", "1/s", path="/api/*"), request("/apiary"), False),
        (Rule("r", "1/s", path="/login /signup"), request("/signup"), True),
        (Rule("r", "1/s", path=["/a b"]), request("/a b"), True),
        (Rule("r", "1/s", path="/a.c"), request("/abc"), False),
        (Rule("r", "1/s", path="*.pdf"), request("/x/y.pdf"), True),
        (Rule("r", "1/s", path="/x*"), request("/x\ny"), True),
        (Rule("r", "1/s", methods="POST PUT"), request(method="PUT"), True),
        (Rule("r", "1/s", methods="POST"), request(method="post"), True),
        (Rule("r", "1/s", methods="GET"), request(method="HEAD"), True),
        (Rule("r", "1/s", methods="HEAD"), request(method="GET"), False),
        (Rule("r", "1/s", host="*.example.org"), request(host="API.Example.org:8080"), True),
        (Rule("r", "1/s", host="example.org"), request(host="example.org."), True),
        (Rule("r", "1/s", host="example.org"), request(host="example.com"), False),
        (Rule("r", "1/s", exempt=lambda asked: asked.path == "/ok"), request("/ok"), False),
        (Rule("r", "1/s", path="/a", methods="POST"), request("/a"), False),
    ],
)
def test_a_rule_is_about_what_it_says(rule: Rule, asked: EnvironRequest, expected: bool) -> None:
    assert is_about(rule, asked) is expected


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"name": "my rule"}, SettingError, "rule 'my rule': a name has up to 64 letters"),
        ({"name": 'a"b'}, SettingError, "a name has"),
        ({"rate": "5/minte"}, RateError, "did you mean 'minute'?"),
        ({"rate": "unlimited; 5/s"}, RateError, "'unlimited' stands alone"),
        ({"tiers": {"gold": "x"}, "tier": str}, RateError, "met 'x'"),
        ({"tier": lambda asked: "gold"}, SettingError, "tier without tiers"),
        ({"methods": "P(ST"}, SettingError, "methods: 'P(ST' is no method"),
        ({"path": "api/*"}, SettingError, "path: 'api/*' does not begin with '/' or '*'"),
        ({"cost": -1}, SettingError, "cost: -1 is not from 0"),
        ({"charge": {"6xx": 1}}, SettingError, "charge: '6xx': 1 is not a status"),
        ({"charge": {"404": "2"}}, SettingError, "charge: '404': '2' is not a status"),
        ({"status": 200}, SettingError, "status: 200 is no error"),
        ({"tiers": {"gold": "9/s"}}, SettingError, "tiers without tier, which names one of them"),
        ({"tier": lambda request: "gold"}, SettingError, "tier without tiers, which say the rate of each"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(
    arguments: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error) as caught:
        Rule(**{"name": "r", "rate": "1/s", **arguments})
    assert complaint in str(caught.value)


def test_a_bad_rate_names_its_rule() -> None:
    with pytest.raises(RateError) as caught:
        Rule("login", "5/minte")
    assert str(caught.value) == (
        "rule login: '5/minte', column 3: met 'minte', expected a unit of time such as 'minute'"
        " (did you mean 'minute'?)"
    )
    assert (caught.value.column, caught.value.nearest) == (3, "minute")


def test_everything_that_is_wrong_with_a_rule_is_told_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        Rule(
            "my rule",
            5,  # type: ignore[arg-type]  # as a file may have it
            path=["api", "/ok", "b"],
            methods="P(ST GET P/T",
            host=7,  # type: ignore[arg-type]
            key="ip",  # type: ignore[arg-type]
            cost="2",  # type: ignore[arg-type]
            charge={"6xx": 1, "404": True, "5xx": -1},
            tier="plan",  # type: ignore[arg-type]
            tiers={"gold": "9/minte", "tin": "x"},
            exempt=True,  # type: ignore[arg-type]
            status=200,
            ban="often",
            tell="yes",  # type: ignore[arg-type]
            dry_run=1,  # type: ignore[arg-type]
        )
    unit = "expected a unit of time such as 'minute' (did you mean 'minute'?)"
    assert [text.removeprefix("rule my rule: ") for text in caught.value.complaints] == [
        "rule 'my rule': a name has up to 64 letters, digits, '.', '_' and '-', and no space",
        "rate: 5 is not a text such as '100/minute'",
        f"'9/minte', column 3: met 'minte', {unit}",
        "'x', column 1: met 'x', expected an amount or 'unlimited'",
        "ban: 'often' is not like '10 in 1 hour for 15 minutes up to 1 day'",
        "host: 7 is neither a text nor a list",
        "methods: 'P(ST' is no method",
        "methods: 'P/T' is no method",
        "path: 'api' does not begin with '/' or '*'",
        "path: 'b' does not begin with '/' or '*'",
        "cost: '2' is not from 0 to 10**9, nor a function of the request",
        "status: 200 is no error (400 to 599)",
        "charge: '6xx': 1 is not a status such as '404' or '5xx' and a number",
        "charge: '404': True is not a status such as '404' or '5xx' and a number",
        "dry_run: 1 is neither True nor False",
        "tell: 'yes' is neither True nor False",
        "key: 'ip' is no key function such as wsgistack.ratelimit.client_ip",
        "tier: 'plan' is no function of the request",
        "exempt: True is no function of the request",
    ]


@pytest.mark.parametrize("name", ["tiers", "charge", "ban"])
def test_what_is_no_mapping_or_text_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"^rule r: {name}: 7 is not a "):
        Rule("r", "1/s", **{name: 7})  # type: ignore[arg-type]  # as a file may have it


def test_a_status_may_be_one_of_pythons() -> None:
    assert Rule("r", "1/s", status=HTTPStatus.FORBIDDEN).status == 403


def test_an_exact_status_goes_before_its_class() -> None:
    rule = Rule("r", "5/s", charge={"4xx": 2, "404": 7, "5xx": -1})
    assert [rule.extra_units(status) for status in (200, 401, 404, 503)] == [0, 2, 7, -1]


def test_each_limit_of_a_rule_has_a_name() -> None:
    rule = Rule("api", "100/hour; 5/s; 3 concurrent")
    assert policy_names(rule.name, rule.rates) == ["api", "api-2", "api-3"]


def test_a_cost_has_an_end() -> None:
    assert Rule("r", "1/s", cost=10**9).cost == 10**9
    with pytest.raises(SettingError, match="cost: 1000000001 is not from 0"):
        Rule("r", "1/s", cost=10**9 + 1)
