"""The pools: nodes, names and nodefiles; POOL's own words are tests of the language."""

import pytest

from tests.balancer.stage import FakeFiles, FakeStats
from wsgistack.balancer.address import parse_member
from wsgistack.balancer.care import Care
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.model import NodefileRead, ProbeResult, Resolved
from wsgistack.balancer.nodefile import parse_options
from wsgistack.balancer.pools import Pools
from wsgistack.errors import CommandError


@pytest.fixture
def stats() -> FakeStats:
    """An empty scoreboard."""
    return FakeStats()


@pytest.fixture
def files() -> FakeFiles:
    """A nodefile at /nodes."""
    files = FakeFiles()
    files.texts["/nodes"] = "10.0.0.3\n10.0.0.4 weight=3\n"
    return files


@pytest.fixture
def pools(stats: FakeStats, files: FakeFiles) -> Pools:
    """Two pools, a and b, that share the node 10.0.0.1:80."""
    pools = Pools(stats, files)
    for name in "ab":
        pools.create(name)
        put(pools, name, "10.0.0.1")
    put(pools, "a", "10.0.0.2")
    return pools


def put(pools: Pools, name: str, text: str) -> None:
    address, *options = text.split()
    pools.add(name, parse_options(parse_member(address), options))


def resolve(pools: Pools, name: str, *hosts: str, now: float = 0.0) -> bool:
    return pools.absorb_name(Resolved(name, tuple(Record(host) for host in hosts)), now)


def addresses(pools: Pools, name: str) -> list[str]:
    return [node.address for node in pools.publish()[name].nodes]


def fail(pools: Pools, pool: str, address: str) -> None:
    care = Care(pools, FakeStats())
    for now in (1.0, 2.0, 3.0):
        care.absorb(ProbeResult(pool, address, False, "oh", refused=True), now)


def ups(pools: Pools, name: str) -> dict[str, bool]:
    return {node.address: node.up for node in pools.publish()[name].nodes}


def test_an_address_has_one_slot_whatever_pools_it_is_in(pools: Pools) -> None:
    published = pools.publish()
    assert published["a"].nodes[0].slot == published["b"].nodes[0].slot == 0
    assert published["a"].nodes[1].slot == 1


def test_a_name_leads_nowhere_until_it_is_looked_up(pools: Pools) -> None:
    pools.create("c")
    put(pools, "c", "App.Example:8001")
    assert addresses(pools, "c") == []
    assert pools.hosts() == ["app.example"]
    assert resolve(pools, "app.example", "10.1.0.1", "2001:db8::1")
    assert addresses(pools, "c") == ["10.1.0.1:8001", "[2001:db8::1]:8001"]
    checks = Care(pools, FakeStats()).checks()
    assert [check.node for pool, _, check in checks if pool == "c"] == addresses(pools, "c")


def test_each_node_of_a_name_has_its_own_health_which_outlives_an_answer_without_it(pools: Pools) -> None:
    pools.create("c")
    put(pools, "c", "app.example")
    resolve(pools, "app.example", "10.1.0.1", "10.1.0.2")
    fail(pools, "c", "10.1.0.1:80")
    assert ups(pools, "c") == {"10.1.0.1:80": False, "10.1.0.2:80": True}
    resolve(pools, "app.example", "10.1.0.2")
    assert ups(pools, "c") == {"10.1.0.2:80": True}
    resolve(pools, "app.example", "10.1.0.1", "10.1.0.2")
    assert ups(pools, "c") == {"10.1.0.2:80": True, "10.1.0.1:80": False}


@pytest.mark.parametrize(
    ("answer", "changed", "expected"),
    [
        ([], False, ["10.1.0.1:80"]),
        (["10.1.0.1"], False, ["10.1.0.1:80"]),
        (["10.1.0.3"], True, ["10.1.0.3:80"]),
        (["10.1.0.3", "10.1.0.1"], True, ["10.1.0.1:80", "10.1.0.3:80"]),
    ],
    ids=["the last good answer stays", "the same", "it moves", "one more"],
)
def test_a_later_answer_is_taken_with_care(
    pools: Pools, answer: list[str], changed: bool, expected: list[str]
) -> None:
    pools.create("c")
    put(pools, "c", "app.example")
    resolve(pools, "app.example", "10.1.0.1")
    assert resolve(pools, "app.example", *answer) is changed
    assert addresses(pools, "c") == expected


