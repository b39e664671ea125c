"""SHOW, nodes, node, backends: the captured formats, byte for byte."""

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.model import ProbeResult, Resolved
from wsgistack.balancer.outside import Outcomes


@pytest.fixture
def stage() -> Stage:
    """The site of the manual."""
    stage = Stage()
    stage.make_site()
    return stage


def test_show_service_lists_them_sorted(stage: Stage) -> None:
    stage.do("create service s2", "set listen = 127.0.0.1:17009", "create service s3")
    assert stage.say("show service") == [
        "admin 127.0.0.1:60000 ENABLED",
        "mysite 127.0.0.1:8080 ENABLED",
        "s2 127.0.0.1:17009 DISABLED",
        "s3 not_listening DISABLED",
        ".",
    ]


def test_show_service_describes_a_proxy(stage: Stage) -> None:
    stage.stats.node(0)["handed"] = 12
    node = {"kind": "node", "service": "mysite", "node": "127.0.0.1:8001", "age": 2.9}
    client = {"kind": "client", "service": "mysite", "age": 1.0}
    stage.rows = [
        [node | {"state": "connecting"}, node | {"state": "bored"}, client | {"state": "wait_backend"}],
        [node | {"state": "bored"}, client | {"state": "wait_res"}],
        [node | {"state": "connecting", "service": "other"}],
    ]
    assert stage.say("show service mysite") == [
        "SERVICE mysite",
        "     listening: 127.0.0.1:8080",
        "          role: reverse_proxy",
        "  pend clients: 1",
        "  pend backend: 1",
        "   127.0.0.1:8001 - connecting - 2s",
        " connect-ahead: 2/0",
        "          pool: mypool",
        "         nodes:",
        "                127.0.0.1:8001             12",
        "                127.0.0.1:8002              0",
        ".",
    ]


def test_show_service_describes_the_others_shortly(stage: Stage) -> None:
    stage.do("create service s2")
    assert stage.say("show service s2") == [
        "SERVICE s2",
        "     listening: --",
        "          role: --",
        ".",
    ]
    assert stage.say("show service admin")[1:] == [
        "     listening: 127.0.0.1:60000",
        "          role: management",
        ".",
    ]


def test_show_service_leaves_out_a_pool_that_is_not_set(stage: Stage) -> None:
    stage.do("create service s2", "set role = reverse_proxy")
    assert stage.say("show service s2")[-2:] == [" connect-ahead: 0/0", "."]


def test_show_pool_counts_nodes_and_services(stage: Stage) -> None:
    stage.do("create pool empty")
    assert stage.say("show pool") == [
        "empty nodes 0",
        "empty services 0",
        "mypool nodes 2",
        "mypool services 1",
        ".",
    ]


def test_show_pool_lists_its_nodes_in_the_order_of_adding(stage: Stage) -> None:
    stage.do("pool mypool add 10.0.0.1")
    assert stage.say("SHOW POOL MyPool") == ["127.0.0.1:8001 0", "127.0.0.1:8002 0", "10.0.0.1:80 0", "."]


def test_a_node_in_its_slow_start_says_how_far_it_is(stage: Stage) -> None:
    stage.do("set mypool.slow_start = 10s")
    for ok in (False, False, False, True, True):
        stage.control.absorb(ProbeResult("mypool", "127.0.0.1:8001", ok, "oh"), stage.now)
    stage.now += 4.0
    assert stage.say("show pool mypool")[0] == "127.0.0.1:8001 0"  # as Perlbal
    assert "127.0.0.1:8001 warming mypool 40%" in stage.say("nodes 127.0.0.1:8001")
    stage.do("set mypool.slow_start = 0")
    assert not any(" warming mypool " in line for line in stage.say("nodes 127.0.0.1:8001"))


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("show", "ERROR: Invalid syntax to 'show' command; usage: SHOW {SERVICE|POOL} [<name>]"),
        ("show thing", "ERROR: Invalid syntax to 'show' command; usage: SHOW {SERVICE|POOL} [<name>]"),
        ("show service nope", "ERROR: Unknown service"),
        ("show service mysit", "ERROR: Unknown service (did you mean 'mysite'?)"),
        ("show pool nope", "ERROR: pool 'nope' does not exist"),
        ("nodes 10.0.0.9", "."),
        ("nodes a b", "ERROR: Invalid syntax to 'nodes' command; usage: nodes [<address>[:<port>]]"),
        ("node 1.2.3.999", "ERROR: Invalid syntax to 'node' command: '1.2.3.999': 999 is not between 0 and 255"),
        ("backends", "."),
        ("backends x", "ERROR: The 'backends' command takes no arguments"),
    ],
)  # fmt: skip
def test_a_line_gets_its_reply(stage: Stage, line: str, reply: str) -> None:
    assert stage.say(line) == [reply]


def test_node_tells_the_counters_in_the_order_of_the_manual(stage: Stage) -> None:
    counts = stage.stats.node(0)
    counts["attempts"] = 5
    counts["verifies"] = 5
    counts["responsecodes"] = {500: 1, 200: 8}
    counts["lastattempt"] = 1795431140.7
    counts["lastconnect"] = 1795431140.2
    counts["connects"] = 5
    counts["requests"] = 8
    counts["lastresponse"] = 1795431140.9
    counts["failures"] = 2
    counts["in_flight"] = 3
    assert stage.say("node 127.0.0.1:8001") == [
        "127.0.0.1:8001 attempts 5",
        "127.0.0.1:8001 verifies 5",
        "127.0.0.1:8001 responsecodes 200 8",
        "127.0.0.1:8001 responsecodes 500 1",
        "127.0.0.1:8001 lastattempt 1795431140",
        "127.0.0.1:8001 lastconnect 1795431140",
        "127.0.0.1:8001 connects 5",
        "127.0.0.1:8001 requests 8",
        "127.0.0.1:8001 lastresponse 1795431140",
        "127.0.0.1:8001 failures 2",
        "127.0.0.1:8001 inflight 3",
        "127.0.0.1:8001 health mypool unchecked",
        ".",
    ]


