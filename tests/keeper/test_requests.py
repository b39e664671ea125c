"""Requests as bytes come: environs, bodies in each framing, and what is no request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keeper.test_replies import stream_of
from wsgistack.keeper.replies import Malformed
from wsgistack.keeper.requests import _VARIABLES, read_request

PLAIN = b"GET /a%20b/%c3%a4?c=%20d HTTP/1.1\r\nHost: www.example\r\nX-Forwarded-Proto:https \r\n\r\n"
COUNTED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 65_536])
def test_a_head_becomes_an_environ_however_it_was_split(step: int) -> None:
    environ = read_request(stream_of(PLAIN, step))
    assert (environ["REQUEST_METHOD"], environ["RAW_URI"]) == ("GET", "/a%20b/%c3%a4?c=%20d")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a b/\xc3\xa4", "c=%20d")
    assert (environ["HTTP_HOST"], environ["HTTP_X_FORWARDED_PROTO"]) == ("www.example", "https")
    assert environ["wsgi.input"].read() == b""


@pytest.mark.parametrize("raw", [COUNTED, CHUNKED], ids=["counted", "chunked"])
@pytest.mark.parametrize("step", [1, 65_536])
def test_a_body_is_read_to_its_end_and_no_further(raw: bytes, step: int) -> None:
    stream = stream_of(raw + PLAIN, step)
    content = read_request(stream)["wsgi.input"]
    assert b"".join(iter(content.read, b"")) == b"abc"
    assert read_request(stream)["REQUEST_METHOD"] == "GET"


def test_a_type_and_a_length_have_variables_of_their_own() -> None:
    environ = read_request(stream_of(COUNTED))
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/x", "3")
    assert "HTTP_CONTENT_TYPE" not in environ


@pytest.mark.parametrize(
    ("fields", "variable", "value"),
    [
        (b"A: 1\r\na: 2\r\n", "HTTP_A", "1,2"),
        (b"Cookie: a=1\r\nCookie: b=2\r\n", "HTTP_COOKIE", "a=1; b=2"),
        (b"X-A: 1\r\nX_A: 2\r\n", "HTTP_X_A", "1"),
        (b"X_A: 2\r\nX_B: 2\r\n", "HTTP_X_A", None),
        (b"A: \xe4\r\n", "HTTP_A", "\xe4"),
    ],
    ids=["a list", "cookies", "a name that looks like another's", "such a name alone", "latin-1"],
)
def test_fields_become_variables(fields: bytes, variable: str, value: str | None) -> None:
    environ = read_request(stream_of(b"GET / HTTP/1.1\r\n" + fields + b"\r\n"))
    assert environ.get(variable) == value
    assert "" not in environ


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
        COUNTED[:-1],
        CHUNKED[:-1],
    ],
)
def test_what_is_no_request_or_ends_too_soon_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        b"".join(iter(read_request(stream_of(raw))["wsgi.input"].read, b""))


def test_names_of_fields_that_are_long_are_not_remembered() -> None:
    long = b"X-" + b"a" * 200_000
    for _ in range(2):
        assert (
            read_request(stream_of(b"GET / HTTP/1.1\r\n" + long + b": 1\r\n\r\n"))[f"HTTP_X_{'A' * 200_000}"]
            == "1"
        )
    assert max(map(len, _VARIABLES)) <= 64


@given(raw=st.binary(max_size=100), cut=st.integers(0, 80))
def test_no_bytes_are_more_than_malformed(raw: bytes, cut: int) -> None:
    for data in (raw, COUNTED[:cut] + raw, CHUNKED[:cut] + raw):
        try:
            b"".join(iter(read_request(stream_of(data))["wsgi.input"].read, b""))
        except Malformed:
            continue
