"""POSTs whose ids the nodes keep, while nodes reset, hang and are killed: none twice, none lost in silence."""

import http.client
import random
import signal
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.chaos.site import NodeProcess
from tests.live.conftest import StartBalancer
from tests.live.processes import Backend, Balancer, eventually, site
from tests.live.scripted import HALF, HANG, RESET, ScriptedNode, answer

CLIENTS = 8
SETTINGS = "SET node_first_byte_timeout = 1s\nSET enable_error_retries = on"


class Posts:
    """Clients that POST until `stop`, each request with an id of its own; `answers` has the status of each."""

    def __init__(self, address: str) -> None:
        self.answers: dict[str, int] = {}
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what runs."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, client: int) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        number = 0
        while not self._over.is_set():
            number += 1
            ident = f"{client}.{number}."
            connection.request("POST", "/", b"hello", {"X-Id": ident})
            response = connection.getresponse()
            response.read()
            self.answers[ident] = response.status
            if response.will_close:
                connection.close()
        connection.close()

    def failed(self) -> set[str]:
        """Return the ids that were not answered with 200."""
        return {ident for ident, status in self.answers.items() if status != 200}


def ident_of(head: bytes) -> str:
    return next(line[6:].decode() for line in head.split(b"\r\n") if line.lower().startswith(b"x-id: "))


def start(start_balancer: StartBalancer, addresses: list[str]) -> Balancer:
    nodes = [Backend() for _ in addresses]
    for node, address in zip(nodes, addresses, strict=True):
        node.address = address
    return start_balancer(site(nodes, pool="SET mypool.health_check = tcp", service=SETTINGS))


def test_a_post_that_a_node_lost_is_told_and_no_other_is(start_balancer: StartBalancer) -> None:
    rng = random.Random(7)
    harmed: dict[str, bytes] = {}

    def script(head: bytes) -> bytes:
        ident = ident_of(head)
        does = rng.choice([RESET, HALF, HANG, answer(500)]) if rng.random() < 0.06 else answer(200)
        if does != answer(200):
            harmed[ident] = does
        return does

    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(script)) for _ in range(3)]
        posts = Posts(start(start_balancer, [node.address for node in nodes]).site)
        eventually(lambda: len(posts.answers) > 600 and len(harmed) > 12, within_s=60.0)
        posts.stop()
        reached = Counter(ident_of(head) for node in nodes for head in node.requests)
        assert max(reached.values()) == 1
        told = {RESET: 502, HALF: 502, HANG: 504, answer(500): 500}
        assert {ident: posts.answers[ident] for ident in posts.failed()} == {
            ident: told[does] for ident, does in harmed.items()
        }


def test_a_post_in_a_node_that_is_killed_gets_502_and_runs_nowhere_else(
    start_balancer: StartBalancer, tmp_path: Path
) -> None:
    nodes = [NodeProcess(name, tmp_path) for name in "abc"]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.end)
            node.start()
        posts = Posts(start(start_balancer, [f"127.0.0.1:{node.port}" for node in nodes]).site)
        for node in nodes:
            before = len(posts.answers)
            eventually(lambda before=before: len(posts.answers) > before + 100)  # type: ignore[misc]
            node.signal(signal.SIGKILL)
            before = len(posts.answers)
            eventually(lambda before=before: len(posts.answers) > before + 100)  # type: ignore[misc]
            node.start()
        posts.stop()
        executed = Counter(line for node in nodes for line in node.log.read_text().split())
        assert max(executed.values()) == 1
        # At most one of each client was in flight at each death, and it is told.
        assert len(posts.failed()) <= 3 * CLIENTS
        assert {posts.answers[ident] for ident in posts.failed()} <= {502}
        assert {ident for ident, status in posts.answers.items() if status == 200} <= set(executed)
