"""Content-Length and Transfer-Encoding.  RFC 9112 6; the payloads of CVE-2022-24761, -2023-40225, -2024-1135 and kin."""

import pytest

from wsgistack.balancer.plane.wire import WireFault, parse_request, parse_response

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"
ON_1_0 = b"POST / HTTP/1.0\r\nHost: a\r\n"

FAULTS = [
    (b"Content-Length: +5\r\n", "content_length_invalid", 400),
    (b"Content-Length: -5\r\n", "content_length_invalid", 400),
    (b"Content-Length: 0x5\r\n", "content_length_invalid", 400),
    (b"Content-Length: 1_0\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5.0\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5abc\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5 5\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5, 5\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5, 6\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5,\r\n", "content_length_invalid", 400),
    (b'Content-Length: "5"\r\n', "content_length_invalid", 400),
    (b"Content-Length: 5;\r\n", "content_length_invalid", 400),
    (b"Content-Length:\r\n", "content_length_invalid", 400),
    (b"Content-Length: \t\r\n", "content_length_invalid", 400),
    (b"Content-Length: \xb2\r\n", "content_length_invalid", 400),
    (b"Content-Length: \xd9\xa5\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5\xa0\r\n", "content_length_invalid", 400),
    (b"Content-Length: \x855\r\n", "content_length_invalid", 400),
    (b"Content-Length: 9223372036854775808\r\n", "content_length_invalid", 400),
    (b"Content-Length: 18446744073709551616\r\n", "content_length_invalid", 400),
    (b"Content-Length: 18446744073709551621\r\n", "content_length_invalid", 400),
    (b"Content-Length: " + b"9" * 60 + b"\r\n", "content_length_invalid", 400),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n", "content_length_repeated", 400),
    (b"Content-Length: 5\r\ncontent-length: 6\r\n", "content_length_repeated", 400),
    (b"Content-Length: 0\r\nContent-Length: 5\r\n", "content_length_repeated", 400),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "length_and_encoding", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "length_and_encoding", 400),
    (b"Transfer-Encoding: gzip\r\nContent-Length: 0\r\n", "length_and_encoding", 400),
    (b"Transfer-Encoding:\r\nContent-Length: 0\r\n", "length_and_encoding", 400),
    (b"Transfer-Encoding:\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked,\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: ,chunked\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked, chunked\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked, identity\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked, gzip\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked;q=1\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked chunked\r\n", "transfer_encoding_invalid", 400),
    (b'Transfer-Encoding: "chunked"\r\n', "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: chunked\xa0\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: \x85chunked\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: gzip\r\n", "transfer_encoding_invalid", 400),
    (b"Transfer-Encoding: gzip, chunked\r\n", "transfer_encoding_unknown", 501),
    (b"Transfer-Encoding: identity, chunked\r\n", "transfer_encoding_unknown", 501),
    (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "transfer_encoding_unknown", 501),
    (b"Transfer-Encoding: chunked\x0b\r\n", "field_value_invalid", 400),
    (b"Transfer-Encoding: chun\x00ked\r\n", "field_value_invalid", 400),
    (b"Transfer-Encoding : chunked\r\n", "space_before_colon", 400),
    (b"Transfer-Encoding\x0b: chunked\r\n", "field_name_invalid", 400),
    (b"Transfer-Encoding:\r\n chunked\r\n", "obs_fold", 400),
]


# RFC 9112 §6.3 (4): of a response the connection's end is the body's, of a request nothing is.
MADE_UP = [
    b"Transfer-Encoding: arizqhypgxofwne\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunke\r\n",
    b"Transfer-Encoding: binary, identity\r\n",
    b"Transfer-Encoding: binary\r\nTransfer-Encoding: identity\r\n",
]
COMPRESSED = [
    b"gzip",
    b"GZip",
    b"x-gzip",
    b"X-Compress",
    b"compress",
    b"deflate",
    b"identity, deflate",
    b"gzip, identity",
]


