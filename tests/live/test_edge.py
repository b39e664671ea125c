"""The edge under seeded rounds of sound, half-sound and hostile visits at once; `make fuzz` makes many.

tests/live/edge_*.py: what is sent (fuzz), what it means (model), who answers (node), what must hold (check).
The tables below show that a wrong answer and a smuggled request would be seen.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.edge_check import check_answers, check_node
from tests.live.edge_fuzz import Plan
from tests.live.edge_model import make_mark, read_stream
from tests.live.edge_run import Edge
from tests.simulation.seeds import make_seeds

TOGETHER = 4  # rounds in one test, which has to end in time
SEEDS = make_seeds(TOGETHER)
WARM = 3  # rounds until a worker has its size
MIB = 2**20


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    made = Edge(tmp_path_factory.mktemp("edge"))
    try:
        yield made
    finally:
        made.end()


@pytest.mark.slow
@pytest.mark.rule(48)
@pytest.mark.parametrize(
    "seeds", [SEEDS[at : at + TOGETHER] for at in range(0, len(SEEDS), TOGETHER)], ids=str
)
def test_no_visit_and_no_node_breaks_the_edge(edge: Edge, seeds: range) -> None:
    for seed in seeds:
        edge.round(seed)
        if edge.rounds == WARM:
            edge.note_size()
    if edge.rounds > WARM:
        files, size = edge.growth()
        assert files <= 24, "a node's connections are kept, and some more are no growth, but these are many"
        assert size < 8 * MIB


# -- what the model says ---------------------------------------------------------------------

POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "bodies", "end"),
    [
        pytest.param(NEXT + NEXT, [b"", b""], "end", id="two"),
        pytest.param(POST + b"Content-Length: 2\r\n\r\nhi" + NEXT, [b"hi", b""], "end", id="length"),
        pytest.param(POST + b"Content-Length: +2\r\n\r\nhi" + NEXT, [], "fault", id="sign"),
        pytest.param(POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", [], "fault", id="two lengths"),
        pytest.param(
            POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [], "fault", id="both"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: Chunked\r\n\r\n02;a=\"\\\"\"\r\nhi\r\n0\r\nX: y\r\n\r\n" + NEXT,
            [b"hi", b""], "end", id="chunks",
        ),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhixx0\r\n\r\n", [b"hi"], "fault", id="no CRLF"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n", [b""], "fault", id="LF"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", [b"hi"], "partial", id="no end"),
        pytest.param(POST + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n", [], "fault", id="coding"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", [], "fault", id="space"),
        pytest.param(POST + b"Content-Length: 9\r\n\r\nhi", [b"hi"], "partial", id="cut"),
        pytest.param(POST + b"Connection: close\r\n\r\n" + NEXT, [b""], "close", id="close"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n" + NEXT, [b""], "close", id="1.0"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + NEXT, [], "fault", id="CONNECT"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", [], "fault", id="no Host"),
        pytest.param(NEXT[:-2], [], "partial", id="half a head"),
    ],
)  # fmt: skip
def test_the_model_reads_what_the_standard_says(data: bytes, bodies: list[bytes], end: str) -> None:
    stream = read_stream(data)
    assert ([one.body for one in stream.asked], stream.end) == (bodies, end)


def test_the_model_knows_a_tunnel_and_an_absolute_target() -> None:
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nX-T-Do: switch\r\n\r\n"
    stream = read_stream(b"GET http://b?q HTTP/1.1\r\nHost: a\r\n" + upgrade + b"any\0thing")
    assert (stream.tunnel, stream.rest, stream.end) == (1, b"any\0thing", "partial")
    assert (stream.asked[0].target, stream.asked[0].host) == (b"/?q", b"b")


# -- what would be seen ----------------------------------------------------------------------


def saw(method: str, target: str, body: str = "", *, whole: bool = True) -> dict[str, Any]:
    return {"method": method, "target": target, "host": "a", "ours": [], "body": body, "whole": whole}


def plan(data: bytes, *, sound: bool = False) -> Plan:
    return Plan([data], "finish", hasty=False, sound=sound)


CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
HIDDEN = POST + b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT


@pytest.mark.parametrize(
    ("data", "log", "words"),
    [
        pytest.param(HIDDEN, [saw("POST", "/a", NEXT.decode()), saw("GET", "/b")], "nobody asked", id="smuggled"),
        pytest.param(HIDDEN, [saw("POST", "/a"), saw("GET", "/b")], "instead of|nobody", id="framed anew"),
        pytest.param(CHUNKS, [saw("POST", "/a", "hi")], "instead of", id="half looks whole"),
        pytest.param(CHUNKS, [saw("POST", "/a", "ho", whole=False)], "instead of", id="other bytes"),
        pytest.param(CHUNKS + b"0\r\n\r\n", [saw("POST", "/a", "hi")] * 2, "2 times", id="a POST twice"),
        pytest.param(NEXT, [saw("get", "/b")], "nobody asked", id="another method"),
        pytest.param(NEXT, [saw("GET", "/b") | {"host": "b"}], "instead of", id="another host"),
        pytest.param(NEXT, [{"fault": "framed twice"}], "cannot read", id="a fault"),
    ],
)  # fmt: skip
def test_a_request_that_nobody_framed_so_is_seen(data: bytes, log: list[Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_node([plan(data)], json.loads(json.dumps(log)))


def test_what_was_asked_for_is_no_fault() -> None:
    log = [saw("POST", "/a", "hi"), saw("GET", "/b"), saw("GET", "/b"), saw("POST", "/a", "h", whole=False)]
    assert check_node([plan(CHUNKS + b"0\r\n\r\n"), plan(NEXT), plan(CHUNKS)], log) == 4


MARK = b"X-Mark: " + make_mark(b"GET", b"/b") + b"\r\n"
GOOD = b"HTTP/1.1 200 OK\r\n" + MARK + b"Content-Length: 10\r\n\r\nhelloworld"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param(GOOD * 2, "2 answers", id="one too many"),
        pytest.param(GOOD.replace(MARK, b"X-Mark: <0>\r\n"), "another request", id="somebody else's"),
        pytest.param(GOOD + b"poison", "beyond", id="stray bytes"),
        pytest.param(GOOD[:-1], "cut", id="cut"),
        pytest.param(b"", "0 answers", id="none"),
        pytest.param(GOOD.replace(b"200", b"502"), "502", id="502"),
        pytest.param(GOOD.replace(b"\r\nX", b"\r\nTransfer-Encoding: chunked\r\nX"), "framed twice", id="framed twice"),
        pytest.param(GOOD.replace(b"200 OK", b"OK"), "no status", id="no status"),
        pytest.param(GOOD.replace(b"X-Mark", b"X Mark"), "no field", id="no field"),
        pytest.param(GOOD.replace(b"Content-Length: 10\r\n", b""), "ended by nothing", id="unframed"),
        pytest.param(b"HTTP/1.1 101 X\r\n" + MARK + b"\r\n", "asked for none", id="101"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_seen(answers: bytes, words: str) -> None:
    check_answers(plan(NEXT, sound=True), GOOD)
    with pytest.raises(AssertionError, match=words):
        check_answers(plan(NEXT, sound=True), answers)


def test_an_answer_that_its_node_broke_must_not_look_whole() -> None:
    short = plan(b"GET /b HTTP/1.1\r\nHost: a\r\nX-T-Do: short\r\n\r\n")
    check_answers(short, GOOD[:-1])
    with pytest.raises(AssertionError, match="short"):
        check_answers(short, GOOD)
