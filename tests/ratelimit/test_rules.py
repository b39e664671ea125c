"""Which requests a limit is about."""

from __future__ import annotations

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
        ({"tiers": {"gold": "x"}}, RateError, "met 'x'"),
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
    assert caught.value.__notes__ == ["in the rule 'login'"]


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
