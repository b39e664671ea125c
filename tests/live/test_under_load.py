"""Under load: nodes and workers killed, nodes removed, the balancer shut down."""

import os
import signal

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import eventually, site

TIMES = range(int(os.environ.get("WSGISTACK_CHANGES", "1")))  # 50 in a thorough run


def test_a_node_killed_under_load_fails_no_get(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "abc"]
    balancer = start_balancer(site(nodes))
    with Load(balancer.site) as load:
        eventually(lambda: len(load.answers) == 3)
        nodes[1].kill()
        before = load.count
        eventually(lambda: load.count > before + 300)
        nodes[1].start()
        back = load.answers[b"b\n"]
        eventually(lambda: load.answers[b"b\n"] > back, what="the node that came back gets nothing")
    assert load.failures == {}


def test_a_node_removed_under_load_fails_no_request(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    balancer = start_balancer(site(nodes))
    with Load(balancer.site) as load:
        eventually(lambda: len(load.answers) == 2)
        assert balancer.admin(f"pool mypool remove {nodes[1].address}") == ["OK"]
        # Requests that ran at the time of the OK may still be read by their clients: one each.
        late, before = load.answers[b"b\n"], load.count
        eventually(lambda: load.count > before + 300)
        assert load.answers[b"b\n"] <= late + 12
        settled = load.answers[b"b\n"]
        eventually(lambda: load.count > before + 600)
        assert load.answers[b"b\n"] == settled
    assert load.failures == {}


@pytest.mark.parametrize("time", TIMES)
def test_a_killed_worker_is_replaced_and_loses_only_its_own(
    time: int, start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(site([start_backend("a")]))
    with Load(balancer.site) as load:
        eventually(lambda: load.count > 100)
        first = balancer.worker_pids()
        os.kill(first[0], signal.SIGKILL)
        balancer.wait_for_log(r" worker_started ", count=3)
        before = load.count
        eventually(lambda: load.count > before + 200)
    assert sum(load.failures.values()) <= 12, load.failures
    assert len(set(balancer.worker_pids()) - set(first)) == 1
    eventually(lambda: f"{balancer.admin('nodes')[0].split()[0]} inflight 0" in balancer.admin("nodes"))


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("how", ["admin", "signal"])
def test_a_graceful_shutdown_under_load_fails_no_request(
    how: str, time: int, start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(site([start_backend("a")]))
    with Load(balancer.site) as load:
        eventually(lambda: load.count > 100)
        load.closing.set()
        if how == "admin":
            assert balancer.admin("shutdown graceful") == ["OK"]
        else:
            balancer.signal(signal.SIGTERM)
        assert balancer.wait() == 0
    assert load.failures == {}


def test_dead_nodes_are_answered_for_at_once_and_found_when_back(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    node = start_backend("a")
    balancer = start_balancer(site([node]))
    assert balancer.get("/")[0] == 200
    node.kill()
    assert balancer.get("/")[0] in (502, 503)
    eventually(lambda: balancer.get("/")[0] == 503, what="the checks do not see the dead node")
    node.start()
    eventually(lambda: balancer.get("/")[0] == 200, what="the node that came back gets nothing")
