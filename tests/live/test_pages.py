"""A service with a page cache: workers, keeper and nodes as real processes, one balancer for all of it."""

import http.client
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.live.link import Link, ScriptNode, answer, read_request
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

FRESH = b"Cache-Control: max-age=600"
BLOCK = bytes(1 << 20)
BIG_BLOCKS = 1024 if "WSGISTACK_LONG" in os.environ else 24  # MiB; 1 GiB in a thorough run


class Nodes:
    """Answers `GET /path` with the path and how often it was asked for; *hold* makes them wait."""

    def __init__(self) -> None:
        self.asked: dict[bytes, int] = {}
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()

    def __call__(self, link: Link, node: ScriptNode) -> None:
        while True:
            request = read_request(link)
            method, target, _ = request.lines[0].split(b" ")
            path = target.partition(b"?")[0]
            count = self.asked[path] = self.asked.get(path, 0) + 1
            self.reached.set()
            self.free.wait(20)
            if path == b"/big":
                link.send(b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n" % (FRESH, BIG_BLOCKS << 20))
                for _ in range(BIG_BLOCKS):
                    link.send(BLOCK)
                continue
            if path == b"/large":
                link.send(answer(b"%d" % len(request.body)))
                continue
            tag = b"Cache-Tag: news" if path.startswith(b"/news") else b"X-None: 1"
            body = b"%b %d" % (path, count)
            link.send(answer(b"" if method == b"HEAD" else body, FRESH, tag, b'ETag: "%d"' % count))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cache = "CREATE CACHE pages\nSET purge_from = 127.0.0.1\nSET mysite.cache = pages\nUSE mysite"
    stage = Stage(tmp_path_factory.mktemp("pages"), cache, workers=2)
    yield stage
    stage.end()


@pytest.fixture
def nodes(stage: Stage) -> Nodes:
    nodes = Nodes()
    stage.serve(nodes)
    return nodes


@pytest.fixture
def ask(stage: Stage) -> Callable[..., tuple[bytes, bytes]]:
    """Return what asks for a path and gives (body, Cache-Status)."""

    def ask(path: str, *fields: bytes, method: str = "GET") -> tuple[bytes, bytes]:
        line = f"{method} {path} HTTP/1.1".encode()
        head, _, body = stage.say(make_request(b"Connection: close", *fields, line=line)).partition(
            b"\r\n\r\n"
        )
        said = re.search(rb"\r\nCache-Status: ([^\r]*)", head)
        return body, said[1] if said else head

    return ask


Ask = Callable[..., tuple[bytes, bytes]]


def keeper_pid(stage: Stage) -> int:
    """Return the process of the keeper that was started last."""
    return int(re.findall(r" keeper_started pid=(\d+)", stage.balancer.log)[-1])


def test_a_page_is_asked_for_once_whoever_answers(nodes: Nodes, ask: Ask) -> None:
    body, said = ask("/a")
    assert (body, said[:24], said[-8:]) == (b"/a 1", b"wsgistack; fwd=uri-miss;", b"; stored")
    for _ in range(6):  # of the keeper, then of either worker
        body, said = ask("/a")
        assert body == b"/a 1"
        assert said.startswith(b"wsgistack; hit; ttl=")
    assert nodes.asked == {b"/a": 1}


def test_a_page_that_is_purged_is_gone_for_all_workers_when_ok_is_said(
    stage: Stage, nodes: Nodes, ask: Ask
) -> None:
    for purge in ("purge http://a/news", "tag news", "ban path=/new*", "pages ban everything"):
        before = ask("/news")[0]
        assert {ask("/news")[0] for _ in range(4)} == {before}
        assert stage.balancer.admin(f"cache {purge}") == ["OK"]
        assert {ask("/news")[0] for _ in range(4)} == {b"/news %d" % (int(before.split()[1]) + 1)}


def test_a_page_on_its_way_when_it_is_purged_is_kept_by_nobody(stage: Stage, nodes: Nodes, ask: Ask) -> None:
    nodes.free.clear()
    nodes.reached.clear()
    got: list[bytes] = []
    fill = threading.Thread(target=lambda: got.append(ask("/race")[0]))
    fill.start()
    assert nodes.reached.wait(20)
    assert stage.balancer.admin("cache purge http://a/race") == ["OK"]
    nodes.free.set()
    fill.join(20)
    assert got == [b"/race 1"]
    assert {ask("/race")[0] for _ in range(5)} == {b"/race 2"}


def test_a_purge_by_http_is_obeyed_from_an_address_that_may(nodes: Nodes, ask: Ask) -> None:
    assert ask("/h")[0] == ask("/h")[0] == b"/h 1"
    assert ask("/h", method="PURGE")[0] == b"purged\n"
    assert ask("/h")[0] == b"/h 2"


def test_whoever_is_signed_in_goes_past_it_and_a_change_of_theirs_counts(nodes: Nodes, ask: Ask) -> None:
    session = b"Cookie: sessionid=1"
    assert ask("/mine")[0] == b"/mine 1"
    body, said = ask("/mine", session)
    assert (body, said) == (b"/mine 2", b"wsgistack; fwd=bypass; detail=cookie:sessionid")
    assert ask("/mine")[0] == b"/mine 1"
    assert ask("/mine", session, b"Content-Length: 0", method="POST")[0] == b"/mine 3"
    assert ask("/mine")[0] == b"/mine 4"


def test_parts_and_conditions_are_answered_by_the_keeper(stage: Stage, nodes: Nodes, ask: Ask) -> None:
    ask("/part")
    assert ask("/part", b"Range: bytes=0-4")[0] == b"/part"
    assert stage.say(
        make_request(b"Connection: close", b'If-None-Match: "1"', line=b"GET /part HTTP/1.1")
    ).startswith(b"HTTP/1.1 304 ")
    assert ask("/part", method="HEAD")[0] == b""
    assert nodes.asked == {b"/part": 1}


def test_a_large_body_passes_in_pieces(stage: Stage, nodes: Nodes) -> None:
    size = 16 << 20
    before = memory_kb(stage)
    line = b"POST /large HTTP/1.1"
    with stage.open(make_request(b"Content-Length: %d" % size, line=line)) as link:
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            link.send(block)
        assert link.response()[2] == b"%d" % size
    assert memory_kb(stage) - before < 8 * 1024


@pytest.mark.timeout(600)
def test_a_large_page_passes_in_pieces_and_its_head_at_once(stage: Stage, nodes: Nodes) -> None:
    before, taken = memory_kb(stage), 0
    with stage.open(make_request(line=b"GET /big HTTP/1.1")) as link:
        head = link.until(b"\r\n\r\n")
        assert b"\r\nContent-Length: %d\r\n" % (BIG_BLOCKS << 20) in head
        assert b"detail=too-large" in head
        while taken < BIG_BLOCKS << 20:
            taken += len(link.take(1 << 20))
    assert memory_kb(stage) - before < 8 * 1024


def test_a_client_that_leaves_while_a_page_is_made_takes_nothing_along(
    stage: Stage, nodes: Nodes, ask: Ask
) -> None:
    pid = keeper_pid(stage)
    nodes.free.clear()
    nodes.reached.clear()
    leaving = stage.open(make_request(line=b"GET /left HTTP/1.1"))
    assert nodes.reached.wait(20)
    clients = stage.clients()
    leaving.reset()
    got: list[bytes] = []
    staying = threading.Thread(target=lambda: got.append(ask("/left")[0]))
    try:
        eventually(lambda: stage.clients() < clients, what="who left is still counted")
        staying.start()
    finally:
        nodes.free.set()
    staying.join(20)
    assert len(got) == 1
    body = ask("/left")[0]
    assert {ask("/left")[0] for _ in range(4)} == {body}
    assert keeper_pid(stage) == pid


def test_operators_purge_by_http_too(stage: Stage, nodes: Nodes, ask: Ask) -> None:
    def run(line: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(stage.balancer.admin_address, timeout=20)
        with closing(connection):
            fields = {"Content-Type": "application/json"}
            connection.request("POST", "/admin/run", json.dumps({"line": line}), fields)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    assert ask("/by-http")[0] == ask("/by-http")[0] == b"/by-http 1"
    assert "decision: 200 from the store (RFC 9111 §4)" in run("cache trace http://a/by-http")["lines"]
    assert run("cache purge http://a/by-http")["ok"] is True
    assert {ask("/by-http")[0] for _ in range(4)} == {b"/by-http 2"}
    refused = run("cache prge http://a/")
    assert (refused["ok"], "did you mean 'purge'?" in str(refused)) == (False, True)


def memory_kb(stage: Stage) -> int:
    """Return the most memory that the keeper ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{keeper_pid(stage)}/status").read_text())
    assert found is not None
    return int(found[1])


def test_operators_see_what_it_did_and_would_do(stage: Stage, nodes: Nodes, ask: Ask) -> None:
    ask("/seen")
    lines = stage.balancer.admin("cache trace http://a/seen")
    assert [line for line in lines if line.startswith("decision")] == [
        "decision: 200 from the store (RFC 9111 §4)"
    ]
    assert any(re.fullmatch(r"pages uri-miss \d+", line) for line in stage.balancer.admin("cache stats"))
    assert stage.balancer.admin("cache prge http://a/") == [
        "ERROR: cache prge: a cache or one of purge, softpurge, tag, ban, stats, trace is meant (did you mean 'purge'?)"
    ]


def test_a_keeper_that_dies_is_missed_by_nobody(stage: Stage, nodes: Nodes, ask: Ask) -> None:
    assert ask("/k")[0] == ask("/k")[0] == ask("/k")[0] == b"/k 1"
    pid = keeper_pid(stage)
    os.kill(pid, signal.SIGKILL)
    for _ in range(10):
        body, _said = ask("/k")
        assert re.fullmatch(rb"/k \d+", body)
    eventually(lambda: keeper_pid(stage) != pid, what="no other keeper was started")
    eventually(lambda: ask("/k")[1].startswith(b"wsgistack; hit"), what="pages are not kept again")
