"""Responses as bytes come: heads, bodies in each framing, and what is no response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.keeper.replies import Malformed, Stream, read_reply

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: a\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\n\r\nabc"


def stream_of(data: bytes, step: int = 65_536) -> Stream:
    """Return a stream that gives *data* in pieces of at most *step*."""
    left = bytearray(data)

    def receive(most: int) -> bytes:
        block = bytes(left[: min(most, step)])
        del left[: len(block)]
        return block

    return Stream(receive)


@pytest.mark.parametrize(("raw", "keeps"), [(COUNTED, True), (CHUNKED, True), (CLOSED, False)], ids=["counted", "chunked", "closed"])  # fmt: skip
@pytest.mark.parametrize("step", [1, 7, 65_536])
def test_a_body_comes_in_each_framing_however_it_was_split(raw: bytes, keeps: bool, step: int) -> None:
    stream = stream_of(raw, step)
    reply = read_reply(stream, "GET")
    assert (reply.head.status, reply.head.reason, reply.head.keeps) == (200, "OK", keeps)
    assert b"".join(reply.blocks) == b"abc"
    assert stream.is_clean


def test_fields_of_the_hop_are_left_out() -> None:
    raw = b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nA:  b \r\nContent-Length: 0\r\n\r\n"
    head = read_reply(stream_of(raw), "GET").head
    assert head.fields == [("A", "b"), ("Content-Length", "0")]
    assert head.keeps is False


def test_interim_responses_are_passed_over() -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + COUNTED
    assert read_reply(stream_of(raw), "GET").head.fields == [("Content-Length", "3"), ("X", "a")]


@pytest.mark.parametrize(
    ("raw", "method"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD"), (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "GET")],
    ids=["HEAD", "304"],
)  # fmt: skip
def test_a_length_of_what_does_not_come_is_waited_for_by_nobody(raw: bytes, method: str) -> None:
    reply = read_reply(stream_of(raw), method)
    assert (list(reply.blocks), reply.head.keeps) == ([], True)


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1.1 2", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 20x OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
     CHUNKED[:-1], b"HTTP/1.1 200 " + b"x" * 300_000],
)  # fmt: skip
def test_what_is_no_response_or_ends_too_soon_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        b"".join(read_reply(stream_of(raw), "GET").blocks)


@pytest.mark.parametrize("size", [b"-1", b"+1", b"0x1", b"1_0", b" 1", b"", b"1" * 16])
def test_a_size_that_only_python_reads_is_no_size_of_a_chunk(size: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc\r\n0\r\n\r\n"
    with pytest.raises(Malformed, match="chunk-size"):
        b"".join(read_reply(stream_of(raw), "GET").blocks)


def test_a_length_that_no_body_has_is_malformed() -> None:
    with pytest.raises(Malformed, match="content-length"):
        read_reply(stream_of(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"), "GET")


@pytest.mark.parametrize(
    "more", ["Content-Length: 4", "X: a\r\ncontent-length: 2", "Content-Length: 3\r\nContent-Length: 03\r\nContent-Length: 0"]
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_of_two_lengths_that_differ_none_is_believed(more: str, method: str) -> None:
    raw = f"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{more}\r\n\r\nabcd".encode()
    with pytest.raises(Malformed, match="content-lengths"):
        read_reply(stream_of(raw), method)


def test_two_lengths_that_are_the_same_are_one() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcd"
    assert b"".join(read_reply(stream_of(raw), "GET").blocks) == b"abc"


@given(raw=st.binary(max_size=200), cut=st.integers(0, 120))
def test_no_bytes_are_more_than_malformed(raw: bytes, cut: int) -> None:
    for data in (raw, COUNTED[:cut] + raw, CHUNKED[:cut] + raw):
        try:
            b"".join(read_reply(stream_of(data), "GET").blocks)
        except Malformed:
            continue


def test_interim_responses_but_the_one_for_a_body_are_passed_on_as_they_came() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    passed: list[bytes] = []
    read_reply(stream_of(early + b"HTTP/1.1 100 Continue\r\n\r\n" + COUNTED), "GET", passed.append)
    assert passed == [early]


def test_what_is_here_already_is_taken_whole_and_what_is_not_is_left() -> None:
    stream = stream_of(COUNTED + b"de")
    assert stream.line_block(b"\r\n\r\n", 1000).startswith(b"HTTP/1.1 200")
    assert (stream.take(6), stream.take(3), stream.take(0)) == (None, b"abc", b"")
    assert (stream.is_clean, stream.some(5), stream.is_clean) == (False, b"de", True)
