"""The pools: checks, health and names; POOL's own words are tests of the language."""

import pytest

from tests.balancer.stage import FakeStats
from wsgistack.balancer.model import HealthCheck, ProbeResult, Resolved
from wsgistack.balancer.pools import Pools
from wsgistack.errors import CommandError


@pytest.fixture
def stats() -> FakeStats:
    """An empty scoreboard."""
    return FakeStats()


@pytest.fixture
def pools(stats: FakeStats) -> Pools:
    """Two pools, a and b, that share the node 10.0.0.1:80."""
    pools = Pools(stats)
    for name in "ab":
        pools.create(name)
        pools.add(name, "10.0.0.1")
    pools.add("a", "10.0.0.2")
    return pools


def fail(pools: Pools, pool: str, address: str, times: int = 3) -> list[bool]:
    return [pools.absorb_probe(ProbeResult(pool, address, False), float(n)) for n in range(times)]


def ups(pools: Pools, name: str) -> dict[str, bool]:
    return {node.address: node.up for node in pools.publish()[name].nodes}


def connects(pools: Pools, name: str) -> list[str | None]:
    return [node.connect for node in pools.publish()[name].nodes]


def test_an_address_has_one_slot_whatever_pools_it_is_in(pools: Pools) -> None:
    published = pools.publish()
    assert published["a"].nodes[0].slot == published["b"].nodes[0].slot == 0
    assert published["a"].nodes[1].slot == 1


def test_a_node_that_fails_its_checks_is_down_in_that_pool(pools: Pools) -> None:
    assert fail(pools, "a", "10.0.0.1:80") == [False, False, True]
    assert ups(pools, "a") == {"10.0.0.1:80": False, "10.0.0.2:80": True}
    assert ups(pools, "b") == {"10.0.0.1:80": True}
    assert pools.states("10.0.0.1:80") == [("a", "down"), ("b", "unchecked")]


def test_it_comes_back_after_rise_passes(pools: Pools) -> None:
    fail(pools, "a", "10.0.0.1:80")
    passed = ProbeResult("a", "10.0.0.1:80", True)
    assert [pools.absorb_probe(passed, 9.0), pools.absorb_probe(passed, 10.0)] == [False, True]
    assert ups(pools, "a")["10.0.0.1:80"]


def test_when_all_nodes_are_down_the_snapshot_says_so(pools: Pools) -> None:
    fail(pools, "b", "10.0.0.1:80")
    assert ups(pools, "b") == {"10.0.0.1:80": False}


def test_health_outlives_removal_and_adding_again(pools: Pools) -> None:
    fail(pools, "a", "10.0.0.1:80")
    pools.remove("a", "10.0.0.1")
    pools.add("a", "10.0.0.1")
    assert not ups(pools, "a")["10.0.0.1:80"]


@pytest.mark.parametrize(
    ("pool", "address"), [("nope", "10.0.0.1:80"), ("a", "10.9.9.9:80")], ids=["pool", "node"]
)
def test_a_late_result_about_what_is_gone_is_dropped(pools: Pools, pool: str, address: str) -> None:
    assert fail(pools, pool, address) == [False] * 3
    assert pools.due(pool, address, 0.0) is None


def test_without_checks_every_node_is_up(pools: Pools) -> None:
    fail(pools, "a", "10.0.0.1:80")
    pools.set("a", "health_check", "none")
    assert ups(pools, "a") == {"10.0.0.1:80": True, "10.0.0.2:80": True}
    assert fail(pools, "a", "10.0.0.1:80") == [False] * 3
    assert [pool for pool, _, _ in pools.checks()] == ["b"]


def test_another_kind_of_check_begins_anew(pools: Pools) -> None:
    fail(pools, "a", "10.0.0.1:80")
    pools.set("a", "health_check", "http")
    assert pools.states("10.0.0.1:80")[0] == ("a", "unchecked")


def test_a_check_says_all_that_a_probe_needs(pools: Pools) -> None:
    for key, text in [
        ("health_check", "http"),
        ("health_path", "/Health"),
        ("health_host", "shop.example"),
        ("health_status", "200,300-399"),
        ("health_interval", "500ms"),
        ("health_timeout", "2"),
        ("health_fall", "5"),
        ("health_rise", "1"),
    ]:
        pools.set("b", key, text)
    expected = HealthCheck(
        kind="http",
        connect="10.0.0.1:80",
        path="/Health",
        host="shop.example",
        statuses=((200, 200), (300, 399)),
        interval_s=0.5,
        timeout_s=2.0,
        fall=5,
        rise=1,
    )
    assert pools.checks()[-1] == ("b", "10.0.0.1:80", expected)


def test_a_check_is_due_at_once_and_then_after_its_interval(pools: Pools) -> None:
    assert pools.due("a", "10.0.0.1:80", 5.0) == 0.0
    pools.absorb_probe(ProbeResult("a", "10.0.0.1:80", True), 5.0)
    assert pools.due("a", "10.0.0.1:80", 5.25) == 0.75


def test_a_name_leads_nowhere_until_it_is_looked_up(pools: Pools) -> None:
    pools.create("c")
    pools.add("c", "App.Example:8001")
    assert connects(pools, "c") == [None]
    assert pools.hosts() == ["app.example"]
    assert [pool for pool, _, _ in pools.checks()] == ["a", "a", "b"]
    assert pools.absorb_name(Resolved("app.example", ("10.1.0.1", "10.1.0.2")))
    assert connects(pools, "c") == ["10.1.0.1:8001"]
    assert pools.checks()[-1][2].connect == "10.1.0.1:8001"


@pytest.mark.parametrize(
    ("answer", "changed", "connect"),
    [
        ((), False, "10.1.0.1:80"),
        (("10.1.0.2", "10.1.0.1"), False, "10.1.0.1:80"),
        (("10.1.0.3",), True, "10.1.0.3:80"),
        (("2001:db8::1",), True, "[2001:db8::1]:80"),
    ],
    ids=["the last good answer stays", "no move without need", "it moves", "IPv6"],
)
def test_a_later_answer_is_taken_with_care(
    pools: Pools, answer: tuple[str, ...], changed: bool, connect: str
) -> None:
    pools.create("c")
    pools.add("c", "app.example")
    pools.absorb_name(Resolved("app.example", ("10.1.0.1",)))
    assert pools.absorb_name(Resolved("APP.example", answer)) is changed
    assert connects(pools, "c") == [connect]


def test_an_answer_that_nobody_asked_for_is_dropped(pools: Pools) -> None:
    assert not pools.absorb_name(Resolved("other.example", ("10.1.0.1",)))


def test_a_unix_socket_is_connected_to_as_it_is(pools: Pools) -> None:
    pools.create("c")
    pools.add("c", "unix:/run/App")
    assert connects(pools, "c") == ["unix:/run/App"]


def test_an_address_that_lost_its_row_lost_its_past(stats: FakeStats) -> None:
    pools = Pools(stats)
    pools.create("a")
    pools.add("a", "10.0.0.1")
    fail(pools, "a", "10.0.0.1:80")
    pools.remove("a", "10.0.0.1")
    for n in range(1024):
        pools.add("a", f"10.1.{n // 256}.{n % 256}")
    assert "10.0.0.1:80" not in pools.rows()
    assert pools.publish()["a"].nodes[-1].slot == 0
    with pytest.raises(CommandError, match="all 1024 places for node addresses are taken"):
        pools.add("a", "10.0.0.1")
    pools.remove("a", "10.1.0.0")
    pools.add("a", "10.0.0.1")
    assert pools.states("10.0.0.1:80") == [("a", "unchecked")]
    assert stats.resets == [0, 1]
