"""Nodes that refuse, hang, fail and slow down under load: found out soon, spared, and found back soon.

The limits are generous, for a machine that does other things too; the figures are printed (`pytest -s`).
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import Backend, Balancer, eventually, get, site
from tests.live.raw import exchange

USUAL_S = 0.1  # ten times that shows, whatever else the machine does


def behave(node: Backend, status: int = 200, delay_s: float = USUAL_S) -> None:
    assert get(node.address, f"/behave/{status}/{delay_s}")[0] == 200


def count(node: Backend) -> int:
    return int(get(node.address, "/count")[1])


def signal_node(node: Backend, number: signal.Signals) -> None:
    assert node.process is not None
    os.kill(node.process.pid, number)


@dataclass(frozen=True)
class Damage:
    """What is done to a node and undone, and what the log says when it is found out."""

    harm: Callable[[Backend], None]
    heal: Callable[[Backend], object]
    event: str
    hides_failures: bool = True  # from clients that send GET


def start_again(node: Backend) -> None:
    node.start()
    behave(node)


DAMAGES = {
    "refuses": Damage(lambda node: node.kill(), start_again, "node_(down|ejected)"),
    "hangs": Damage(
        lambda node: signal_node(node, signal.SIGSTOP),
        lambda node: signal_node(node, signal.SIGCONT),
        "node_(down|ejected)",
    ),
    "answers 500": Damage(lambda node: behave(node, 500), behave, "node_ejected", hides_failures=False),
    "is ten times slower": Damage(lambda node: behave(node, 200, 10 * USUAL_S), behave, "node_ejected"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_node_is_found_out_and_found_back(
    name: str, start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    damage = DAMAGES[name]
    nodes = [start_backend(one) for one in "abc"]
    for node in nodes:
        behave(node)
    balancer = start_balancer(site(nodes, service="SET node_first_byte_timeout = 1s"))
    with Load(balancer.site) as load:
        eventually(lambda: len(load.answers) == 3)
        time_out, share = _harm(balancer, load, nodes, damage)
        before = load.answers[b"b\n"]
        damage.heal(nodes[1])
        healed_at = time.monotonic()
        eventually(lambda: load.answers[b"b\n"] >= before + 5, what="the node gets nothing")
        time_back = time.monotonic() - healed_at
    print(
        f"{name}: found out in {time_out:.2f} s, then {share:.1%} of the traffic, back in {time_back:.2f} s"
    )
    assert share < 0.1
    if damage.hides_failures:
        assert load.failures == {}
    else:
        assert set(load.failures) <= {"status 500"}


def _harm(balancer: Balancer, load: Load, nodes: list[Backend], damage: Damage) -> tuple[float, float]:
    """Return how long it took to find the second node out, and its share of what came after."""
    began = time.monotonic()
    damage.harm(nodes[1])
    balancer.wait_for_log(rf" {damage.event} node={nodes[1].address} ")
    time_out = time.monotonic() - began
    handed = _handed(balancer, nodes)
    until = time.monotonic() + 3.0
    eventually(lambda: time.monotonic() > until)
    sent = [after - before for before, after in zip(handed, _handed(balancer, nodes), strict=True)]
    assert sum(sent) > 0
    return time_out, sent[1] / sum(sent)


def _handed(balancer: Balancer, nodes: list[Backend]) -> list[int]:
    """Return how many requests each node got, as the balancer counts: a stopped node cannot be asked."""
    lines = dict(line.split() for line in balancer.admin("show pool mypool")[:-1])
    return [int(lines[node.address]) for node in nodes]


def test_the_balancer_counts_as_the_nodes_do(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(one) for one in "abc"]
    balancer = start_balancer(site(nodes))
    with Load(balancer.site) as load:
        eventually(lambda: load.count > 300)
    assert _handed(balancer, nodes) == [count(node) for node in nodes]


def test_a_node_that_comes_back_grows_into_its_share(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(one) for one in "abc"]
    balancer = start_balancer(site(nodes, pool="SET slow_start = 2s"))
    with Load(balancer.site):
        nodes[1].kill()
        balancer.wait_for_log(rf" node_down node={nodes[1].address} ")
        nodes[1].start()
        eventually(lambda: f"{nodes[1].address} health mypool warming" in balancer.admin("nodes"))
        eventually(lambda: f"{nodes[1].address} health mypool up" in balancer.admin("nodes"))


def test_a_command_checks_a_node(start_backend: StartBackend, start_balancer: StartBalancer) -> None:
    nodes = [start_backend(one) for one in "ab"]
    balancer = start_balancer(
        site(nodes, pool="SET health_command = /usr/bin/test $PORT -ne\nSET health_check = command").replace(
            "$PORT", str(nodes[1].port)
        )
    )
    # test PORT_B -ne HOST PORT is a faulty expression: every node fails, and the reason is in the log.
    balancer.wait_for_log(rf" node_down node={nodes[1].address} ")
    assert balancer.get("/")[0] == 200  # in a panic all are used
    balancer.wait_for_log(r" pool_panic pool=mypool")


def is_asked_to_retry(balancer: Balancer) -> bool:
    answer = exchange(balancer.site, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return (
        answer.startswith(b"HTTP/1.1 503 ") and b"pool_open" in answer and b"\r\nRetry-After: 1\r\n" in answer
    )


def test_a_breaker_opens_and_says_so(start_backend: StartBackend, start_balancer: StartBalancer) -> None:
    nodes = [start_backend(one) for one in "ab"]
    for node in nodes:
        behave(node, 500)
    lines = "SET breaker_percent = 50\nSET breaker_requests = 20\nSET breaker_time = 1s"
    balancer = start_balancer(site(nodes, pool=lines))
    with Load(balancer.site, clients=4) as load:
        balancer.wait_for_log(r" pool_open pool=mypool reason=")
        eventually(lambda: load.failures["status 503"] > 0)
        balancer.wait_for_log(r"reason=pool_open")
        eventually(lambda: is_asked_to_retry(balancer))
        for node in nodes:
            behave(node)
        balancer.wait_for_log(r" pool_closed pool=mypool")
        before = load.count
        eventually(lambda: load.count > before + 20)
