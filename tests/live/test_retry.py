"""What is sent again, and what never is, with real sockets: nodes that hang, reset, and answer 5xx."""

import os
import re
import signal
import socket
import time
from contextlib import ExitStack

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import Backend, Balancer, eventually, get, site
from tests.live.raw import exchange
from tests.live.scripted import HALF, HANG, LONE, LONE_CHUNKED, RESET, ScriptedNode, answer

UNCHECKED = "SET mypool.health_check = none\nSET mypool.eject_failures = 0"


def patience(bad: bytes) -> str:
    """Return the time of one try: short only for a node that says nothing, for a busy machine is slow."""
    return "SET node_first_byte_timeout = 1s" if bad == HANG else ""


def start(start_balancer: StartBalancer, nodes: list[ScriptedNode], service: str = "") -> Balancer:
    return start_balancer(site([n.backend for n in nodes], workers=1, pool=UNCHECKED, service=service))


def put_key(key: str, method: str = "POST") -> bytes:
    return f"{method} / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("bad", [RESET, HALF, HANG, answer(503), answer(502), answer(504)])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_idempotent_request_is_answered_by_another_node(
    start_balancer: StartBalancer, bad: bytes, method: str
) -> None:
    with ScriptedNode(lambda head: bad) as first, ScriptedNode(lambda head: answer(200)) as second:
        balancer = start(start_balancer, [first, second], patience(bad))
        for _ in range(20):
            assert balancer.get("/", method=method)[0] == 200
        assert first.count() >= 1
        assert second.count() == 20


@pytest.mark.parametrize("bad", [LONE, LONE_CHUNKED])
@pytest.mark.parametrize("cache", ["", "SET cache = pages"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_a_node_that_dies_between_head_and_body_has_not_answered(
    start_balancer: StartBalancer, bad: bytes, cache: str, method: str
) -> None:
    with ScriptedNode(lambda head: bad) as first, ScriptedNode(lambda head: answer(200)) as second:
        pool = f"{UNCHECKED}\nCREATE CACHE pages"
        nodes = [first.backend, second.backend]
        balancer = start_balancer(site(nodes, workers=1, pool=pool, service=cache))
        for _ in range(12):
            assert balancer.get("/", method=method)[0] == 200
        assert first.count() >= 1
        assert second.count() == 12


def test_a_head_whose_body_is_slow_reaches_the_client_before_it(start_balancer: StartBalancer) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    node = Backend()
    node.address = f"127.0.0.1:{listener.getsockname()[1]}"
    balancer = start_balancer(site([node], workers=1, pool=UNCHECKED))
    host, _, port = balancer.site.partition(":")
    with listener, socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        origin, _ = listener.accept()
        with origin:
            assert b"GET / " in origin.recv(65536)
            origin.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            origin.sendall(b"hi")
            assert client.recv(65536) == b"hi"


@pytest.mark.parametrize(
    ("bad", "status"), [(RESET, 502), (HALF, 502), (HANG, 504), (answer(503), 503), (answer(500), 500)]
)
def test_a_post_is_never_sent_twice(start_balancer: StartBalancer, bad: bytes, status: int) -> None:
    with ScriptedNode(lambda head: bad) as first, ScriptedNode(lambda head: bad) as second:
        balancer = start(start_balancer, [first, second], patience(bad) + "\nSET enable_error_retries = on")
        for number in range(6):
            assert balancer.get(f"/{number}x", method="POST", body=b"hello")[0] == status
            assert first.count(b"/%dx " % number) + second.count(b"/%dx " % number) == 1


def test_a_post_goes_to_another_node_when_nothing_was_sent(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: b"") as dead:
        pass  # closed from here on
    with ScriptedNode(lambda head: answer(200)) as live:
        balancer = start(start_balancer, [dead, live])
        for _ in range(20):
            assert balancer.get("/", method="POST", body=b"hello")[0] == 200
        assert live.count() == 20
        assert any("connect" in line for line in balancer.wait_for_log(r"node_failed .*"))


@pytest.mark.parametrize(("setting", "status"), [("on", 200), ("off", 502)])
def test_a_post_with_an_idempotency_key_is_sent_again_if_the_operator_says_so(
    start_balancer: StartBalancer, setting: str, status: int
) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: RESET)) for _ in range(2)]
        balancer = start(start_balancer, nodes, f"SET retry_idempotency_key = {setting}")
        nodes[1].script = lambda head: answer(200)
        got = {exchange(balancer.site, put_key(str(n))).split()[1] for n in range(16)}
        assert got == ({b"200"} if status == 200 else {b"200", b"502"})
        assert balancer.get("/", method="POST", body=b"x")[0] in (200, 502)


