"""The balancer's own life: limits of connections, ports that move, ends of every kind."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.link import Link, ScriptNode, answer, read_request
from tests.live.load import Load
from tests.live.proc import descriptors, rss_bytes
from tests.live.processes import Backend, Balancer, choose_port, eventually, site
from tests.live.stage import make_request

CLOSE = b"Connection: close"


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many files as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Held(ScriptNode):
    """A node that answers each request when `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        super().__init__(self.hold)

    def hold(self, link: Link, _: ScriptNode) -> None:
        while True:
            self.received.append(read_request(link))
            self.go.wait(60)
            link.send(answer(b"held"))

    @property
    def backend(self) -> Backend:
        """What `site` wants of a node."""
        backend = Backend()
        backend.address = self.address
        return backend


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_2000_idle_connections_cost_little_and_are_all_served(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(
        site([start_backend("a")], workers=1, service="SET persist_client_idle_timeout = 60s")
    )
    (pid,) = balancer.worker_pids()
    assert balancer.get("/")[0] == 200
    memory, files = rss_bytes(pid), descriptors(pid)
    with ExitStack() as stack:
        links = [stack.enter_context(Link.to(balancer.site)) for _ in range(2000)]
        for link in (*links, *links[::10]):
            link.send(make_request())
            assert link.response()[::2] == (200, b"a\n")
        assert descriptors(pid) > 2000
        assert rss_bytes(pid) - memory < 2000 * 4096
    eventually(lambda: descriptors(pid) < files + 20, what="connections are left")


def test_max_connections_are_served_and_one_more_is_told_to_wait(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    text = site([start_backend("a")], workers=1, more="SERVER max_connections = 40")
    balancer = start_balancer(text)
    with ExitStack() as stack:
        links = [stack.enter_context(Link.to(balancer.site)) for _ in range(40)]
        for link in links:
            link.send(make_request())
            assert link.response()[0] == 200
        for _ in range(5):
            with Link.to(balancer.site) as refused:
                status, head, _ = refused.response()
                assert status == 503
                assert b"Retry-After: 1\r\n" in head
                assert refused.rest() == b""
        assert balancer.wait_for_log("reason=too_many_connections")
        links[0].send(make_request(CLOSE))
        assert links[0].response()[0] == 200
        eventually(lambda: balancer.get("/")[0] == 200, what="the freed place is not given")
        for link in links[1:]:
            link.send(make_request())
            assert link.response()[0] == 200


def is_gone(pid: int) -> bool:
    """Tell whether the process has ended, be it a zombie for want of a parent that waits."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_workers_whose_supervisor_is_killed_finish_what_runs_and_end(start_balancer: StartBalancer) -> None:
    node = Held()
    balancer = start_balancer(site([node.backend], workers=2))
    pids = balancer.worker_pids()
    with Link.to(balancer.site, make_request()) as link, Link.to(balancer.site) as idle:
        eventually(lambda: len(node.received) == 1)
        began = time.monotonic()
        os.kill(balancer.pid, signal.SIGKILL)
        balancer.wait()
        eventually(lambda: refuses(balancer.site), what="the port is still open")
        node.go.set()
        assert link.response()[::2] == (200, b"held")
        assert link.rest() == b""
        assert idle.rest() == b""
    # The idle connection had no request yet; client_header_timeout (20 s) is not waited for.
    assert time.monotonic() - began < 15
    eventually(lambda: all(is_gone(pid) for pid in pids), what="a worker is left")
    node.stop()


def refuses(address: str) -> bool:
    try:
        Link.to(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_graceful_shutdown_with_a_limit_cuts_what_takes_longer(start_balancer: StartBalancer) -> None:
    node = Held()
    balancer = start_balancer(site([node.backend], workers=2))
    with Link.to(balancer.site, make_request()) as link:
        eventually(lambda: len(node.received) == 1)
        began = time.monotonic()
        assert balancer.admin("shutdown graceful 1") == ["OK"]
        assert balancer.wait() == 0
        assert 0.9 < time.monotonic() - began < 30
        assert link.rest() == b""
    assert " drain_cut " in balancer.log
    node.go.set()
    node.stop()


def test_a_graceful_shutdown_with_a_limit_does_not_wait_for_it(start_balancer: StartBalancer) -> None:
    node = Held()
    balancer = start_balancer(site([node.backend], workers=2))
    with Link.to(balancer.site, make_request()) as link:
        eventually(lambda: len(node.received) == 1)
        assert balancer.admin("shutdown graceful 60") == ["OK"]
        eventually(lambda: refuses(balancer.site))
        assert balancer.is_running()
        node.go.set()
        status, head, body = link.response()
        assert (status, body) == (200, b"held")
        assert b"Connection: close\r\n" in head
        assert balancer.wait() == 0
    assert " drain_cut " not in balancer.log
    node.stop()


def test_a_service_that_moves_under_load_fails_no_request(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer: Balancer = start_balancer(site([start_backend("a"), start_backend("b")]))
    old, new = balancer.site, f"127.0.0.1:{choose_port()}"
    with Load(old, clients=8) as before:
        eventually(lambda: before.count > 100)
        before.closing.set()  # from here on the old port may refuse, and nothing else
        assert balancer.admin(f"SET mysite.listen = {new}") == ["OK"]
        with Load(new, clients=8) as after:
            eventually(lambda: after.count > 300)
            eventually(lambda: refuses(old), what="the old port is still open")
            for _ in range(5):
                both = f"{new}, {old}"
                assert balancer.admin(f"SET mysite.listen = {both}") == ["OK"]
                assert balancer.admin(f"SET mysite.listen = {new}") == ["OK"]
            count = after.count
            eventually(lambda: after.count > count + 100)
        assert after.failures == {}
    assert before.failures == {}


def test_it_starts_where_stdin_and_stdout_are_closed(tmp_path: Path) -> None:
    file = tmp_path / "balancer.conf"
    file.write_text(
        "CREATE POOL p\nPOOL p ADD 127.0.0.1:9\nCREATE SERVICE s\nSET role = reverse_proxy\nSET pool = p\n"
        f"SET listen = 127.0.0.1:{choose_port()}\nENABLE s"
    )
    command = ["sh", "-c", 'exec "$0" -m wsgistack balancer "$1" <&- >&-', sys.executable, str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:  # it ends when the start is refused
            said.append(line)
            if " info ready " in line:
                process.terminate()
        assert " info ready " in "".join(said), said
    assert process.returncode == 0
