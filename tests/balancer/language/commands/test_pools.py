"""POOL, word by word; the dialogue of the manual first."""

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer import dns_package
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.balancer.language.session import Session

USAGE = "; usage: POOL <pool> {ADD|REMOVE|DRAIN|UNDRAIN} <address>[:<port>] [weight=<n>] [max=<n>] [backup]"
INVALID = "ERROR: Invalid syntax to 'pool' command"
MISFIT = f"{INVALID}; usage: {COMMANDS.get('pool').usage}"


@pytest.fixture
def stage() -> Stage:
    """A stage with the pool mysite."""
    stage = Stage()
    stage.do("create pool mysite")
    return stage


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("pool mysite add 10.0.0.102", "OK"),
        ("POOL ADD mysite 10.0.0.103:8080", "OK"),
        ("pool remove mysite 10.0.0.250", "OK"),
        ("pool nope add 10.0.0.1", "ERROR: Pool 'nope' not found"),
        ("pool mysit add 10.0.0.1", "ERROR: Pool 'mysit' not found (did you mean 'mysite'?)"),
        ("pool mysite frob 10.0.0.1", "ERROR: Invalid command:  must be 'add' or 'remove'"),
        ("pool mysite ad 10.0.0.1", "ERROR: Invalid command:  must be 'add' or 'remove' (did you mean 'add'?)" + USAGE),
        ("pool add 10.0.0.9:80", MISFIT),
        ("pool", MISFIT),
        ("pool mysite", MISFIT),
        ("pool mysite add", MISFIT),
        ("pool mysite add localhost", "OK"),
        ("pool mysite add [::1]:8001", "OK"),
        ("pool mysite add unix:/run/App.sock", "OK"),
        ("pool mysite add 10.0.0.1 weight=3", "OK"),
        ("pool mysite add 10.0.0.1 max=20 backup Weight=2", "OK"),
        ("POOL ADD mysite 10.0.0.1 backup", "OK"),
        ("pool mysite add 10.0.0.1 bakcup", f"{INVALID}: bakcup (did you mean 'backup'?)"),
        ("pool mysite add 10.0.0.1 max=x", f"{INVALID}: max: 'x' is not a number from 0 to 1000000"),
        ("pool mysite add srv:_http._tcp.app.example", "OK"),
        ("pool mysite add srv:app", f"{INVALID}: 'srv:app': expected srv: and the name of SRV records, as in srv:_http._tcp.app.internal"),
        ("pool mysite drain 10.0.0.100", "OK"),
        ("POOL DRAIN mysite 10.0.0.100:80", "OK"),
        ("pool mysite undrain 10.0.0.100", "OK"),
        ("pool mysite drain 10.0.0.10", "ERROR: pool 'mysite' has no node 10.0.0.10:80 (did you mean '10.0.0.100:80'?)"),
        ("pool mysite drain 10.0.0.100:99999", f"{INVALID}: '10.0.0.100:99999': port 99999 is not between 1 and 65535"),
        ("pool mysite drain 10.0.0.100 now", f"{INVALID}: now has no meaning there"),
        ("pool mysite dran 10.0.0.100", "ERROR: Invalid command:  must be 'add' or 'remove' (did you mean 'drain'?)" + USAGE),
        ("pool mysite add 10.0.0.1 WEIGHT=256", "OK"),
        ("pool mysite add 10.0.0.1 weight=0", f"{INVALID}: weight: '0' is not a number from 1 to 256"),
        ("pool mysite add 10.0.0.1 weight=257", f"{INVALID}: weight: '257' is not a number from 1 to 256"),
        ("pool mysite add 10.0.0.1 weight=x", f"{INVALID}: weight: 'x' is not a number from 1 to 256"),
        ("pool mysite add 10.0.0.1 wight=3", f"{INVALID}: wight=3 (did you mean 'weight'?)"),
        ("pool mysite remove 10.0.0.1 weight=3", f"{INVALID}: weight=3 has no meaning there"),
        ("pool mysite add 10.0.0.1 10.0.0.2", f"{INVALID}: 10.0.0.2 (one of weight=, max=, backup)"),
        ("pool mysite add 999.999.999.999", f"{INVALID}: '999.999.999.999': 999 is not between 0 and 255"),
        ("pool mysite remove 1.2.3.4:99999", f"{INVALID}: '1.2.3.4:99999': port 99999 is not between 1 and 65535"),
    ],
)  # fmt: skip
def test_a_line_gets_its_reply(stage: Stage, line: str, reply: str) -> None:
    stage.do("pool mysite add 10.0.0.100")
    assert stage.say(line) == [reply]


def test_without_dnspython_srv_records_are_refused_and_host_names_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_package, "INSTALLED", False)
    told = "ERROR: srv:_http._tcp.app.example: SRV records need the package dnspython: pip install 'wsgistack[dns]'"
    assert stage.say("pool mysite add srv:_http._tcp.app.example") == [told]
    assert stage.say("pool mysite remove srv:_http._tcp.app.example") == ["OK"]
    assert stage.say("pool mysite add localhost:8080") == ["OK"]
    assert stage.control.hosts() == ["localhost"]


def test_a_pool_may_be_called_like_an_action(stage: Stage) -> None:
    stage.do("create pool add", "pool add add 10.0.0.1", "pool remove add 10.0.0.1", "pool add add 10.0.0.2")
    assert stage.say("show pool add") == ["10.0.0.2:80 0", "."]


def test_an_existing_node_moves_to_the_end_and_counts_from_0(stage: Stage) -> None:
    stage.do("pool mysite add 10.0.0.1", "pool mysite add 10.0.0.2")
    stage.stats.node(0)["handed"] = 5
    assert stage.say("show pool mysite") == ["10.0.0.1:80 5", "10.0.0.2:80 0", "."]
    stage.do("pool mysite add 10.0.0.1")
    assert stage.say("show pool mysite") == ["10.0.0.2:80 0", "10.0.0.1:80 0", "."]
    assert stage.stats.resets == []


def test_a_weight_reaches_the_snapshot(stage: Stage) -> None:
    stage.do("pool mysite add 10.0.0.1 weight=3")
    assert stage.control.snapshot.pools["mysite"].nodes[0].weight == 3


def test_options_reach_the_snapshot(stage: Stage) -> None:
    stage.do("pool mysite add 10.0.0.1 max=20 backup", "pool mysite drain 10.0.0.1")
    node = stage.control.snapshot.pools["mysite"].nodes[0]
    assert (node.weight, node.max_connections, node.backup, node.draining) == (1, 20, True, True)


def test_a_drain_in_a_file_may_be_of_a_node_that_a_name_will_bring(stage: Stage) -> None:
    stage.session = Session.of_file({})
    assert stage.say("pool mysite drain 10.1.0.1") == []