def test_srv_records_say_port_weight_and_tier_unless_the_entry_does(pools: Pools) -> None:
    pools.create("c")
    put(pools, "c", "srv:_http._tcp.app.example max=7")
    assert pools.hosts() == ["srv:_http._tcp.app.example"]
    records = (Record("10.1.0.1", 8001, 5), Record("10.1.0.2", 8002, 1, backup=True))
    assert pools.absorb_name(Resolved("srv:_http._tcp.app.example", records), 0.0)
    nodes = pools.publish()["c"].nodes
    assert [(n.address, n.weight, n.backup, n.max_connections) for n in nodes] == [
        ("10.1.0.1:8001", 5, False, 7),
        ("10.1.0.2:8002", 1, True, 7),
    ]
    put(pools, "c", "srv:_http._tcp.app.example weight=9 backup")
    assert [(n.weight, n.backup) for n in pools.publish()["c"].nodes] == [(9, True), (9, True)]


def test_a_node_that_two_entries_lead_to_belongs_to_the_first(pools: Pools) -> None:
    put(pools, "a", "app.example weight=4")
    resolve(pools, "app.example", "10.0.0.2", "10.1.0.1")
    assert [(n.address, n.weight) for n in pools.publish()["a"].nodes] == [
        ("10.0.0.1:80", 1),
        ("10.0.0.2:80", 1),
        ("10.1.0.1:80", 4),
    ]
    pools.remove("a", "10.0.0.2")
    assert [n.weight for n in pools.publish()["a"].nodes] == [1, 4, 4]


def test_names_share_their_answers_and_are_forgotten_when_nobody_wants_them(pools: Pools) -> None:
    put(pools, "a", "app.example:1")
    resolve(pools, "app.example", "10.1.0.1")
    put(pools, "b", "app.example:2")
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.1.0.1:2"]
    pools.remove("a", "app.example:1")
    pools.remove("b", "app.example:2")
    assert pools.hosts() == []
    assert addresses(pools, "b") == ["10.0.0.1:80"]
    put(pools, "b", "app.example:2")
    assert addresses(pools, "b") == ["10.0.0.1:80"]


def test_an_answer_that_nobody_asked_for_is_dropped(pools: Pools) -> None:
    assert not resolve(pools, "other.example", "10.1.0.1")


def test_nodes_without_a_row_are_left_out_and_counted(pools: Pools) -> None:
    pools.create("c")
    for n in range(1018):
        put(pools, "c", f"10.2.{n // 256}.{n % 256}")
    put(pools, "a", "app.example")
    resolve(pools, "app.example", *(f"10.1.0.{n}" for n in range(1, 9)))
    assert addresses(pools, "a")[2:] == ["10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"]
    assert pools.left_out() == {"a": 4}


def test_what_comes_from_a_name_cannot_be_removed_alone(pools: Pools) -> None:
    put(pools, "a", "app.example")
    resolve(pools, "app.example", "10.1.0.1")
    with pytest.raises(CommandError, match=r"10.1.0.1:80 comes from app.example:80: remove that, or drain"):
        pools.remove("a", "10.1.0.1")


def draining(pools: Pools, name: str) -> list[str]:
    return [node.address for node in pools.publish()[name].nodes if node.draining]


def test_a_node_drains_until_it_is_told_otherwise(pools: Pools) -> None:
    pools.drain("a", "10.0.0.1", may_come=False)
    assert draining(pools, "a") == ["10.0.0.1:80"]
    assert draining(pools, "b") == []
    pools.undrain("a", "10.0.0.1")
    assert draining(pools, "a") == []
    pools.undrain("a", "10.0.0.1")


def test_a_drained_name_drains_all_its_nodes_those_to_come_too(pools: Pools) -> None:
    put(pools, "a", "app.example")
    pools.drain("a", "app.example", may_come=False)
    resolve(pools, "app.example", "10.1.0.1", "10.1.0.2")
    assert draining(pools, "a") == ["10.1.0.1:80", "10.1.0.2:80"]
    with pytest.raises(CommandError, match=r"10.1.0.1:80 drains because app.example:80 does: undrain that"):
        pools.undrain("a", "10.1.0.1")
    pools.undrain("a", "app.example")
    assert draining(pools, "a") == []


def test_one_node_of_a_name_drains_until_it_leaves(pools: Pools) -> None:
    put(pools, "a", "app.example")
    resolve(pools, "app.example", "10.1.0.1", "10.1.0.2")
    pools.drain("a", "10.1.0.1", may_come=False)
    assert draining(pools, "a") == ["10.1.0.1:80"]
    resolve(pools, "app.example", "10.1.0.2")
    resolve(pools, "app.example", "10.1.0.2", "10.1.0.1")
    assert draining(pools, "a") == []


def test_a_drain_may_be_said_before_the_name_is_looked_up(pools: Pools) -> None:
    put(pools, "a", "app.example")
    with pytest.raises(CommandError, match=r"pool 'a' has no node 10.1.0.1:80"):
        pools.drain("a", "10.1.0.1", may_come=False)
    pools.drain("a", "10.1.0.1", may_come=True)
    resolve(pools, "app.example", "10.1.0.1")
    assert draining(pools, "a") == ["10.1.0.1:80"]


