"""Field lines, the same for requests, responses and trailers.  RFC 9112 5."""

from collections.abc import Callable
from typing import Any

import pytest

from wsgistack.balancer.plane.wire import (
    WireFault,
    parse_request,
    parse_response,
    parse_trailers_bytes,
    time_trickle,
)

PARSERS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (parse_request, b"GET / HTTP/1.1\r\nHost: a\r\n"),
    (parse_response, b"HTTP/1.1 200 OK\r\n"),
    (parse_trailers_bytes, b""),
]
everywhere = pytest.mark.parametrize(("parse", "before"), PARSERS, ids=["request", "response", "trailers"])


@everywhere
@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"A: b", b"A", b"b"),
        (b"A:b", b"A", b"b"),
        (b"A:", b"A", b""),
        (b"A: ", b"A", b""),
        (b"A: \t \t", b"A", b""),
        (b"a: \t b \t ", b"a", b"b"),
        (b"A: b: c", b"A", b"b: c"),
        (b"A: b \t c", b"A", b"b \t c"),
        (b"A: \xff\x80\xa0b\x85", b"A", b"\xff\x80\xa0b\x85"),
        (b"A: \xa0b\x85", b"A", b"\xa0b\x85"),
        (b"!#$%&'*+-.^`|~09: x", b"!#$%&'*+-.^`|~09", b"x"),
        (b"A: " + b"x" * 3000, b"A", b"x" * 3000),
    ],
)
def test_name_and_value_are_kept_as_they_came(
    parse: Callable[[bytes], Any], before: bytes, line: bytes, name: bytes, value: bytes
) -> None:  # 1 15 23
    head = parse(before + line + b"\r\n\r\n")

    assert head["fields"][-1] == (name, value, False)


@everywhere
@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"A : b", "space_before_colon"),
        (b"A\t: b", "space_before_colon"),
        (b"A b: c", "space_before_colon"),
        (b": b", "field_name_empty"),
        (b" A: b", "obs_fold"),
        (b"\tA: b", "obs_fold"),
        (b"X: a\r\n b", "obs_fold"),
        (b"X: a\r\n\tb", "obs_fold"),
        (b"X: a\r\n ", "obs_fold"),
        (b"A", "field_name_invalid"),
        (b"A(: b", "field_name_invalid"),
        (b"A\x00: b", "field_name_invalid"),
        (b"A\x0b: b", "field_name_invalid"),
        (b"A\xe9: b", "field_name_invalid"),
        (b"A\xa0: b", "field_name_invalid"),
        (b'"A": b', "field_name_invalid"),
        (b"A\rB: c", "field_name_invalid"),
        (b"\x00", "field_name_invalid"),
        (b"A: b\x00c", "field_value_invalid"),
        (b"A: \x00", "field_value_invalid"),
        (b"A: b\x0bc", "field_value_invalid"),
        (b"A: b\x1fc", "field_value_invalid"),
        (b"A: b\x7fc", "field_value_invalid"),
        (b"A: b\rc", "bare_cr"),
        (b"A: b\r", "bare_cr"),
        (b"A:\rb", "bare_cr"),
        (b"A: b\r\r\nC: d", "bare_cr"),
        (b"A: b\nC: d", "bare_lf"),
        (b"A: b\n", "bare_lf"),
        (b"A\n: b", "bare_lf"),
        (b"A: b\r\n\nC: d", "bare_lf"),
        (b"\rA: b", "bare_cr"),
    ],
)
@pytest.mark.parametrize("padding", [b"", b"P: " + b"p" * 40 + b"\r\n"], ids=["short", "long"])
def test_a_faulty_line_is_refused(
    parse: Callable[[bytes], Any], before: bytes, line: bytes, name: str, padding: bytes
) -> None:  # 15 16
    with pytest.raises(WireFault, match=f"^{name} "):
        parse(before + padding + line + b"\r\n\r\n" + padding)


@pytest.mark.parametrize("place", range(40))
@pytest.mark.parametrize("bad", [b"\x00", b"\x01", b"\x08", b"\x0b", b"\x1f", b"\x7f"])
def test_a_control_byte_is_found_wherever_it_stands_in_a_value(place: int, bad: bytes) -> None:
    value = b"v" * place + bad + b"\t" * (39 - place)

    with pytest.raises(WireFault, match="field_value_invalid"):
        parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + value + b"\r\n\r\n")


@pytest.mark.parametrize("byte", range(256))
def test_the_bytes_of_names_values_and_targets_are_those_of_the_grammar(byte: int) -> None:
    one = bytes([byte])
    tchar = one.isalnum() or byte in b"!#$%&'*+-.^_`|~"
    assert accepts(b"GET / HTTP/1.1\r\nHost: a\r\nN" + one + b"N: v\r\n\r\n") is (tchar or one == b":")
    assert accepts(b"GET / HTTP/1.1\r\nHost: a\r\nN: v" + one + b"v\r\n\r\n") is (
        byte == 9 or 32 <= byte != 127
    )
    assert accepts(b"GET /" + one + b"v HTTP/1.1\r\nHost: a\r\n\r\n") is (32 < byte < 127 and one != b"#")
    assert accepts(b"G" + one + b"T / HTTP/1.1\r\nHost: a\r\n\r\n") is bool(tchar)


def accepts(head: bytes) -> bool:
    try:
        return parse_request(head) is not None
    except WireFault:
        return False


def test_order_case_and_repetition_are_kept() -> None:  # 23
    lines = b"B: 1\r\nA: 2\r\nb: 3\r\nHost: h\r\nA:\r\nB: 1\r\n"
    head = parse_request(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")

    assert [(name, value) for name, value, _ in head["fields"]] == [
        (b"B", b"1"),
        (b"A", b"2"),
        (b"b", b"3"),
        (b"Host", b"h"),
        (b"A", b""),
        (b"B", b"1"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        b"X_Forwarded_For",
        b"_",
        b"Content_Length",
        b"transfer-encoding_",
        b"Proxy",
        b"PROXY",
        b"Connection",
        b"Keep-Alive",
        b"keep-alive",
        b"Proxy-Connection",
        b"TE",
        b"Upgrade",
        b"UPGRADE",
    ],
)
def test_a_request_field_that_must_not_go_on_is_marked(name: bytes) -> None:  # 24 27
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n" + name + b": x\r\n\r\n")

    assert [drop for _, _, drop in head["fields"]] == [False, False, True]


@pytest.mark.parametrize(
    "name",
    [
        b"Prox",
        b"Proxy-",
        b"Proxy-Authorization",
        b"Keep-Alivf",
        b"Tf",
        b"Upgrad",
        b"Connectiom",
        b"Vib",
        b"Foxwarded",
    ],
)
def test_a_name_that_only_looks_alike_stays(name: bytes) -> None:
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": x\r\n\r\n")

    assert head["fields"][-1] == (name, b"x", False)


def test_an_underscore_is_no_matter_in_a_response() -> None:
    head = parse_response(b"HTTP/1.1 200 OK\r\nX_A: b\r\nProxy: c\r\n\r\n")

    assert head["fields"] == [(b"X_A", b"b", False), (b"Proxy", b"c", False)]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: x\r\n" * 1000 + b"B: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: x\r\n" * 200_000,
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n" + b"A: x\r\n" * 100_000,
    ],
    ids=["target", "value", "fields and value", "too many fields", "target and fields"],
)
def test_a_head_that_comes_byte_by_byte_takes_linear_time(head: bytes) -> None:  # 22 47
    assert time_trickle(head) < 1  # about 10 ms; parsing anew at each byte would take minutes
