"""Thousands of hostile connections on both ports: an answer or a clean end each, and nothing grows."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.live.link import Link, keep_requests
from tests.live.proc import descriptors, rss_bytes, settles
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

SETTINGS = "SET client_header_timeout = 2s\nSET client_body_timeout = 2s\nSET buffer_backend_connect = 0"
STEPS = 400  # hostile connections after the warm-up, of each kind of port
MIB = 2**20
CHUNKED = b"Transfer-Encoding: chunked"
POST = b"POST / HTTP/1.1"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("hostile"), SETTINGS)
    made.serve(keep_requests)
    yield made
    made.end()


Attack = Callable[[random.Random], bytes]

ATTACKS: list[Attack] = [
    lambda rng: rng.randbytes(rng.choice([1, 30, 3000])),
    lambda rng: rng.randbytes(300).replace(b"\n", b"\r\n") + b"\r\n\r\n",
    lambda rng: make_request(line=b"GET /" + b"a" * 65536 + b" HTTP/1.1"),
    lambda rng: make_request(*(b"X-%d: 1" % i for i in range(1000))),
    lambda rng: make_request(b"X: " + b"a" * 60000),
    lambda rng: make_request(b"Content-Length: 5", b"Content-Length: 6", line=POST, body=b"hello"),
    lambda rng: make_request(CHUNKED, line=POST, body=b"5\r\nhello\r\n" + rng.randbytes(20) + b"\r\n"),
    lambda rng: make_request(CHUNKED, line=POST, body=b"ffffffffffffffff\r\n"),
    lambda rng: make_request(CHUNKED, line=POST, body=b"1\r\nx\r\n" * 50 + b"0\r\n" + b"X: y\r\n" * 2000),
    lambda rng: make_request() * 20 + b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    lambda rng: make_request(b"Content-Length: 100000", line=POST, body=b"x" * rng.randrange(2000)),
    lambda rng: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    lambda rng: mutate(rng, make_request(b"Content-Length: 5", b"Cookie: a", line=POST, body=b"hello")),
]  # fmt: skip

COMMANDS: list[Attack] = [
    lambda rng: rng.randbytes(rng.choice([1, 30, 3000])),
    lambda rng: rng.randbytes(300) + b"\r\n",
    lambda rng: b"a" * 100000,
    lambda rng: b"\r\n" * 500 + b"\n" * 500,
    lambda rng: b"\xff\xf4\xff\xfd\x06" * 50 + b"\r\n",
    lambda rng: b"nodes\r\nstates\r\nshow service\r\n" * 20,
    lambda rng: b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    lambda rng: b"${ip:lo} $HOME = = = # x\r\nset\r\npool\r\npool mypool add\r\nuse nothing\r\n",
    lambda rng: mutate(rng, b"pool nopool addd 127.0.0.1:9\r\nshow pool mypool\r\nheader mysite insert A\r\nsocks\r\n"),
]  # fmt: skip


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Return *data* with some bytes changed, doubled or gone, and sometimes cut."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(out))
        out[at : at + rng.randrange(2)] = rng.randbytes(rng.randrange(3))
    return bytes(out[: rng.randrange(1, len(out))] if rng.random() < 0.3 else out)


def attack(address: str, rng: random.Random, attacks: list[Attack]) -> bytes:
    """Make one hostile connection, end it in some way, and return what it was answered."""
    with Link.to(address) as link, suppress(ConnectionResetError, BrokenPipeError):
        link.send(rng.choice(attacks)(rng))
        how = rng.choice(["finish", "finish", "finish", "reset", "close"])
        if how == "finish":
            link.finish()
            return link.rest()
        if how == "reset":
            link.reset()
    return b""


def check_no_growth(stage: Stage, pid: int, address: str, attacks: list[Attack], seed: int) -> list[bytes]:
    """Attack, once to warm up and then STEPS times: the process keeps its size; return the answers."""
    rng = random.Random(seed)
    for _ in range(STEPS // 2):
        attack(address, rng, attacks)
    files, memory = settles(lambda: descriptors(pid)), rss_bytes(pid)
    answers = [attack(address, rng, attacks) for _ in range(STEPS)]
    eventually(lambda: descriptors(pid) <= files + 4, what=f"{files} files before, {descriptors(pid)} after")
    assert rss_bytes(pid) - memory < 2 * MIB, f"seed {seed}: grew by {rss_bytes(pid) - memory} bytes"
    return answers


@pytest.mark.rule(48)
@pytest.mark.parametrize("seed", range(3))
def test_hostile_clients_get_an_answer_or_a_clean_end(stage: Stage, seed: int) -> None:
    answers = check_no_growth(stage, stage.workers[0], stage.balancer.site, ATTACKS, seed)
    for one in answers:
        assert one == b"" or one.startswith(b"HTTP/1.1 "), f"seed {seed}: {one[:100]!r}"
    assert sum(one.startswith(b"HTTP/1.1 4") for one in answers) > STEPS // 5
    eventually(lambda: stage.clients() == 0, what="connections are left")
    assert stage.say(make_request(b"Connection: close")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.rule(48)
@pytest.mark.parametrize("seed", range(2))
def test_hostile_operators_get_an_answer_or_a_clean_end(stage: Stage, seed: int) -> None:
    supervisor = stage.balancer.pid
    answers = check_no_growth(stage, supervisor, stage.balancer.admin_address, COMMANDS, seed)
    for one in answers:
        assert one == b"" or one.endswith(b"\r\n"), f"seed {seed}: {one[-100:]!r}"
    assert sum(b"ERROR" in one for one in answers) > STEPS // 5
    assert stage.balancer.admin("uptime")[-1] == "."
    assert stage.balancer.pid == supervisor
    assert stage.balancer.is_running()


@pytest.mark.rule(48)
def test_a_crowd_of_hostile_clients_at_once_is_survived(stage: Stage) -> None:
    rng = random.Random(48)
    with ExitStack() as stack:
        for number in range(1000):
            link = stack.enter_context(Link.to(stage.balancer.site))
            with suppress(ConnectionResetError, BrokenPipeError):
                link.send(ATTACKS[number % len(ATTACKS)](rng)[:4000])
        assert stage.say(make_request(b"Connection: close")).startswith(b"HTTP/1.1 200 ")
    eventually(lambda: stage.clients() == 0, what="connections are left")


@pytest.mark.rule(48)
@pytest.mark.parametrize("seed", range(2))
def test_hostile_nodes_cost_a_502_each(stage: Stage, seed: int) -> None:
    rng = random.Random(seed)

    def serve(link: Link, _: object) -> None:
        link.until(b"\r\n\r\n")
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"
        link.send(
            rng.choice([mutate(rng, good), rng.randbytes(200), b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000, b""])
        )
        if rng.random() < 0.3:
            link.reset()

    stage.serve(serve)
    pid = stage.workers[0]
    for step in range(STEPS):
        if step == STEPS // 2:
            files, memory = settles(lambda: descriptors(pid)), rss_bytes(pid)
        answer = stage.say(make_request(b"Connection: close", b"Content-Length: 0", line=POST))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 "), f"seed {seed}, step {step}: {answer[:100]!r}"
    eventually(lambda: descriptors(pid) <= files + 4)
    assert rss_bytes(pid) - memory < 2 * MIB
    stage.serve(keep_requests)
    sound = make_request(b"Connection: close")
    eventually(
        lambda: stage.say(sound).startswith(b"HTTP/1.1 200 "), what="a node that recovered gets nothing"
    )
