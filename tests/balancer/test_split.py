"""Splits: what SET may say, and by what a visitor is known."""

from ipaddress import ip_address
from typing import Any

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.split import bucket_number, find_cell, find_visitor, parse_rule, take_cell
from wsgistack.errors import SettingError
from wsgistack.splits import make_key, mark_of

KEY = make_key("0123456789abcdef")
OURS = f"w=abc.{mark_of(KEY, 'abc')}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("beta 5% cookie", "beta 5% cookie"),
        ("beta 5%", "beta 5% cookie"),
        ("BETA  5.5 %   Cookie", "beta 5.5% cookie"),
        ("beta 5%, gamma 10% ip", "beta 5%, gamma 10% ip"),
        ("v2: beta 0.125% header X-User", "v2: beta 0.125% header x-user"),
        ("beta: beta 5% cookie uid", "beta 5% cookie uid"),
        ("beta 0% cookie", "beta 0% cookie"),
        ("beta 100% cookie", "beta 100% cookie"),
        ("beta 5% UP TO 20%, Gamma 7%", "beta 5% up to 20%, gamma 7% cookie"),
        ("beta 20% up  to 20 % ip", "beta 20% ip"),
        ("v2: beta 0% up to 0.5% header X-User", "v2: beta 0% up to 0.5% header x-user"),
    ],
)
def test_a_split_is_read_and_written(text: str, shown: str) -> None:
    assert str(parse_rule(text)) == shown
    assert str(parse_rule(shown)) == shown


@pytest.mark.parametrize("text", ["none", "NONE", "off", '""'])
def test_a_split_can_be_none(text: str) -> None:
    assert parse_rule(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("beta", "split: 'beta' has no share, such as 'beta 5% cookie'"),
        ("beta 5 cookie", "split: 'beta 5 cookie' has no share, such as 'beta 5% cookie'"),
        ("beta 105% cookie", "split: 'beta 105%' takes more than all, which is 100%"),
        ("beta 60%, gamma 50%", "split 'beta': its buckets take 110 %, more than all"),
        ("beta 5%, Beta 5%", "split 'beta': the bucket 'beta' stands there twice"),
        ("beta 5% up to 60%, gamma 41%", "split 'beta': its buckets take 101 %, more than all"),
        ("beta 30% up to 20%", "split: 'beta 30% up to 20%' has grown past the 20% that it may"),
        ("beta 5% up to 101%", "split: 'beta 5% up to 101%' takes more than all, which is 100%"),
        ("beta 5% to 10%", "split: 'beta 5% to 10%' is not a bucket and its share, such as 'beta 5%'"),
        ("beta -5%", "split: 'beta -5%' is not a bucket and its share, such as 'beta 5%'"),
        (
            "beta 5% cooky",
            "split: 'cooky' is not one of cookie, ip, header NAME or cookie NAME (did you mean 'cookie'?)",
        ),
        ("beta 5% moon", "split: 'moon' is not one of cookie, ip, header NAME or cookie NAME"),
        ("beta 5% ip x", "split: 'ip x': an address has no name"),
        ("beta 5% header", "split: 'header' of what name? such as 'header X-User'"),
        ("beta 5% header a b", "split: 'a b' is not the name of a header"),
        (", ".join(f"p{n} 1%" for n in range(9)), "split: 9 buckets; at most 8 fit"),
    ],
)
def test_what_can_not_be_meant_is_refused(text: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_rule(text)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("text", "fields", "known"),
    [
        ("b 5%", {"cookie": f"a=b; {OURS}"}, "abc"),
        ("b 5%", {"cookie": OURS + "0"}, ""),
        ("b 5%", {"cookie": OURS.replace("abc", "abd")}, ""),
        ("b 5%", {}, ""),
        ("b 5% ip", {}, "by 192.0.2.7"),
        ("b 5% header x-user", {"x-user": "ann"}, "by ann"),
        ("b 5% header x-user", {"x-user": "", "cookie": OURS}, "abc"),
        ("b 5% cookie uid", {"cookie": f"uid=7; {OURS}"}, "by 7"),
        ("b 5% cookie uid", {"cookie": OURS}, "abc"),
    ],
)
def test_a_visitor_is_known_by_what_the_split_says_else_by_our_cookie(
    text: str, fields: dict[str, str], known: str
) -> None:
    rule = parse_rule(text)
    assert rule is not None
    found = find_visitor(rule, KEY, "w", address=ip_address("192.0.2.7"), field=fields.get)
    assert found.text == known


def test_of_ipv6_a_network_is_one_visitor() -> None:
    rule = parse_rule("b 5% ip")
    assert rule is not None
    found = find_visitor(rule, KEY, "w", address=ip_address("2001:db8:1:2:3:4:5:6"), field=lambda name: None)
    assert found.text == "by 2001:db8:1:2::"


