"""What files for Perlbal say of its Throttle plugin."""

import ipaddress
from typing import Any

import pytest

from tests.balancer.language.commands.test_limits import LimitedStage
from tests.balancer.stage import Stage

CONFIGURED = (  # the manual's example, but for what is shared in memcached
    "LOAD Throttle",
    "USE mysite",
    "SET initial_delay = 10",
    "SET max_delay = 60",
    "SET throttle_threshold_seconds = 3",
    "SET max_concurrent = 2",
    "SET ban_threshold = 4",
    "SET ban_expiration = 180",
    "SET path_regex = ^/webapp/",
    "SET method_regex = ^GET$",
    "SET log_events = ban,unban,throttled,banned",
    "SET log_only = false",
    "SET instance_name = mywebapp",
    "SET plugins = Throttle",
)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.make_site()
    return stage


def told(stage: Stage) -> dict[str, Any] | None:
    """Return what workers are told of Throttle."""
    found: dict[str, Any] | None = stage.control.snapshot.services["mysite"].as_wire()["throttle"]
    return found


def test_the_manuals_example_is_what_workers_are_told(stage: Stage) -> None:
    stage.do(*CONFIGURED)
    wire = told(stage)
    assert wire is not None
    limit = wire.pop("limit")
    assert isinstance(limit, dict)
    assert [rate["code"] for rate in limit["rates"]] == [403, 503]
    assert limit["rates"][1]["numbers"]["amount"] == 2
    assert wire == {
        "threshold_us": 3_000_000,
        "initial_us": 10_000_000,
        "longest_us": 60_000_000,
        "ban_us": 180_000_000,
        "ban_after": 4,
        "events": ["ban", "unban", "throttled", "banned"],
        "path": "^/webapp/",
        "method": "^GET$",
    }


def test_nobody_is_throttled_without_the_plugin(stage: Stage) -> None:
    stage.do("SET mysite.initial_delay = 1")
    assert told(stage) is None
    stage.do("SET mysite.plugins = throttle")
    assert told(stage) is not None
    stage.do("SET mysite.plugins = none")
    assert told(stage) is None


def test_services_of_one_instance_name_share_their_states(stage: Stage) -> None:
    def states() -> object:
        wire = told(stage)
        assert wire is not None
        limit = wire["limit"]
        assert isinstance(limit, dict)
        return limit["rates"][0]["id"]

    stage.do("SET mysite.plugins = throttle")
    own = states()
    stage.do("SET mysite.max_concurrent = 5")
    assert states() == own
    stage.do("SET mysite.instance_name = ours")
    assert states() != own


def test_lists_are_read_again_at_once(stage: Stage) -> None:
    stage.files.texts["/allow"] = "10.0.0.1\n"
    stage.do("SET mysite.whitelist_file = /allow", "USE mysite")
    stage.files.texts["/allow"] = "10.0.0.0/8\n"
    stage.do("throttle reload whitelist", "throttle reload config")
    assert ipaddress.ip_address("10.9.8.7") in stage.control.snapshot.lists["/allow"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("LOAD Vhosts", "load: there is no plugin 'Vhosts', Throttle is built in"),
        ("SET mysite.plugins = vhosts", "plugins: 'vhosts' is not built in (one of none, throttle)"),
        ("throttle stop", "usage: throttle reload <config|whitelist|blacklist>"),
        ("SET mysite.max_concurrent = 0", "max_concurrent: 0 is below 1"),
        ("SET mysite.max_delay = 86401", "max_delay: 86401 is above 86400"),
        ("SET mysite.memcached_servers = 10.0.0.1:11211", "'memcached_servers' is not available yet"),
        ("SET mysite.log_events = bans", "log_events: 'bans' is not one of ban, unban"),
        ("SET mysite.path_regex = ^/(?:a|b)", "'(?' is Perl's alone"),
        ("SET mysite.path_regex = ^/a+?", "'+?' is Perl's alone"),
        (r"SET mysite.path_regex = ^/a\b", r"'\b' is Perl's alone; \d, \w and \s are known"),
        ("SET mysite.path_regex = ^/(a", "path_regex: '^/(a': missing ), unterminated subpattern"),
    ],
)
def test_what_is_refused_says_why(stage: Stage, line: str, error: str) -> None:
    (said,) = stage.say(line)
    assert said.startswith("ERROR: ")
    assert error in said


def test_without_a_service_at_hand_nothing_is_read() -> None:
    (said,) = Stage().say("throttle reload config")
    assert said == "ERROR: throttle: no service is at hand, name one by CREATE SERVICE or USE before"


def test_a_service_without_a_list_has_none_to_read(stage: Stage) -> None:
    stage.do("USE mysite")
    assert stage.say("throttle reload blacklist") == ["ERROR: service 'mysite' has no deny_file"]


ADDRESS = b"a" + bytes(10) + b"\xff\xff" + bytes([10, 9, 8, 7])


@pytest.mark.parametrize(
    ("settings", "words", "told"),
    [
        ([], (0, 0), ["throttle: passes at once"]),
        ([], (1, 0), ["throttle: held for 600 s"]),
        ([], (1, 1), ["throttle: held for 1200 s"]),
        ([], (1, -1), ["throttle: banned, ends in 3600 s", "answer 403: Throttle shuts it out"]),
        (["SET mysite.log_only = on"], (1, -1), ["throttle: banned, ends in 3600 s"]),
        (
            ["SET mysite.ban_threshold = 1"],
            (1, 0),
            ["throttle: this request too many, it bans the client", "answer 403: Throttle shuts it out"],
        ),
        (["SET mysite.path_regex = ^/other"], (1, 0), []),
        (["SET mysite.method_regex = ^POST$"], (1, 0), []),
    ],
)
def test_explain_says_what_throttle_would_do(
    settings: list[str], words: tuple[int, int], told: list[str]
) -> None:
    stage = LimitedStage()
    stage.make_site()
    stage.do("SET mysite.plugins = throttle", "SET mysite.throttle_threshold_seconds = 3600", *settings)
    stage.do("SET mysite.initial_delay = 600", "SET mysite.max_delay = 6000")  # nothing ends meanwhile
    wire = stage.control.snapshot.services["mysite"].as_wire()["throttle"]
    known, violations = words
    now = stage.ledger.now()
    rate = wire["limit"]["rates"][0]["id"]
    stage.ledger.put(ADDRESS, rate, (now + 3_600_000_000 if known else 0, now, violations))
    lines = stage.say("explain mysite GET / from 10.9.8.7")
    assert [line for line in lines if "hrottle" in line] == told
    stage.board.close()
