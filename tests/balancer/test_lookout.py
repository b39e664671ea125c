"""Names and nodefiles followed: a real name server, real files, short intervals."""

import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tests.balancer.name_server import NameServer
from tests.balancer.stage import FakePorts, FakeStats
from wsgistack.balancer import dns_package
from wsgistack.balancer.control import Control, Session
from wsgistack.balancer.events import Log
from wsgistack.balancer.files import Disk
from wsgistack.balancer.lookout import Lookout, parse_servers


class Post:
    """A control plane with its lookout, and the log's lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.control = Control(ports=FakePorts(), stats=FakeStats(), files=Disk(), workers=1, started_at=0.0)
        log = Log(self.lines.append, clock=lambda: 0.0)
        self.lookout = Lookout(self.control, lambda fact: self.control.absorb(fact, 0.0), log, poll_s=0.02)

    def do(self, *lines: str) -> None:
        """Run commands and let the lookout follow."""
        for line in lines:
            self.control.attempt(line, Session(), 0.0)
        self.lookout.refresh()

    def nodes(self) -> list[str]:
        """Return the nodes of pool p."""
        return [node.address for node in self.control.snapshot.pools["p"].nodes]

    def wait_for(self, *expected: str) -> None:
        """Return once pool p has these nodes."""
        with gevent.Timeout(10, AssertionError(f"{self.nodes()} {self.lines}")):
            while self.nodes() != list(expected):
                gevent.sleep(0.01)

    def said(self, event: str) -> list[str]:
        """Return the log's lines of that event, without time and level."""
        return [line.split(" ", 2)[2] for line in self.lines if line.split(" ")[2] == event]


@pytest.fixture
def post() -> Iterator[Post]:
    """One with an empty pool p."""
    post = Post()
    post.do("create pool p")
    yield post
    post.lookout.stop()
    gevent.sleep(0)


@pytest.fixture
def server(post: Post) -> Iterator[NameServer]:
    """A name server that the control plane knows; its answers hold for 0 seconds, which is 1."""
    with NameServer() as server:
        server.zone["app.example.", "A"] = (0, ["10.0.0.1", "10.0.0.2"])
        post.do(
            f"server resolvers = {server.address[0]}:{server.address[1]}", "server resolve_timeout = 500ms"
        )
        yield server


def test_a_name_is_looked_up_again_when_its_answer_expires(post: Post, server: NameServer) -> None:
    post.do("pool p add app.example:8001")
    post.wait_for("10.0.0.1:8001", "10.0.0.2:8001")
    server.zone["app.example.", "A"] = (0, ["10.0.0.2", "10.0.0.3"])
    post.wait_for("10.0.0.2:8001", "10.0.0.3:8001")
    assert post.said("resolved") == [
        'resolved name=app.example leads="10.0.0.1, 10.0.0.2"',
        'resolved name=app.example leads="10.0.0.2, 10.0.0.3"',
    ]


def test_the_last_good_answer_stays_while_the_server_fails(post: Post, server: NameServer) -> None:
    post.do("pool p add app.example")
    post.wait_for("10.0.0.1:80", "10.0.0.2:80")
    server.troubles["app.example."] = "SERVFAIL"
    with gevent.Timeout(10):
        while not post.said("resolve_failed"):
            gevent.sleep(0.01)
    assert post.nodes() == ["10.0.0.1:80", "10.0.0.2:80"]
    assert "SERVFAIL" in post.said("resolve_failed")[0] and "kept=2" in post.said("resolve_failed")[0]
    server.troubles.clear()
    server.zone["app.example.", "A"] = (0, ["10.0.0.2", "10.0.0.4"])
    post.wait_for("10.0.0.2:80", "10.0.0.4:80")


def test_thousands_of_records_are_bounded_and_told(post: Post, server: NameServer) -> None:
    server.zone["app.example.", "A"] = (60, [f"10.2.{n // 250}.{n % 250 + 1}" for n in range(300)])
    post.do("server resolve_timeout = 5", "pool p add app.example")
    with gevent.Timeout(20):
        while not post.nodes():
            gevent.sleep(0.01)
    assert len(post.nodes()) == 256
    assert post.said("resolve_bounded") == ["resolve_bounded name=app.example used=256 dropped=44"]


def test_thousands_of_srv_records_are_bounded_and_told(post: Post, server: NameServer) -> None:
    server.zone["_x._tcp.example.", "SRV"] = (60, [f"0 0 {n} app.example." for n in range(1, 301)])
    server.zone["app.example.", "A"] = (60, ["10.0.0.1"])
    post.do("server resolve_timeout = 5", "pool p add srv:_x._tcp.example")
    with gevent.Timeout(20):
        while not post.nodes():
            gevent.sleep(0.01)
    assert len(post.nodes()) == 256
    assert post.said("resolve_bounded") == ["resolve_bounded name=srv:_x._tcp.example used=256 dropped=44"]


