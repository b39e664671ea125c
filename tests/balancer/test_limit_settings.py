"""What a limit's settings take, and what is said of the rest."""

import pytest

from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.errors import SettingError
from wsgistack.ratelimit import rates


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("rate", "100 per minute, 5/s burst 7", "100/minute; 5/second burst 7"),
        ("rate", "3/2 hours sliding", "3/2 hours sliding"),
        ("rate", "unlimited", "unlimited"),
        ("rate", "5 concurrent; 500/hour exact", "5 concurrent; 500/hour exact"),
        ("rate", "5/calendar month Europe/Berlin", "5/calendar month Europe/Berlin"),
        ("status", "Auto", "auto"),
        ("key", "IP", "ip"),
        ("key", "Header:X-Api-Key", "header:x-api-key"),
        ("methods", "get, post post", "GET, POST"),
        ("methods", "none", "none"),
        ("exempt", "10.1.2.3/8 2001:db8::1", "10.0.0.0/8, 2001:db8::1/128"),
        ("exempt", '""', "none"),
        ("ban", "10 in 1 hour for 15 minutes", "10 in hour for 15 minutes up to day"),
        ("ban", "none", "none"),
        ("headers", "NONE", "none"),
        ("path", "/login, /api/* /login", "/login, /api/*"),
        ("status", "503", "503"),
        ("status", "0", "auto"),
        ("methods", "*", "none"),
    ],
)
def test_a_value_is_read_and_shown_so_that_it_is_read_again(name: str, text: str, shown: str) -> None:
    value = LIMIT_SETTINGS.parse(name, text)
    assert LIMIT_SETTINGS.show(name, value) == shown
    assert LIMIT_SETTINGS.parse(name, shown) == value


def test_an_algorithm_without_a_kernel_is_refused_with_those_that_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "ALGORITHMS", (*rates.ALGORITHMS, "hourglass"))
    with pytest.raises(SettingError) as refused:
        LIMIT_SETTINGS.parse("rate", "5/minute hourglass")
    told = "the balancer counts by gcra, fixed, sliding, calendar, exact, concurrent alone"
    assert str(refused.value) == f"rate: '5/minute hourglass': {told}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rate", "1/second; 2/second; 3/second; 4/second"),
        ("rate", "10000 concurrent"),
        ("rate", "1/year burst 100"),
        ("ban", "500 in hour for 15 minutes up to day"),
        ("exempt", ", ".join(f"10.0.0.{n}/32" for n in range(64))),
        ("path", ", ".join(f"/{n}" for n in range(8))),
        ("path", "/" + "x" * 254),
        ("key", "header:" + "x" * 63),
        ("status", "400"),
        ("status", "599"),
        ("cost", "1000000"),
        ("ipv4_prefix", "32"),
        ("ipv6_prefix", "128"),
        ("critical", ", ".join(f"/{n}" for n in range(8))),
    ],
)
def test_the_most_that_is_taken_is_taken(name: str, text: str) -> None:
    assert LIMIT_SETTINGS.show(name, LIMIT_SETTINGS.parse(name, text)) == text


def test_a_limit_that_is_told_nothing_limits_nobody_by_itself() -> None:
    shown = {name: LIMIT_SETTINGS.show(name, value) for name, value in LIMIT_SETTINGS.defaults().items()}
    assert shown == {
        "rate": "unlimited", "key": "ip", "status": "auto", "dry_run": "off", "exempt": "none", "path": "none",
        "methods": "none", "critical": "none", "sheddable": "none", "shares": "0.8, 0.5", "cost": "1", "ban": "none",
        "count_refused": "off", "meter": "on", "headers": "draft10", "ipv6_prefix": "64", "ipv4_prefix": "32",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("rate", "100/minit", "column 5: met 'minit', expected a unit of time such as 'minute' (did you mean 'minute'?)"),
        ("rate", "501/minute exact", "rate: '501/minute exact': the balancer keeps at most 500 stamps; 'sliding' keeps none"),
        ("rate", "10001 concurrent", "rate: '10001 concurrent': at most 10000 at once can be counted"),
        ("rate", "5 mb/minute", "rate: '5 mb/minute': the balancer counts requests, not bytes"),
        ("rate", "5/s delay 2", "rate: '5/second delay 2': the balancer does not space a burst; initial_delay is its own way"),
        ("rate", "5/second; unlimited", "'unlimited' stands alone"),
        ("rate", "1/s;2/s;3/s;4/s;5/s", "rate: 5 rates; at most 4 fit"),
        ("rate", "1/year burst 101", "its burst takes more than 100 years to come back"),
        ("key", "adress", "key: 'adress' is not one of ip, service, global or header:NAME"),
        ("key", "globl", "(did you mean 'global'?)"),
        ("key", "header:X_Api_Key", "key: 'header:X_Api_Key' is not one of"),
        ("methods", "GET, PSOT", "methods: 'PSOT' is not one of GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH (did you mean 'POST'?)"),
        ("exempt", "10.0.0.0/99", "exempt: '10.0.0.0/99' is not a network such as 10.0.0.0/8 or 2001:db8::/32"),
        ("exempt", " ".join(f"10.0.0.{n}" for n in range(65)), "exempt: 65 networks; at most 64 fit"),
        ("ban", "often", "ban: 'often' is not like '10 in 1 hour for 15 minutes up to 1 day'"),
        ("ban", "501 in 1 hour for 1 hour", "ban: 501 refusals; at most 500 are counted"),
        ("path", "login", "path: 'login' is not a glob of a path, such as /login or /api/*"),
        ("path", "/a?b", "path: '/a?b' is not a glob of a path"),
        ("path", " ".join(f"/{n}" for n in range(9)), "path: 9 globs; at most 8 fit"),
        ("status", "200", "status: '200' is not a number from 400 to 599, or auto"),
        ("status", "399", "status: '399' is not a number from 400 to 599, or auto"),
        ("status", "600", "status: '600' is not a number from 400 to 599, or auto"),
        ("key", "header:" + "x" * 64, "is not one of ip, service, global or header:NAME"),
        ("path", "/" + "x" * 255, "is not a glob of a path"),
        ("cost", "1000001", "cost: 1000001 is above 1000000"),
        ("ipv4_prefix", "33", "ipv4_prefix: 33 is above 32"),
        ("ipv4_prefix", "0", "ipv4_prefix: 0 is below 1"),
        ("ipv6_prefix", "0", "ipv6_prefix: 0 is below 1"),
        ("cost", "0", "cost: 0 is below 1"),
        ("ipv6_prefix", "129", "ipv6_prefix: 129 is above 128"),
        ("headers", "draft6", "headers: 'draft6' is not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_was_expected(name: str, text: str, complaint: str) -> None:
    with pytest.raises(SettingError) as error:
        LIMIT_SETTINGS.parse(name, text)
    assert complaint in str(error.value)
