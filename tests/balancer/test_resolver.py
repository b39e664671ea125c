"""Names looked up at a real name server on this machine, which misbehaves as the test says."""

import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tests.balancer.name_server import NameServer
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.resolver import Answer, Resolver


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server that knows app.example and its like."""
    with NameServer() as server:
        server.zone |= {
            ("app.example.", "A"): (60, ["10.0.0.1", "10.0.0.2"]),
            ("six.example.", "AAAA"): (50, ["2001:db8::1"]),
            ("dual.example.", "A"): (60, ["10.0.0.3"]),
            ("dual.example.", "AAAA"): (40, ["2001:db8::3"]),
            ("alias.example.", "CNAME"): (20, ["app.example."]),
            ("empty.example.", "TXT"): (60, ["nothing"]),
            ("_http._tcp.app.example.", "SRV"): (
                30,
                ["10 5 8001 one.example.", "10 1 8002 two.example.", "20 9 8003 spare.example."],
            ),
            ("one.example.", "A"): (90, ["10.1.0.1"]),
            ("two.example.", "A"): (15, ["10.1.0.2", "10.1.0.3"]),
            ("spare.example.", "CNAME"): (90, ["app.example."]),
        }
        yield server


@pytest.fixture
def resolver(server: NameServer) -> Resolver:
    """A resolver that asks it and reads no file."""
    return make(server)


def make(*servers: NameServer, family: str = "any", timeout_s: float = 5.0) -> Resolver:
    addresses = tuple(server.address for server in servers)
    return Resolver(addresses, family=family, timeout_s=timeout_s, hosts="/nonexistent")


def hosts(answer: Answer) -> list[str]:
    return sorted(record.host for record in answer.records)


@pytest.mark.parametrize(
    ("family", "name", "expected", "ttl_s"),
    [
        ("any", "app.example", ["10.0.0.1", "10.0.0.2"], 60.0),
        ("any", "six.example", ["2001:db8::1"], 50.0),
        ("any", "dual.example", ["10.0.0.3"], 60.0),
        ("both", "dual.example", ["10.0.0.3", "2001:db8::3"], 40.0),
        ("ipv6", "dual.example", ["2001:db8::3"], 40.0),
        ("ipv4", "dual.example", ["10.0.0.3"], 60.0),
        ("any", "alias.example", ["10.0.0.1", "10.0.0.2"], 20.0),
    ],
)
def test_a_name_has_the_addresses_of_its_family_until_the_shortest_ttl_is_over(
    server: NameServer, family: str, name: str, expected: list[str], ttl_s: float
) -> None:
    answer = make(server, family=family).resolve(name)
    assert (hosts(answer), answer.ttl_s, answer.detail) == (expected, ttl_s, "")


def test_srv_records_lead_to_the_addresses_of_their_targets(resolver: Resolver) -> None:
    answer = resolver.resolve("srv:_http._tcp.app.example")
    assert set(answer.records) == {
        Record("10.1.0.1", 8001, 5),
        Record("10.1.0.2", 8002, 1),
        Record("10.1.0.3", 8002, 1),
        Record("10.0.0.1", 8003, 9, backup=True),
        Record("10.0.0.2", 8003, 9, backup=True),
    }
    assert answer.ttl_s == 15.0


def test_a_target_that_is_not_there_is_left_out_one_that_fails_fails_all(
    server: NameServer, resolver: Resolver
) -> None:
    server.troubles["one.example."] = "NXDOMAIN"
    assert hosts(resolver.resolve("srv:_http._tcp.app.example"))[-2:] == ["10.1.0.2", "10.1.0.3"]
    server.troubles["one.example."] = "SERVFAIL"
    answer = resolver.resolve("srv:_http._tcp.app.example")
    assert answer.records == () and answer.detail.endswith("SERVFAIL")


def test_a_service_that_is_not_available_leads_nowhere(server: NameServer, resolver: Resolver) -> None:
    server.zone["_off._tcp.app.example.", "SRV"] = (30, ["0 0 0 ."])
    assert resolver.resolve("srv:_off._tcp.app.example") == Answer((), detail="no target has an address")


def test_srv_records_beyond_the_bound_are_counted_and_those_of_high_priority_kept(
    server: NameServer, resolver: Resolver
) -> None:
    low, high = [f"9 0 {n} one.example." for n in range(1, 301)], ["1 0 9000 one.example."]
    server.zone["_many._tcp.app.example.", "SRV"] = (30, low + high)
    answer = resolver.resolve("srv:_many._tcp.app.example")
    assert (len(answer.records), answer.dropped) == (256, 45)
    assert answer.records[0] == Record("10.1.0.1", 9000, 1)


def test_an_alias_into_another_zone_is_followed(server: NameServer, resolver: Resolver) -> None:
    server.zone["far.example.", "CNAME"] = (25, ["app.example."])
    del server.zone["app.example.", "A"]
    with NameServer() as other:
        other.zone["app.example.", "A"] = (60, ["10.9.0.1"])
        server.troubles["app.example."] = "REFUSED"
        answer = make(server, other).resolve("far.example")
    assert (hosts(answer), answer.ttl_s) == (["10.9.0.1"], 25.0)


def test_aliases_that_never_end_are_given_up(server: NameServer) -> None:
    names = [f"a{n}.example." for n in range(12)]
    with NameServer() as other:
        for n, name in enumerate(names[:-1]):
            (server if n % 2 else other).zone[name, "CNAME"] = (5, [names[n + 1]])
            (other if n % 2 else server).troubles[name] = "REFUSED"
        answer = make(server, other).resolve("a0.example")
    assert answer == Answer((), detail="more than 8 aliases")


@pytest.mark.parametrize(
    ("trouble", "detail"),
    [
        ("SERVFAIL", "SERVFAIL"),
        ("REFUSED", "REFUSED"),
        ("NXDOMAIN", "no such name"),
        ("silent", "no answer"),
        ("garbage", "no answer"),
    ],
)
def test_a_failure_has_its_reason(server: NameServer, trouble: str, detail: str) -> None:
    server.troubles["app.example."] = trouble
    says_something = trouble.isupper()
    answer = make(server, timeout_s=10 if says_something else 0.1).resolve("app.example")
    assert answer.records == ()
    assert answer.detail.endswith(detail)


def test_a_name_without_addresses_leads_nowhere(resolver: Resolver) -> None:
    assert resolver.resolve("empty.example") == Answer((), detail="no such name")


@pytest.mark.parametrize("trouble", ["forged", "no EDNS"])
def test_strange_servers_are_coped_with(server: NameServer, resolver: Resolver, trouble: str) -> None:
    server.troubles["app.example."] = trouble
    assert hosts(resolver.resolve("app.example")) == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("trouble", ["SERVFAIL", "silent", "garbage"])
def test_the_next_server_is_asked(server: NameServer, trouble: str) -> None:
    with NameServer() as other:
        other.troubles["app.example."] = trouble
        assert hosts(make(other, server, timeout_s=0.5).resolve("app.example")) == ["10.0.0.1", "10.0.0.2"]


def test_thousands_of_records_come_over_tcp(server: NameServer) -> None:
    resolver = make(server, timeout_s=5)  # the test's server takes its time
    server.zone["large.example.", "A"] = (60, [f"10.2.{n // 250}.{n % 250 + 1}" for n in range(3000)])
    assert len(resolver.resolve("large.example").records) == 3000
    assert [transport for transport, *_ in server.asked] == ["udp", "tcp"]
    server.troubles["large.example."] = "cut"
    assert resolver.resolve("large.example").detail.endswith("closed within a response")


def test_others_go_on_while_a_server_is_silent(server: NameServer) -> None:
    server.troubles["app.example."] = "silent"
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0.01)
            turns += 1

    counter = gevent.spawn(count)
    began = time.monotonic()
    make(server, timeout_s=0.2).resolve("app.example")
    counter.kill()
    assert time.monotonic() - began >= 0.4
    assert turns >= 5


def test_search_domains_and_ndots_of_resolv_conf_hold(server: NameServer, tmp_path: Path) -> None:
    host, port = server.address
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {host}\nsearch nope.example example\noptions ndots:2\n")
    resolver = Resolver(hosts="/nonexistent", resolv_conf=str(file), timeout_s=0.5)
    config = resolver._config()
    assert config.servers == (("127.0.0.1", 53),)
    # Port 53 is not ours: the same search with the port of the test's server.
    resolver._config = lambda: type(config)(((host, port),), config.search, config.ndots)  # type: ignore[method-assign]
    assert hosts(resolver.resolve("app")) == ["10.0.0.1", "10.0.0.2"]
    assert [name for _, name, _ in server.asked] == [
        "app.nope.example.",
        "app.nope.example.",
        "app.example.",
    ]
    server.asked.clear()
    assert hosts(resolver.resolve("two.example")) == ["10.1.0.2", "10.1.0.3"]
    assert server.asked[-1][1] == "two.example."


def test_the_hosts_file_comes_first(server: NameServer, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(
        "127.0.0.9 other\n# 10.9.9.9 app.example\n10.5.0.1\tAPP.example app # here\n10.5.0.2 app\n::7 app\nx app\n"
    )
    resolver = Resolver((server.address,), family="both", hosts=str(file))
    assert hosts(resolver.resolve("app.example")) == ["10.5.0.1"]
    assert hosts(resolver.resolve("app")) == ["10.5.0.1", "10.5.0.2", "::7"]
    assert resolver.resolve("app").ttl_s == 10.0
    assert server.asked == []


def test_localhost_is_asked_of_the_system_alone(server: NameServer, resolver: Resolver) -> None:
    answer = resolver.resolve("localhost")
    assert hosts(answer) == ["127.0.0.1"]
    assert answer.ttl_s == 30.0
    assert server.asked == []


def test_without_resolv_conf_the_system_is_asked() -> None:
    resolver = Resolver(hosts="/nonexistent", resolv_conf="/nonexistent")
    assert resolver.resolve("nothing.invalid").records == ()
    assert resolver.resolve("nothing.invalid").detail != ""