def test_a_bucket_keeps_its_counter_and_the_last_one_is_shared() -> None:
    cells = {"-": 0}
    for name in ["beta", "gamma", "beta", *(f"p{n}" for n in range(40))]:
        take_cell(cells, name)
    assert (cells["beta"], cells["gamma"], cells["p0"], cells["others"]) == (1, 2, 3, 31)
    assert (find_cell(cells, "beta"), find_cell(cells, "p39")) == (1, 31)
    assert len(set(cells.values())) == len(cells) == 32


def test_processes_know_a_bucket_by_24_bits_of_its_name() -> None:
    assert bucket_number("beta") == 9408772
    assert all(0 < bucket_number(f"p{n}") < 2**24 for n in range(1000))


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.make_site()
    stage.do("CREATE POOL beta", "POOL ADD beta 127.0.0.1:8003", "CREATE POOL gamma")
    return stage


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SET mysite.split = beat 5% cookie", "Pool 'beat' not found (did you mean 'beta'?)"),
        ("SET mysite.split = mypool 5%", "split: 'mypool' is the pool that everybody else goes to"),
        ("SET admin.split = beta 5%", "The 'split' option can only be set on a 'reverse_proxy' service"),
        ("SET mysite.splitt = beta 5%", "Unknown service parameter 'splitt' (did you mean 'split'?)"),
        ("SET mysite.split_secret = short", "split_secret: 5 characters; it takes 16 that nobody can guess"),
        ("DEFAULT split = beta 5%", "'split' has no default"),
        (
            "SET mysite.split_cookie = wsgistack_node",
            "split_cookie and sticky_cookie: both are 'wsgistack_node', and they say different things",
        ),
    ],
)
def test_what_is_wrong_is_told(stage: Stage, line: str, told: str) -> None:
    assert stage.say(line) == [f"ERROR: {told}"]
    assert stage.control.service("mysite").split is None


def test_a_pool_of_a_split_is_in_use(stage: Stage) -> None:
    stage.do("SET mysite.split = beta 5%")
    assert stage.say("DELETE POOL beta") == ["ERROR: pool 'beta' is used by service 'mysite'"]
    stage.do("SET mysite.split = none", "DELETE POOL beta")


def test_it_survives_saving_and_reading(stage: Stage) -> None:
    stage.do(
        "SET mysite.split = v2: beta 5% up to 9%, gamma 1% header X-User", "SET mysite.split_max_age = 1h"
    )
    lines = stage.say("dumpconfig")
    assert "  SET split = v2: beta 5% up to 9%, gamma 1% header x-user" in lines
    again = Stage()
    again.do(*[line for line in lines if line not in ("", "OK", ".")])
    assert again.control.blueprint() == stage.control.blueprint()


def test_workers_are_told_tokens_and_counters(stage: Stage) -> None:
    stage.do("SET mysite.split = gamma 1%", "SET mysite.split = beta 5% ip", "SET mysite.sticky = cookie")
    split: Any = stage.control.snapshot.as_wire()["services"]["mysite"]["split"]
    (share,) = split.pop("shares")
    assert list(share["tokens"]) == ["127.0.0.1:8003"]
    assert (share["pool"], share["begin"], share["end"], share["cell"]) == ("beta", 0, 214748365, 2)
    assert (split["by"], split["key"], split["cookie"], split["max_age"]) == (
        "ip",
        "",
        "wsgistack_split",
        1_000_000,
    )


def test_workers_are_told_where_a_share_begins_behind_what_another_may_grow_into(stage: Stage) -> None:
    stage.do("SET mysite.split = gamma 1% up to 25%, beta 5%")
    split: Any = stage.control.snapshot.as_wire()["services"]["mysite"]["split"]
    ends = [(share["pool"], share["begin"], share["end"]) for share in split["shares"]]
    assert ends == [("gamma", 0, 42949673), ("beta", 2**30, 1288490189)]


def test_a_successor_counts_where_the_balancer_before_did(stage: Stage) -> None:
    stage.do("SET mysite.split = gamma 1%", "SET mysite.split = beta 5%")
    after = Stage()
    after.control.restore(stage.control.export())
    after.make_site()
    after.do("CREATE POOL beta", "SET mysite.split = beta 5%")
    assert after.control.service("mysite").cells == {"-": 0, "gamma": 1, "beta": 2}


def test_show_service_counts_buckets(stage: Stage) -> None:
    stage.do("SET mysite.split = beta 5% cookie")
    stage.stats.bucket_counts[:2] = [90, 5]
    stage.stats.strayed = 1
    assert stage.say("show service mysite")[-6:] == [
        "         split: beta 5% cookie",
        "       buckets:",
        "                -                          90",
        "                beta                        5",
        "       strayed: 1",
        ".",
    ]