def test_a_node_that_stands_still_costs_the_time_of_one_try(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "abc"]
    balancer = start_balancer(site(nodes, service="SET node_first_byte_timeout = 1s"))
    with Load(balancer.site) as load:
        eventually(lambda: len(load.answers) == 3)
        assert nodes[1].process is not None
        os.kill(nodes[1].process.pid, signal.SIGSTOP)
        balancer.wait_for_log(r"node_failed .*phase=timeout")
        before = load.count
        eventually(lambda: load.count > before + 300)
        os.kill(nodes[1].process.pid, signal.SIGCONT)
    assert load.failures == {}


def test_the_only_node_is_asked_once_more_after_a_reset(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: RESET if node.count() == 1 else answer(200)) as node:
        balancer = start(start_balancer, [node])
        assert balancer.get("/")[0] == 200
        assert node.count() == 2


@pytest.mark.parametrize(("bad", "status"), [(RESET, 502), (HANG, 504), (answer(503, b"busy"), 503)])
def test_where_no_try_succeeds_the_client_gets_the_last_failure(
    start_balancer: StartBalancer, bad: bytes, status: int
) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: bad)) for _ in range(3)]
        balancer = start(start_balancer, nodes, patience(bad))
        got, body = balancer.get("/")
        assert got == status
        assert (body == b"busy") is (status == 503)
        assert sum(node.count() for node in nodes) == (4 if bad == RESET else 3)


def test_the_limit_ends_it_earlier(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: RESET)) for _ in range(3)]
        balancer = start(start_balancer, nodes, "SET retry_limit = 1")
        assert balancer.get("/")[0] == 502
        assert sum(node.count() for node in nodes) == 2
        assert balancer.admin("SET mysite.retry_limit = 0") == ["OK"]
        assert balancer.get("/")[0] == 502
        assert sum(node.count() for node in nodes) == 3


def test_the_deadline_is_for_all_tries_together(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: HANG)) for _ in range(3)]
        service = "SET node_first_byte_timeout = 1s\nSET request_timeout = 1500ms"
        balancer = start(start_balancer, nodes, service)
        began = time.monotonic()
        assert balancer.get("/")[0] == 504
        assert time.monotonic() - began > 1.4
        # Never the third, at 2 s; a machine that stands still meanwhile leaves no time for the second.
        assert sum(node.count() for node in nodes) in (1, 2)


def test_a_500_is_asked_again_by_the_schedule_and_the_last_one_is_passed_on(
    start_balancer: StartBalancer,
) -> None:
    service = "SET enable_error_retries = on\nSET error_retry_schedule = 0,.2,.3"
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: answer(500, b"no"))) for _ in range(2)]
        balancer = start(start_balancer, nodes, service)
        began = time.monotonic()
        assert balancer.get("/") == (500, b"no")
        assert time.monotonic() - began > 0.5
        assert sum(node.count() for node in nodes) == 4
        assert min(node.count() for node in nodes) >= 1
        codes = [line for line in balancer.admin("nodes") if "responsecodes 500" in line]
        assert sum(int(line.split()[-1]) for line in codes) == 4


def test_a_500_that_goes_away_is_not_seen(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: answer(500) if node.count() < 3 else answer(200, b"ok")) as node:
        service = "SET enable_error_retries = on\nSET error_retry_schedule = 0,0,.1,.1"
        balancer = start(start_balancer, [node], service)
        assert balancer.get("/") == (200, b"ok")
        assert node.count() == 3
        # A short answer was read whole: its connection served the next try.
        assert node.connections == 1


def test_the_budget_is_for_the_worst_of_times(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(ScriptedNode(lambda head: answer(503, b"busy"))) for _ in range(2)]
        balancer = start(start_balancer, nodes, "SET retry_budget = 0")
        assert {balancer.get("/") for _ in range(60)} == {(503, b"busy")}
        # A window of ten seconds may end on the way: at most two of them.
        assert 90 <= sum(node.count() for node in nodes) <= 120
        assert balancer.wait_for_log(r"not_sent_again service=mysite reason=retry_budget")


def test_what_is_not_listed_is_passed_on(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(ScriptedNode(lambda head: answer(503, b"busy", "Connection: close")))
            for _ in range(2)
        ]
        balancer = start(start_balancer, nodes, "SET retry_on = none")
        assert get(balancer.site) == (503, b"busy")
        for node in nodes:
            node.script = lambda head: RESET
        assert get(balancer.site)[0] == 502
        assert sum(node.count() for node in nodes) == 2


def test_what_is_no_reason_is_told_on_the_admin_port(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: answer(200)) as node:
        balancer = start(start_balancer, [node])
        told = balancer.admin("SET mysite.retry_on = conect,503")
        assert told == ["ERROR: retry_on: 'conect' is not a reason to try again (did you mean 'connect'?)"]
        dump = balancer.admin("dumpconfig")
        assert not [line for line in dump if re.search("retry", line)]