def test_a_name_that_nobody_wants_is_not_asked_for_any_more(post: Post, server: NameServer) -> None:
    post.do("pool p add app.example")
    post.wait_for("10.0.0.1:80", "10.0.0.2:80")
    post.do("pool p remove app.example", "pool p add 10.0.0.9")
    post.wait_for("10.0.0.9:80")
    assert post.lookout._names == {}


def test_other_resolvers_are_asked_at_once(post: Post, server: NameServer) -> None:
    server.zone["app.example.", "A"] = (3600, ["10.0.0.1"])
    post.do("pool p add app.example")
    post.wait_for("10.0.0.1:80")
    with NameServer() as other:
        other.zone["app.example.", "A"] = (3600, ["10.0.0.5"])
        post.do(f"server resolvers = {other.address[0]}:{other.address[1]}")
        post.wait_for("10.0.0.5:80")


def test_without_dnspython_a_name_leads_where_the_system_says(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_package, "INSTALLED", False)
    monkeypatch.setitem(sys.modules, "wsgistack.balancer.resolver", None)  # its import fails, as there
    post.do("server resolve_family = ipv4", "pool p add localhost:8001")
    post.wait_for("127.0.0.1:8001")
    assert post.said("resolved") == ["resolved name=localhost leads=127.0.0.1"]


def test_a_nodefile_is_followed_and_its_garbage_told(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("10.0.0.1\n\ngarbage\n")
    post.do(f"set p.nodefile = {file}")
    post.wait_for("10.0.0.1:80")
    with gevent.Timeout(10):
        while not post.said("nodefile_read"):
            gevent.sleep(0.01)
    file.write_text("10.0.0.2 weight=3\n")
    post.wait_for("10.0.0.2:80")
    assert post.said("nodefile_line") == [
        f"nodefile_line at={file}:3 line=garbage error=\"'garbage': in a nodefile a host name has a dot or a port\""
    ]
    file.unlink()
    with gevent.Timeout(10):
        while not post.said("nodefile_missing"):
            gevent.sleep(0.01)
    assert post.nodes() == ["10.0.0.2:80"]


def test_of_much_garbage_some_is_told(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("10.0.0.1\n")
    post.do(f"set p.nodefile = {file}")
    post.wait_for("10.0.0.1:80")
    file.write_text("garbage\n" * 500)
    with gevent.Timeout(10):
        while not post.said("nodefile_empty"):
            gevent.sleep(0.01)
    lines = post.said("nodefile_line")
    assert len(lines) == 21
    assert lines[-1] == f"nodefile_line at={file} suppressed=480"
    assert post.nodes() == ["10.0.0.1:80"]


def test_a_file_that_nobody_names_any_more_is_not_watched(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("10.0.0.1\n")
    post.do(f"set p.nodefile = {file}")
    post.wait_for("10.0.0.1:80")
    post.do("set p.nodefile = none")
    assert post.lookout._files == {}
    assert post.nodes() == ["10.0.0.1:80"]


def test_a_list_of_networks_is_followed_and_garbage_leaves_it_as_it_was(post: Post, tmp_path: Path) -> None:
    file = tmp_path / "deny"
    file.write_text("203.0.113.0/24\n")
    post.do("create service s", "set s.role = reverse_proxy", f"set s.deny_file = {file}")

    def wait_until(networks: int, event: str) -> None:
        with gevent.Timeout(10, AssertionError(f"{post.lines}")):
            while len(post.control.snapshot.lists[str(file)].ranges) != networks or not post.said(event):
                gevent.sleep(0.01)

    wait_until(1, "list_read")
    file.write_text("203.0.113.0/24\n198.51.100.7\n")
    wait_until(2, "list_read")
    file.write_text("203.0.113.0/24\nnobody\n" + "?\n" * 21)
    wait_until(2, "list_line")
    file.unlink()
    wait_until(2, "list_missing")
    file.write_text("# nobody is denied any more\n")
    wait_until(0, "list_read")
    assert post.said("list_read") == [f"list_read file={file} networks={n}" for n in (1, 2, 0)]
    said = post.said("list_line")
    assert said[0] == (
        f"list_line at={file}:2 error=\"'nobody' is not a network such as 10.0.0.0/8 or 2001:db8::/32\" kept=True"
    )
    assert (len(said), said[-1]) == (21, f"list_line at={file} suppressed=2 kept=True")


def test_servers_are_read_from_their_texts() -> None:
    assert parse_servers(("127.0.0.1:53", "[::1]:5353")) == (("127.0.0.1", 53), ("::1", 5353))
