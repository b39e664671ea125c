"""The settings about health: what they mean, and what is refused with what was expected."""

import pytest

from wsgistack.balancer.breaker import BreakerRules
from wsgistack.balancer.health import Rules
from wsgistack.balancer.health_rules import HealthRules, make_check, make_rules
from wsgistack.balancer.health_settings import refuse_contradictions
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.errors import SettingError
from wsgistack.settings import Value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "health_check",
            "htp",
            "Unknown health check 'htp' (did you mean 'http'?)",
        ),
        (
            "health_check",
            "magic",
            "Unknown health check 'magic' (one of command, http, none, tcp)",
        ),
        (
            "health_method",
            "GE T",
            "Expecting an HTTP method for parameter 'health_method', such as GET",
        ),
        (
            "health_command",
            "curl -f",
            "health_command: 'curl -f' does not begin with the absolute path of a program",
        ),
        (
            "health_command",
            "/bin/sh 'oh",
            "health_command: No closing quotation in '/bin/sh 'oh'",
        ),
        ("health_send", "\\q", "health_send: '\\q' is none of \\r \\n \\t \\0 \\s \\\\ \\xHH"),
        (
            "health_expect",
            "~(",
            "health_expect: '(' is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        ("health_expect_bytes", "0", "health_expect_bytes: 0 is below 1"),
        ("health_expect_bytes", "2m", "health_expect_bytes: 2m is above 1m"),
        ("health_interval", "10ms", "health_interval: 10ms is below 50ms"),
        ("health_jitter", "51", "health_jitter: 51 is above 50"),
        (
            "eject_latency_factor",
            "fast",
            "Expecting a number for parameter 'eject_latency_factor', such as 2 or 1.5",
        ),
        ("eject_rate_nodes", "1", "eject_rate_nodes: 1 is below 2"),
        ("eject_time", "10ms", "eject_time: 10ms is below 100ms"),
        ("eject_most_percent", "101", "eject_most_percent: 101 is above 100"),
        ("panic_threshold", "101", "panic_threshold: 101 is above 100"),
        ("breaker_window", "2m", "breaker_window: 120 is above 60"),
        ("breaker_share", "0", "breaker_share: 0 is below 1"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as refused:
        POOL_SETTINGS.parse(name, text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("health_check", "Command", "command"),
        ("health_method", "PROPFIND", "PROPFIND"),
        ("health_command", "/usr/lib/check -t 5", "/usr/lib/check -t 5"),
        ("health_command", '""', ""),
        ("health_send", "PING\\r\\n", "PING\\r\\n"),
        ("health_expect", "~^[0-9]+$", "~^[0-9]+$"),
        ("eject_latency_factor", "2.5", 2.5),
    ],
)
def test_a_text_reads_back(name: str, text: str, value: Value) -> None:
    assert POOL_SETTINGS.parse(name, text) == value
    assert POOL_SETTINGS.parse(name, POOL_SETTINGS.show(name, value)) == value


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"health_check": "command"}, "command needs a program: set health_command first"),
        (
            {"health_check": "http", "health_method": "HEAD", "health_expect": "ok"},
            "the answer to HEAD has no body",
        ),
    ],
)
def test_what_cannot_hold_together_is_refused(chosen: dict[str, Value], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        refuse_contradictions(POOL_SETTINGS.defaults() | chosen)


def test_the_defaults_hold_together() -> None:
    refuse_contradictions(POOL_SETTINGS.defaults())


def test_the_defaults_mean_these_rules() -> None:
    assert make_rules(POOL_SETTINGS.defaults()) == HealthRules(
        node=Rules(fall=3, rise=2, eject_time_s=1.0, eject_time_most_s=60.0, slow_start_s=5.0),
        breaker=BreakerRules(percent=0, requests=50, open_s=5.0, share=10),
        breaker_window_s=10.0,
        eject_failures=5,
        eject_most_percent=50,
        rate_deviations=3.0,
        rate_nodes=3,
        rate_requests=50,
        latency_factor=4.0,
        latency_least_s=0.005,
        panic_percent=30,
        rate_window_s=10.0,
    )


def test_a_check_carries_the_settings_of_checks_alone() -> None:
    check = make_check("mypool", "10.0.0.1:80", POOL_SETTINGS.defaults())
    assert check is not None
    assert (check.kind, check.pool, check.node) == ("tcp", "mypool", "10.0.0.1:80")
    assert all(name.startswith("health_") for name in check.settings)


def test_there_is_no_check_where_none_is_wanted() -> None:
    assert make_check("mypool", "10.0.0.1:80", POOL_SETTINGS.defaults() | {"health_check": "none"}) is None
