"""The care of all nodes: checks, traffic, and what the snapshot says of it."""

import random

import pytest

from tests.balancer.stage import FakeFiles, FakeStats
from wsgistack.balancer.address import parse_member
from wsgistack.balancer.care import Care
from wsgistack.balancer.model import ProbeResult
from wsgistack.balancer.nodefile import parse_options
from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.pools import Pools
from wsgistack.errors import SettingError

NODE = "10.0.0.1:80"
OTHER = "10.0.0.2:80"


class Ward:
    """Pools a (two nodes) and b (one of them), and who cares for them."""

    def __init__(self) -> None:
        self.stats = FakeStats()
        self.pools = Pools(self.stats, FakeFiles())
        for pool in "ab":
            self.pools.create(pool)
            self.put(pool, NODE)
        self.put("a", OTHER)
        self.care = Care(self.pools, self.stats)
        self.care.sample(100.0)

    def put(self, pool: str, address: str) -> None:
        self.pools.add(pool, parse_options(parse_member(address), []))

    def fail(self, pool: str, address: str = NODE) -> list[bool]:
        result = ProbeResult(pool, address, False, "oh", refused=True)
        return [self.care.absorb(result, now) for now in (101.0, 102.0, 103.0)]

    def due(self, pool: str, address: str, now: float) -> float | None:
        return self.care.due(pool, address, now, random.Random(1))

    def ups(self, pool: str) -> dict[str, bool]:
        return {node.address: node.up for node in self.pools.publish()[pool].nodes}


def test_a_node_that_fails_its_checks_is_out_in_that_pool() -> None:
    ward = Ward()
    assert ward.fail("a") == [False, False, True]
    assert ward.ups("a") == {NODE: False, OTHER: True}
    assert ward.ups("b") == {NODE: True}
    assert ward.pools.states(NODE) == [("a", "dead"), ("b", "unchecked")]


def test_one_that_comes_back_says_since_when() -> None:
    ward = Ward()
    ward.fail("a")
    passed = ProbeResult("a", NODE, True)
    assert [ward.care.absorb(passed, 109.0), ward.care.absorb(passed, 110.0)] == [False, True]
    assert ward.ups("a") == {NODE: True, OTHER: True}
    assert [node.warm_from for node in ward.pools.publish()["a"].nodes] == [110.0, None]


def test_when_all_nodes_are_dead_the_snapshot_says_so() -> None:
    ward = Ward()
    ward.fail("b")
    assert ward.ups("b") == {NODE: False}


def test_health_outlives_removal_and_adding_again() -> None:
    ward = Ward()
    ward.fail("a")
    ward.pools.remove("a", NODE)
    ward.put("a", NODE)
    assert not ward.ups("a")[NODE]


def test_a_pool_that_is_made_again_has_no_past() -> None:
    ward = Ward()
    ward.fail("b")
    ward.pools.delete("b")
    ward.pools.create("b")
    ward.put("b", NODE)
    assert ward.ups("b") == {NODE: True}


@pytest.mark.parametrize(("pool", "address"), [("nope", NODE), ("a", "10.9.9.9:80")], ids=["pool", "node"])
def test_a_late_result_about_what_is_gone_is_dropped(pool: str, address: str) -> None:
    ward = Ward()
    assert ward.fail(pool, address) == [False] * 3
    assert ward.due(pool, address, 0.0) is None


def test_without_checks_every_node_is_up() -> None:
    ward = Ward()
    ward.fail("a")
    ward.pools.set("a", "health_check", "none")
    assert ward.ups("a") == {NODE: True, OTHER: True}
    assert ward.fail("a") == [False] * 3
    assert ward.due("a", NODE, 0.0) is None
    assert [pool for pool, _, _ in ward.care.checks()] == ["b"]


def test_another_kind_of_check_begins_anew_and_the_same_one_does_not() -> None:
    ward = Ward()
    ward.fail("a")
    ward.pools.set("a", "health_check", "tcp")
    assert ward.pools.states(NODE)[0] == ("a", "dead")
    ward.pools.set("a", "health_check", "http")
    assert ward.pools.states(NODE)[0] == ("a", "unchecked")


def test_a_check_says_all_that_a_probe_needs() -> None:
    ward = Ward()
    for key, text in [
        ("health_check", "http"),
        ("health_path", "/Health"),
        ("health_host", "shop.example"),
        ("health_status", "200,300-399"),
        ("health_timeout", "2"),
    ]:
        ward.pools.set("b", key, text)
    pool, address, check = ward.care.checks()[-1]
    assert (pool, address, check.kind, check.pool, check.node) == ("b", NODE, "http", "b", NODE)
    asked = [check.text(name) for name in ("health_path", "health_host", "health_status")]
    assert asked == ["/Health", "shop.example", "200,300-399"]
    assert check.number("health_timeout") == 2.0