def test_a_node_says_how_it_does_in_each_pool_and_why(stage: Stage) -> None:
    stage.do("CREATE POOL other", "POOL other ADD 127.0.0.1:8001", "POOL other ADD 127.0.0.1:8003")
    stage.control.sample(1795431100.0)
    stage.stats.outcome[0] = Outcomes(bad=5, streak=5)
    stage.control.sample(1795431140.5)
    for _ in range(3):
        stage.control.absorb(
            ProbeResult("other", "127.0.0.1:8001", False, "Connection refused", True), 1795431150.0
        )
    assert [line for line in stage.say("node 127.0.0.1:8001") if "health" in line] == [
        "127.0.0.1:8001 health mypool ejected",
        "127.0.0.1:8001 health_since mypool 1795431140",
        "127.0.0.1:8001 health_until mypool 1795431142",
        "127.0.0.1:8001 health_ejections mypool 1",
        "127.0.0.1:8001 health_reason mypool 5 requests in a row failed",
        "127.0.0.1:8001 health other dead",
        "127.0.0.1:8001 health_since other 1795431150",
        "127.0.0.1:8001 health_ejections other 1",
        "127.0.0.1:8001 health_reason other Connection refused",
    ]


def test_nodes_lists_all_and_those_that_were_removed(stage: Stage) -> None:
    stage.do("pool mypool remove 127.0.0.1:8001")
    addresses = [line.split()[0] for line in stage.say("nodes")]
    assert addresses == ["127.0.0.1:8001"] * 4 + ["127.0.0.1:8002"] * 5 + ["."]


def test_a_nodes_port_is_80_without_one(stage: Stage) -> None:
    stage.do("pool mypool add 10.0.0.1:80")
    assert stage.say("nodes 10.0.0.1")[0] == "10.0.0.1:80 attempts 0"


def test_backends_counts_open_connections(stage: Stage) -> None:
    stage.stats.node(1)["open"] = 7
    assert stage.say("backends") == ["127.0.0.1:8002 7", "."]


def test_a_node_that_drains_counts_down_and_says_what_else_it_is() -> None:
    stage = Stage()
    stage.do("create pool mypool", "pool mypool add 10.0.0.1 weight=3 max=20 backup")
    stage.do("pool mypool drain 10.0.0.1")
    stage.stats.node(0)["in_flight"] = 3
    assert stage.say("node 10.0.0.1")[3:] == [
        "10.0.0.1:80 inflight 3",
        "10.0.0.1:80 health mypool unchecked",
        "10.0.0.1:80 weight mypool 3",
        "10.0.0.1:80 max mypool 20",
        "10.0.0.1:80 backup mypool",
        "10.0.0.1:80 draining mypool inflight 3",
        ".",
    ]
    stage.do("pool mypool undrain 10.0.0.1")
    assert "draining" not in " ".join(stage.say("node 10.0.0.1"))


def test_a_removed_node_counts_down_to_nothing() -> None:
    stage = Stage()
    stage.do("create pool mypool", "pool mypool add 10.0.0.1", "pool mypool remove 10.0.0.1")
    stage.stats.node(0)["in_flight"] = 2
    assert stage.say("node 10.0.0.1")[-3:] == [
        "10.0.0.1:80 inflight 2",
        "10.0.0.1:80 removed inflight 2",
        ".",
    ]
    stage.stats.node(0)["in_flight"] = 0
    assert stage.say("node 10.0.0.1")[-2:] == ["10.0.0.1:80 inflight 0", "."]


def test_names_tells_where_they_lead_and_what_went_wrong() -> None:
    stage = Stage()
    stage.do(
        "create pool mypool", "pool mypool add app.example:8001", "pool mypool add srv:_http._tcp.x.example"
    )
    assert stage.say("names") == ["app.example unresolved", "srv:_http._tcp.x.example unresolved", "."]
    four = tuple(Record(f"10.0.0.{n}") for n in range(1, 5))
    stage.control.absorb(Resolved("app.example", four), 1000.0)
    stage.control.absorb(Resolved("app.example", four[:1]), 1003.0)
    stage.control.absorb(Resolved("app.example", (), "SERVFAIL"), 1008.0)
    stage.control.absorb(
        Resolved("srv:_http._tcp.x.example", (Record("::1", 81, 2, True),), dropped=44), 1010.0
    )
    assert stage.say("names") == [
        "app.example leads 10.0.0.1",
        "app.example leads 10.0.0.2",
        "app.example age 7",
        "app.example kept 1",
        "app.example failed SERVFAIL",
        "srv:_http._tcp.x.example leads [::1]:81 weight=2 backup",
        "srv:_http._tcp.x.example age 0",
        "srv:_http._tcp.x.example dropped 44",
        ".",
    ]
    lines = stage.say("nodes app.example:8001")
    assert {line.split()[0] for line in lines} == {"10.0.0.1:8001", "10.0.0.2:8001", "."}
    assert "10.0.0.1:8001 from mypool app.example:8001" in lines
