"""What every health check keeps, whatever a node answers and however it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.checks import CHECKS, Check, Run, Talk
from wsgistack.balancer.model import HealthCheck
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.settings import Value

MEMBERS = pytest.mark.parametrize("check", [part for _, part in CHECKS], ids=CHECKS.names())
EXPECTATIONS = pytest.mark.parametrize("expect", ["", "PONG", "~P.NG"])

CHOSEN: dict[str, Value] = {
    "health_command": "/bin/true",
    "health_expect_bytes": 64,
    "health_send": "PING\\r\\n",
}
ANSWERS = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda head, body: b"HTTP/1.1 " + head + b"\r\n\r\n" + body,
        st.sampled_from(
            [
                b"200 OK",
                b"503 Busy",
                b"100 Continue\r\n\r\nHTTP/1.1 204 No",
                b"200 OK\r\nContent-Length: 6",
                b"200 OK\r\nTransfer-Encoding: chunked",
            ]
        ),
        st.one_of(
            st.binary(max_size=200), st.just(b"4\r\nPONG\r\n0\r\n\r\n"), st.just(b"6\r\n PONG \r\n0\r\n\r\n")
        ),
    ),
)


def make(kind: str, expect: str = "", connect: str = "127.0.0.1:8001") -> HealthCheck:
    chosen = POOL_SETTINGS.defaults() | CHOSEN | {"health_check": kind, "health_expect": expect}
    return HealthCheck(kind, "mypool", connect, chosen)


def judge(talk: Talk, pieces: list[bytes], *, ends: bool = True) -> tuple[str | None, int]:
    """Return what is said to an answer in these pieces, and after how many bytes."""
    said, heard = talk.hear(b"", False), b""
    for piece in pieces:
        if said is not None:
            return said, len(heard)
        heard += piece
        said = talk.hear(heard, False)
    return talk.hear(heard, True) if said is None and ends else said, len(heard)


@MEMBERS
def test_it_says_what_it_is(check: Check) -> None:
    assert check.help and check.name == check.name.lower()
    assert POOL_SETTINGS.parse("health_check", check.name) == check.name


@MEMBERS
@pytest.mark.parametrize("connect", ["127.0.0.1:8001", "[::1]:8001", "unix:/run/app.sock"])
def test_it_has_a_plan_for_every_kind_of_address(check: Check, connect: str) -> None:
    plan = check.prepare(make(check.name, connect=connect))
    assert isinstance(plan, Talk | Run)
    assert plan.arguments[0].startswith("/") if isinstance(plan, Run) else plan.most_bytes >= 0


@MEMBERS
@EXPECTATIONS
@given(answer=ANSWERS)
@settings(max_examples=examples(50))
def test_once_the_node_has_closed_it_decides(check: Check, expect: str, answer: bytes) -> None:
    plan = check.prepare(make(check.name, expect))
    if isinstance(plan, Talk):
        said, _ = judge(plan, [answer])
        assert isinstance(said, str)


@MEMBERS
@EXPECTATIONS
@given(answer=ANSWERS, cuts=st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=examples(50))
def test_how_an_answer_is_cut_does_not_matter(
    check: Check, expect: str, answer: bytes, cuts: list[int]
) -> None:
    plan = check.prepare(make(check.name, expect))
    if isinstance(plan, Talk):
        places = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
        pieces = [answer[a:b] for a, b in pairwise(places)]
        whole, cut = judge(plan, [answer])[0], judge(plan, pieces)[0]
        assert bool(whole) == bool(cut)


@MEMBERS
@EXPECTATIONS
@pytest.mark.parametrize(
    "stream",
    [
        b"x",
        b"\r\n",
        b"\r\n\r\n",
        b"PON",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
        b"\0",
    ],
)
def test_an_endless_answer_is_read_to_a_limit(check: Check, expect: str, stream: bytes) -> None:
    plan = check.prepare(make(check.name, expect))
    if isinstance(plan, Talk):
        pieces = [stream * 100] * (plan.most_bytes // (len(stream) * 100) + 2)
        said, heard = judge(plan, pieces, ends=False)
        # Where it does not decide by itself, the limit does: see examine.py.
        assert said is not None or heard > plan.most_bytes