def test_a_check_is_due_at_once_then_after_its_interval_and_sooner_after_a_failure() -> None:
    ward = Ward()
    ward.pools.set("a", "health_jitter", "0")
    assert ward.due("a", NODE, 5.0) == 0.0
    ward.care.absorb(ProbeResult("a", NODE, True), 5.0)
    assert ward.due("a", NODE, 5.25) == 0.75
    assert not ward.care.is_suspected("a", NODE)
    ward.care.absorb(ProbeResult("a", NODE, False), 6.0)
    assert ward.due("a", NODE, 6.0) == 0.25
    assert ward.care.is_suspected("a", NODE)


def test_a_check_that_cannot_be_made_is_refused() -> None:
    ward = Ward()
    with pytest.raises(SettingError, match="command needs a program: set health_command first"):
        ward.pools.set("a", "health_check", "command")
    ward.pools.set("a", "health_command", "/bin/true")
    ward.pools.set("a", "health_check", "command")
    with pytest.raises(SettingError, match="command needs a program"):
        ward.pools.set("a", "health_command", '""')
    assert ward.care.checks()[0][2].kind == "command"


def test_traffic_that_fails_ejects_a_node_in_every_pool_that_can_spare_it() -> None:
    ward = Ward()
    ward.stats.outcome[0] = Outcomes(bad=5, streak=5)
    assert ward.care.sample(100.1)
    assert ward.pools.states(NODE) == [("a", "ejected"), ("b", "unchecked")]
    assert ward.ups("a") == {NODE: False, OTHER: True}
    assert ward.ups("b") == {NODE: True}
    assert [(news.event, news.fields["pool"]) for news in ward.care.take_news()] == [("node_ejected", "a")]


def test_a_node_on_trial_gets_a_trickle() -> None:
    ward = Ward()
    ward.stats.outcome[0] = Outcomes(bad=5, streak=5)
    ward.care.sample(100.1)
    assert ward.care.sample(101.2)
    shares = [(node.weight, node.max_connections, node.up) for node in ward.pools.publish()["a"].nodes]
    assert shares == [(1, 1, True), (16, 0, True)]


def test_a_trial_moves_no_key_of_a_ring() -> None:
    ward = Ward()
    ward.pools.set("a", "balance_method", "consistent")
    before = ward.pools.publish()["a"].ring()
    ward.stats.outcome[0] = Outcomes(bad=5, streak=5)
    ward.care.sample(100.1)
    assert ward.pools.publish()["a"].ring() == before
    assert ward.care.sample(101.2)
    assert ward.pools.states(NODE)[0] == ("a", "trial")
    on_trial = ward.pools.publish()["a"]
    assert on_trial.ring() == before
    assert [node.max_connections for node in on_trial.nodes] == [1, 0]


def test_the_last_node_that_does_not_drain_is_not_ejected() -> None:
    ward = Ward()
    ward.pools.drain("a", OTHER, may_come=False)
    ward.stats.outcome[0] = Outcomes(bad=5, streak=5)
    assert not ward.care.sample(100.1)
    assert ward.ups("a") == {NODE: True, OTHER: True}


def test_a_pool_whose_breaker_is_open_admits_nobody() -> None:
    ward = Ward()
    ward.pools.set("a", "breaker_percent", "50")
    ward.stats.outcome |= {0: Outcomes(bad=30), 1: Outcomes(bad=30)}
    ward.care.sample(100.1)
    published = ward.pools.publish()
    assert (published["a"].admits, published["b"].admits) == (0, 100)
    assert published["a"].as_wire()["admits"] == 0


def test_a_site_is_calm_two_seconds_after_the_last_request() -> None:
    ward = Ward()
    assert not ward.care.is_calm(101.0)
    assert not ward.care.sample(102.0)
    assert ward.care.is_calm(102.1)
    ward.stats.outcome[0] = Outcomes(good=1)
    ward.care.sample(110.0)
    ward.care.sample(110.5)  # compares the nodes, since somebody was asked
    assert [ward.care.is_calm(at) for at in (111.9, 112.1)] == [False, True]


def test_a_site_where_time_will_change_something_is_not_calm() -> None:
    ward = Ward()
    ward.stats.outcome[0] = Outcomes(bad=5, streak=5)
    assert ward.care.sample(110.0)  # ejected: it comes back by itself
    assert not ward.care.is_calm(110.9)
    assert ward.care.sample(111.5)
    assert not ward.care.is_calm(150.0)
