"""A new program takes over under load, and what happens when it cannot."""

import http.client
import os
import re
import signal
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Event

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import Balancer, eventually, site
from tests.live.raw import exchange
from tests.live.scripted import ScriptedNode, answer

TIMES = range(int(os.environ.get("WSGISTACK_CHANGES", "2")))  # 50 in a thorough run


class Chain:
    """A balancer and its successors: `pid` is who is in charge; all are ended at the end."""

    def __init__(self, balancer: Balancer, pidfile: Path) -> None:
        self.balancer = balancer
        self.pidfile = pidfile
        self.pids = [balancer.pid]

    @property
    def pid(self) -> int:
        """Who is in charge, by the file."""
        return int(self.pidfile.read_text())

    def upgraded(self, count: int) -> None:
        """Return once *count* upgrades are done and those before have ended."""
        eventually(lambda: len(re.findall(r" upgraded pid=(\d+)", self.balancer.log)) >= count)
        found = [int(pid) for pid in re.findall(r" upgraded pid=(\d+)", self.balancer.log)]
        self.pids = [self.balancer.pid, *found]
        eventually(lambda: len(re.findall(r" predecessor_ended", self.balancer.log)) >= count, within_s=60)

    def end(self) -> None:
        """End whoever is left, with the workers."""
        pids = [int(pid) for pid in re.findall(r" (?:upgraded|upgrading) pid=(\d+)", self.balancer.log)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in pids:
            eventually(lambda: not is_running(pid), within_s=40)  # noqa: B023 - it is called at once


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def count_answers(balancer: Balancer) -> int:
    """Return what Prometheus sees of the answers of the site."""
    with urllib.request.urlopen(f"http://{balancer.admin_address}/metrics", timeout=30) as page:
        text = page.read().decode()
    found = re.findall(r'(?m)^wsgistack_responses_total\{.*service="mysite".*\} (.*)$', text)
    assert len(found) == 5
    return sum(int(float(number)) for number in found)


@pytest.fixture
def chain(start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path) -> object:
    """A balancer with two nodes and a pidfile."""
    nodes = [start_backend(name) for name in "ab"]
    pidfile = tmp_path / "pid"
    text = site(nodes, more=f"SERVER pidfile = {pidfile}\nSERVER drain_timeout = 10")
    chain = Chain(start_balancer(text), pidfile)
    yield chain
    chain.end()


@pytest.mark.timeout(600)
def test_upgrades_under_load_fail_no_request(chain: Chain) -> None:
    assert chain.pid == chain.balancer.pid
    with Load(chain.balancer.site) as load:
        eventually(lambda: load.count > 50)
        for number in TIMES:
            if number % 2:
                assert chain.balancer.admin("upgrade") == ["OK"]
            else:
                os.kill(chain.pid, signal.SIGUSR2)
            chain.upgraded(number + 1)
            assert chain.pid == chain.pids[-1]
            before = load.count
            eventually(lambda: load.count > before + 100)  # noqa: B023 - it is called at once
    assert load.failures == {}
    assert chain.balancer.wait() == 0


def test_what_was_known_is_handed_over(chain: Chain) -> None:
    balancer = chain.balancer
    address = re.search(r"POOL mypool ADD (\S+)", balancer.file.read_text())
    assert address is not None
    for _ in range(20):
        balancer.get("/")
    assert balancer.admin(f"pool mypool drain {address[1]}") == ["OK"]
    before = sum(int(line.split()[-1]) for line in balancer.admin("nodes") if " requests " in line)
    answered = count_answers(balancer)
    assert answered >= 20
    assert balancer.admin("upgrade") == ["OK"]
    assert count_answers(balancer) >= answered
    chain.upgraded(1)
    assert count_answers(balancer) >= answered
    assert balancer.admin("diff") == [f"POOL DRAIN mypool {address[1]}", "."]
    lines = balancer.admin("nodes")
    assert f"{address[1]} health mypool up" in lines
    assert sum(int(line.split()[-1]) for line in lines if " requests " in line) >= before >= 20
    assert balancer.admin("upgrade") == ["OK"]
    chain.upgraded(2)
    assert sum(int(line.split()[-1]) for line in balancer.admin("nodes") if " requests " in line) >= before
    assert count_answers(balancer) >= answered


def test_a_request_that_runs_is_finished_by_the_old_one(chain: Chain) -> None:
    connection = http.client.HTTPConnection(chain.balancer.site, timeout=30)
    connection.request("GET", "/slow/3")
    assert chain.balancer.admin("upgrade") == ["OK"]
    assert chain.balancer.get("/")[0] == 200
    response = connection.getresponse()
    assert (response.status, response.read() in (b"a\n", b"b\n")) == (200, True)
    connection.close()
    chain.upgraded(1)


def test_sessions_that_were_learned_stay_with_their_nodes(
    start_balancer: StartBalancer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        gate = Event()
        nodes = [stack.enter_context(ScriptedNode(sets_cookie(number, gate))) for number in range(2)]
        pidfile = tmp_path / "pid"
        service = "SET sticky = learn\nSET sticky_cookie = sid"
        more = f"SERVER pidfile = {pidfile}"
        chain = Chain(
            start_balancer(site([one.backend for one in nodes], service=service, more=more)), pidfile
        )
        stack.callback(chain.end)
        balancer = chain.balancer
        eventually(lambda: {balancer.get("/")[1] for _ in range(4)} == {b"0", b"1"})
        for count in (1, 2):
            gate.clear()
            late = stack.enter_context(closing(http.client.HTTPConnection(balancer.site, timeout=30)))
            late.request("GET", "/late")
            assert balancer.admin("upgrade") == ["OK"]
            gate.set()
            drawn = late.getresponse().read()
            chain.upgraded(count)
            assert {exchange(balancer.site, ask_with("late"))[-1:] for _ in range(6)} == {drawn}
            for number, node in enumerate(nodes):
                told = balancer.admin(f"explain GET / Cookie: sid=s{number}")
                assert f"session sid: sticks to {node.address}" in told
                answers = {exchange(balancer.site, ask_with(f"s{number}"))[-1:] for _ in range(6)}
                assert answers == {b"%d" % number}


def sets_cookie(number: int, gate: Event) -> Callable[[bytes], bytes]:
    """Return the script of a node that begins a session at each request, always the same; /late waits for *gate*."""

    def script(head: bytes) -> bytes:
        if b"/late" not in head:
            return answer(200, b"%d" % number, f"Set-Cookie: sid=s{number}")
        gate.wait(30)
        return answer(200, b"%d" % number, "Set-Cookie: sid=late")

    return script


def ask_with(session: str) -> bytes:
    """Return a request of that session."""
    return f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: sid={session}\r\n\r\n".encode()


def test_a_wrong_file_leaves_the_old_one_in_charge(chain: Chain) -> None:
    text = chain.balancer.file.read_text()
    chain.balancer.file.write_text(text.replace("SET pool", "SET pol"))
    with Load(chain.balancer.site) as load:
        (reply,) = chain.balancer.admin("upgrade")
        assert reply == ("ERROR: it ended with status 2; what it said stands in the log; nothing was changed")
        assert "Unknown service parameter 'pol' (did you mean 'pool'?)" in chain.balancer.log
        before = load.count
        eventually(lambda: load.count > before + 100)
    assert load.failures == {}
    assert chain.pid == chain.balancer.pid
    chain.balancer.file.write_text(text)
    assert chain.balancer.admin("upgrade") == ["OK"]
    chain.upgraded(1)


def test_another_number_of_workers_is_taken_over_by_an_upgrade(chain: Chain) -> None:
    text = chain.balancer.file.read_text()
    with Load(chain.balancer.site) as load:
        for number, workers in enumerate((3, 1), start=1):
            chain.balancer.file.write_text(text.replace("workers = 2", f"workers = {workers}"))
            assert chain.balancer.admin("upgrade") == ["OK"]
            chain.upgraded(number)
            before = load.count
            eventually(lambda: load.count > before + 100)  # noqa: B023 - it is called at once
    assert load.failures == {}


def test_an_admin_port_on_a_unix_socket_moves_too(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    more = (
        f"SERVER pidfile = {pidfile}\nCREATE SERVICE inner\nSET role = reverse_proxy\nSET pool = mypool\n"
        f"SET listen = unix:{tmp_path}/site\nENABLE inner"
    )
    balancer = start_balancer(site([start_backend("a")], more=more))
    chain = Chain(balancer, pidfile)
    try:
        assert balancer.admin("upgrade") == ["OK"]
        chain.upgraded(1)
        assert (tmp_path / "site").is_socket()
        assert balancer.admin("show service inner")[0] == "SERVICE inner"
    finally:
        chain.end()
    assert not (tmp_path / "site").exists()
    assert not pidfile.exists()
