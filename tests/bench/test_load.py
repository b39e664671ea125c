"""bench/native: the load generator counts what the origin sent, and calls an error an error."""

import socket
import threading
from collections.abc import Iterator

import pytest

from bench.rig import BenchError, Cores, Rig, Target, ask, open_rig

pytestmark = pytest.mark.live
GREETING: dict[str, float | str] = {"greet": "/small", "greet_length": 7}
NO_ERRORS = {"connect": 0, "status": 0, "length": 0, "framing": 0, "truncated": 0, "late": 0}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with open_rig(Cores(None, None, None)) as opened:
        yield opened


def port(rig: Rig) -> int:
    return int(rig.nodes[0].rpartition(":")[2])


@pytest.mark.parametrize(
    ("path", "length"),
    [("/small/1", 7), ("/10k", 10_000), ("/10k/1", 10_000), ("/big/3000000", 3_000_000), ("/big/1", 1)],
)
@pytest.mark.parametrize("connections", [1, 7])
def test_every_response_is_counted_once(rig: Rig, path: str, length: int, connections: int) -> None:
    options = {"connections": connections, "requests": 50, "seconds": 20}
    with rig.load(port(rig), Target(path, length), options) as load:
        window = load.go()
    assert window.errors == NO_ERRORS
    assert (window.responses, window.bytes) == (50, 50 * length)
    assert (window.connections, window.reopened) == (connections, 0)


def test_the_small_response_has_130_bytes_in_all(rig: Rig) -> None:
    with socket.create_connection(("127.0.0.1", port(rig)), timeout=5) as client:
        client.sendall(b"GET /small HTTP/1.0\r\n\r\n")
        parts = iter(lambda: client.recv(4096), b"")
        assert len(b"".join(parts)) == 130


def test_the_request_looks_like_a_browser_s(rig: Rig) -> None:
    with rig.load(port(rig), Target("/small", 7), {"connections": 1}) as load:
        assert 250 <= load.ready.request_bytes <= 300


def test_each_request_has_a_url_of_its_own_when_they_are_distinct(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []
        answering = threading.Thread(target=note_targets, args=(server, asked))
        answering.start()
        options = {"connections": 1, "requests": 3, "seconds": 20, "distinct": 1}
        with rig.load(server.getsockname()[1], Target("/a", 7), options) as load:
            assert [load.go().responses, load.go().responses] == [3, 3]
        answering.join()
    assert asked == [b"/a/00000000%d" % number for number in range(7)]  # the first one greets


def note_targets(server: socket.socket, asked: list[bytes]) -> None:
    """Answer one connection until it ends, and note what it asks for."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            if line.startswith(b"GET "):
                asked.append(line.split()[1])
            elif line == b"\r\n":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsmall.\n")


def test_the_origin_echoes_the_head_that_it_received(rig: Rig) -> None:
    status, body = ask(port(rig), "/head")
    assert (status, body.splitlines()[0]) == (200, b"GET /head HTTP/1.1")
    assert b"Host: shop.example" in body.splitlines()


def test_another_status_is_what_must_come_when_it_is_asked_for(rig: Rig) -> None:
    with rig.load(port(rig), Target("/failing", 7), {"connections": 2, "requests": 5, "status": 500}) as load:
        assert (load.go().responses, load.go().errors) == (5, NO_ERRORS)
    options = {"connections": 1, "status": 429}
    with pytest.raises(BenchError, match="'status': 1"), rig.load(port(rig), Target("/small", 7), options):
        pass


@pytest.mark.parametrize(
    ("path", "length", "fault"),
    [
        ("/failing", 7, "status"),
        ("/small", 8, "length"),
        ("/10k", 7, "length"),
        ("/truncated", 100, "truncated"),
    ],
)
def test_a_wrong_response_is_an_error(rig: Rig, path: str, length: int, fault: str) -> None:
    options = GREETING | {"connections": 3, "requests": 20, "seconds": 20}
    with rig.load(port(rig), Target(path, length), options) as load:
        window = load.go()
    assert window.errors == NO_ERRORS | {fault: 20}
    assert (window.responses, window.bytes) == (0, 0)


def test_a_connection_that_the_peer_closed_is_opened_again_and_counted(rig: Rig) -> None:
    options = GREETING | {"connections": 2, "requests": 10, "seconds": 20}
    with rig.load(port(rig), Target("/truncated", 100), options) as load:
        assert load.go().reopened >= 8


def test_who_cannot_connect_is_told(rig: Rig) -> None:
    with (
        pytest.raises(BenchError, match="0 of 2 connected"),
        rig.load(1, Target("/small", 7), {"connections": 2}),
    ):
        pass


def test_a_window_begins_with_every_line_and_counts_anew(rig: Rig) -> None:
    options = {"connections": 4, "requests": 12, "seconds": 20, "warm": 0.05}
    with rig.load(port(rig), Target("/small", 7), options) as load:
        assert [load.go().responses, load.go().responses] == [12, 12]


def test_a_paced_window_makes_as_many_requests_as_were_due(rig: Rig) -> None:
    options = {"connections": 8, "requests": 200, "seconds": 20, "rate": 2000}
    with rig.load(port(rig), Target("/small", 7), options) as load:
        window = load.go()
    assert (window.responses, window.errors) == (200, NO_ERRORS)
    assert window.seconds > 0.05  # 200 arrivals at 2,000 a second take about 0.1 s


def test_latency_counts_from_when_a_request_was_due(rig: Rig) -> None:
    # 300 requests due at once for one connection: the last one waits for all the others.
    options = {"connections": 1, "requests": 300, "seconds": 20, "rate": 100_000_000}
    with rig.load(port(rig), Target("/small", 7), options) as load:
        window = load.go()
    assert window.p50_us <= window.p99_us <= window.p999_us <= window.max_us
    assert window.max_us * 1e-6 > 0.8 * window.seconds


def test_connections_take_turns_when_few_may_ask_at_once(rig: Rig) -> None:
    options = {"connections": 50, "requests": 50, "seconds": 20, "at_once": 2}
    with rig.load(port(rig), Target("/small", 7), options) as load:
        window = load.go()
    assert (window.responses, window.connections, window.reopened) == (50, 50, 0)