def test_a_drained_node_that_is_added_anew_takes_requests(pools: Pools) -> None:
    pools.drain("a", "10.0.0.1", may_come=False)
    put(pools, "a", "10.0.0.1")
    assert draining(pools, "a") == []


def test_nodes_get_the_defaults_of_their_pool_unless_they_say_otherwise(pools: Pools) -> None:
    put(pools, "a", "10.0.0.5 weight=1 max=0")
    pools.set("a", "node_weight", "4")
    pools.set("a", "node_max_connections", "30")
    put(pools, "a", "10.0.0.6")
    assert [(n.weight, n.max_connections) for n in pools.publish()["a"].nodes] == [
        (4, 30),
        (4, 30),
        (1, 0),
        (4, 30),
    ]


def test_a_nodefile_is_read_when_it_is_set_and_again_when_it_changes(pools: Pools) -> None:
    pools.set("b", "nodefile", "/nodes")
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:80"]
    assert pools.nodefiles() == ["/nodes"]
    assert pools.absorb_nodefile(NodefileRead("/nodes", "garbage\n10.0.0.4 weight=2"))
    assert [(n.address, n.weight) for n in pools.publish()["b"].nodes] == [
        ("10.0.0.1:80", 1),
        ("10.0.0.4:80", 2),
    ]
    assert not pools.absorb_nodefile(NodefileRead("/nodes", "10.0.0.4 weight=2"))
    assert not pools.absorb_nodefile(NodefileRead("/other", "10.0.0.9"))


@pytest.mark.parametrize("text", ["", "# all gone\n", "garbage\n10.0.0.999\n", "\0\xff\n"])
def test_a_nodefile_without_any_node_leaves_those_of_before(pools: Pools, text: str) -> None:
    pools.set("b", "nodefile", "/nodes")
    assert not pools.absorb_nodefile(NodefileRead("/nodes", text))
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:80"]


def test_a_nodefile_that_is_not_there_is_refused_when_it_is_set(pools: Pools) -> None:
    pools.set("b", "nodefile", "/nodes")
    with pytest.raises(CommandError, match=r"nodefile /nope: No such file or directory$"):
        pools.set("b", "nodefile", "/nope")
    where = r"nodefile conf/nope: No such file or directory \(seen from where the balancer was started\)$"
    with pytest.raises(CommandError, match=where):
        pools.set("b", "nodefile", "conf/nope")
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:80"]
    assert pools.settings("b")["nodefile"] == "/nodes"


def test_a_node_that_was_added_stays_when_the_nodefile_changes(pools: Pools) -> None:
    pools.set("b", "nodefile", "/nodes")
    put(pools, "b", "10.0.0.4 weight=9")
    pools.absorb_nodefile(NodefileRead("/nodes", "10.0.0.8"))
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.4:80", "10.0.0.8:80"]
    with pytest.raises(CommandError, match=r"10.0.0.8:80 stands in the nodefile /nodes: take it out there"):
        pools.remove("b", "10.0.0.8")


def test_without_a_nodefile_its_nodes_stay(pools: Pools) -> None:
    pools.set("b", "nodefile", "/nodes")
    pools.set("b", "nodefile", "none")
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:80"]
    assert [str(entry) for entry in pools.entries("b")] == [
        "10.0.0.1:80",
        "10.0.0.3:80",
        "10.0.0.4:80 weight=3",
    ]
    pools.remove("b", "10.0.0.3")
    assert addresses(pools, "b") == ["10.0.0.1:80", "10.0.0.4:80"]


def test_the_slot_of_a_deleted_pool_is_given_again(pools: Pools) -> None:
    pools.delete("a")
    pools.create("c")
    pools.create("d")
    assert {name: pool.slot for name, pool in pools.publish().items()} == {"b": 1, "c": 0, "d": 2}


def test_a_unix_socket_is_connected_to_as_it_is(pools: Pools) -> None:
    pools.create("c")
    put(pools, "c", "unix:/run/App")
    assert [node.connect for node in pools.publish()["c"].nodes] == ["unix:/run/App"]


def test_an_address_that_lost_its_row_lost_its_past(stats: FakeStats) -> None:
    pools = Pools(stats, FakeFiles())
    pools.create("a")
    put(pools, "a", "10.0.0.1")
    fail(pools, "a", "10.0.0.1:80")
    pools.remove("a", "10.0.0.1")
    for n in range(1024):
        put(pools, "a", f"10.1.{n // 256}.{n % 256}")
    assert "10.0.0.1:80" not in pools.rows()
    assert pools.publish()["a"].nodes[-1].slot == 0
    with pytest.raises(CommandError, match="all 1024 places for node addresses are taken"):
        put(pools, "a", "10.0.0.1")
    pools.remove("a", "10.1.0.0")
    put(pools, "a", "10.0.0.1")
    assert pools.states("10.0.0.1:80") == [("a", "unchecked")]
    assert stats.resets == [0, 1]