@pytest.mark.parametrize("lines", MADE_UP)
def test_a_body_under_a_made_up_coding_ends_with_the_connection(lines: bytes) -> None:  # 33 5
    head = parse_response(ANSWER + lines + b"\r\n")

    assert (head["chunked"], head["content_length"], head["keep_alive"]) == (False, None, False)
    with pytest.raises(WireFault, match="transfer_encoding_invalid"):
        parse_request(POST + lines + b"\r\n")


def test_a_connection_under_a_made_up_coding_is_not_kept_whatever_it_says() -> None:
    head = parse_response(ANSWER + b"Transfer-Encoding: x\r\nConnection: keep-alive\r\n\r\n")

    assert head["keep_alive"] is False


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_compressed_message_is_refused(coding: bytes) -> None:  # 33
    with pytest.raises(WireFault, match="transfer_encoding_invalid"):
        parse_response(ANSWER + b"Transfer-Encoding: " + coding + b"\r\n\r\n")


@pytest.mark.parametrize(("lines", "name", "status"), FAULTS)
def test_a_doubt_about_a_request_is_refused(lines: bytes, name: str, status: int) -> None:  # 1-5
    with pytest.raises(WireFault) as caught:
        parse_request(POST + lines + b"\r\n")

    assert (caught.value.name, caught.value.status) == (name, status)


@pytest.mark.parametrize(("lines", "name"), [(lines, name) for lines, name, _ in FAULTS])
def test_a_doubt_about_a_response_is_refused(lines: bytes, name: str) -> None:  # 33 34
    with pytest.raises(WireFault, match=f"^{name} "):
        parse_response(ANSWER + lines + b"\r\n")


@pytest.mark.parametrize("value", [b"chunked", b"gzip", b"", b"identity"])
def test_a_transfer_encoding_in_1_0_is_refused(value: bytes) -> None:  # 6 34
    with pytest.raises(WireFault, match="transfer_encoding_in_http10"):
        parse_request(ON_1_0 + b"Transfer-Encoding: " + value + b"\r\n\r\n")
    with pytest.raises(WireFault, match="transfer_encoding_in_http10"):
        parse_response(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: " + value + b"\r\n\r\n")


@pytest.mark.parametrize("value", [b"chunked", b"CHUNKED", b"Chunked", b"\t chunked \t"])
def test_exactly_one_chunked_is_taken(value: bytes) -> None:  # 5
    for head in (
        parse_request(POST + b"Transfer-Encoding:" + value + b"\r\n\r\n"),
        parse_response(ANSWER + b"Transfer-Encoding:" + value + b"\r\n\r\n"),
    ):
        assert (head["chunked"], head["content_length"]) == (True, None)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"5", 5),
        (b"00005", 5),
        (b"\t5 ", 5),
        (b"9223372036854775807", 9223372036854775807),
        (b"0" * 40 + b"9223372036854775807", 9223372036854775807),
    ],
)
def test_a_content_length_is_read(value: bytes, length: int) -> None:  # 2
    for head in (
        parse_request(POST + b"Content-Length:" + value + b"\r\n\r\n"),
        parse_response(ANSWER + b"Content-Length:" + value + b"\r\n\r\n"),
    ):
        assert (head["chunked"], head["content_length"]) == (False, length)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"x"])
def test_the_method_changes_nothing_about_the_framing(method: bytes) -> None:  # 11
    head = parse_request(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n")

    assert head["content_length"] == 7


def test_without_framing_there_is_no_length() -> None:
    head = parse_request(POST + b"\r\n")

    assert (head["chunked"], head["content_length"]) == (False, None)


@pytest.mark.parametrize(
    "name", [b"Transfer_Encoding", b"Content_Length", b"X-Content-Length", b"Content-Lengt"]
)
def test_a_name_that_looks_alike_is_no_framing(name: bytes) -> None:
    head = parse_request(POST + name + b": chunked\r\n\r\n")

    assert (head["chunked"], head["content_length"]) == (False, None)
