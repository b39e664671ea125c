"""Request lines, and what a request's fields say together.  The numbers are the rules of the specification."""

import pytest

from wsgistack.balancer.plane.wire import WireFault, parse_request

HOST = b"Host: a\r\n\r\n"


def refused(head: bytes, **limits: int) -> tuple[str, int]:
    with pytest.raises(WireFault) as caught:
        parse_request(head, **limits)
    return caught.value.name, caught.value.status


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1", (b"GET", "GET", b"/", 1)),
        (b"HEAD /x HTTP/1.0", (b"HEAD", "HEAD", b"/x", 0)),
        (b"POST /x?y HTTP/1.9", (b"POST", "POST", b"/x?y", 9)),
        (b"PUT / HTTP/1.1", (b"PUT", "PUT", b"/", 1)),
        (b"DELETE / HTTP/1.1", (b"DELETE", "DELETE", b"/", 1)),
        (b"TRACE / HTTP/1.1", (b"TRACE", "TRACE", b"/", 1)),
        (b"PATCH / HTTP/1.1", (b"PATCH", "PATCH", b"/", 1)),
        (b"OPTIONS * HTTP/1.1", (b"OPTIONS", "OPTIONS", b"*", 1)),
        (b"OPTIONS /x HTTP/1.1", (b"OPTIONS", "OPTIONS", b"/x", 1)),
        (b"get / HTTP/1.1", (b"get", "other", b"/", 1)),
        (b"PROPFIND / HTTP/1.1", (b"PROPFIND", "other", b"/", 1)),
        (b"!#$%&'*+-.^_`|~ / HTTP/1.1", (b"!#$%&'*+-.^_`|~", "other", b"/", 1)),
        (b"M" * 64 + b" / HTTP/1.1", (b"M" * 64, "other", b"/", 1)),
        (b"GET //x/../%0d%0a%00/./ HTTP/1.1", (b"GET", "GET", b"//x/../%0d%0a%00/./", 1)),
        (b'GET /"<>\\^`{|}[]~ HTTP/1.1', (b"GET", "GET", b'/"<>\\^`{|}[]~', 1)),
        (b"GET /http://x HTTP/1.1", (b"GET", "GET", b"/http://x", 1)),
        (b"GET /?" + b"q" * 8000 + b" HTTP/1.1", (b"GET", "GET", b"/?" + b"q" * 8000, 1)),
        (b"\r\nGET / HTTP/1.1", (b"GET", "GET", b"/", 1)),
    ],
)
def test_a_request_line_is_read(line: bytes, expected: tuple[bytes, str, bytes, int]) -> None:  # 20 21 22
    head = parse_request(line + b"\r\n" + HOST)

    assert (head["method"], head["method_id"], head["target"], head["minor"]) == expected
    assert head["size"] == len(line) + 2 + len(HOST)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET http://b HTTP/1.1", (b"b", b"/")),
        (b"GET http://b/ HTTP/1.1", (b"b", b"/")),
        (b"GET http://b/x?y HTTP/1.1", (b"b", b"/x?y")),
        (b"GET http://b?y HTTP/1.1", (b"b", b"/?y")),
        (b"GET http://b?y@z HTTP/1.1", (b"b", b"/?y@z")),
        (b"GET HTTP://b:81/ HTTP/1.1", (b"b:81", b"/")),
        (b"GET https://b/x HTTP/1.1", (b"b", b"/x")),
        (b"GET http://[::1]:81/x HTTP/1.1", (b"[::1]:81", b"/x")),
        (b"OPTIONS http://b HTTP/1.1", (b"b", b"*")),
        (b"OPTIONS http://b/ HTTP/1.1", (b"b", b"/")),
        (b"OPTIONS http://b?y HTTP/1.1", (b"b", b"/?y")),
    ],
)
def test_an_absolute_target_gives_authority_and_origin_form(
    line: bytes, expected: tuple[bytes, bytes]
) -> None:
    head = parse_request(line + b"\r\n" + HOST)  # 18

    assert (head["host"], head["target"]) == expected


@pytest.mark.parametrize(
    ("line", "name", "status"),
    [
        (b"\r\n\r\nGET / HTTP/1.1", "method_invalid", 400),
        (b"\rGET / HTTP/1.1", "bare_cr", 400),
        (b"\nGET / HTTP/1.1", "bare_lf", 400),
        (b" GET / HTTP/1.1", "method_invalid", 400),
        (b"G(T / HTTP/1.1", "method_invalid", 400),
        (b"G\x00T / HTTP/1.1", "method_invalid", 400),
        (b"\xc9T / HTTP/1.1", "method_invalid", 400),
        (b"GET\t/ HTTP/1.1", "method_invalid", 400),
        (b"GET", "method_invalid", 400),
        (b"\x16\x03\x01\x02\x00\x01", "method_invalid", 400),
        (b"M" * 65 + b" / HTTP/1.1", "method_too_long", 501),
        (b"CONNECT a:80 HTTP/1.1", "method_refused", 405),
        (b"CONNECT / HTTP/1.1", "method_refused", 405),
        (b"GET  / HTTP/1.1", "target_invalid", 400),
        (b"GET \t/ HTTP/1.1", "target_invalid", 400),
        (b"GET /\t HTTP/1.1", "target_invalid", 400),
        (b"GET /a\x00 HTTP/1.1", "target_invalid", 400),
        (b"GET /a\x7f HTTP/1.1", "target_invalid", 400),
        (b"GET /\xc3\xa9 HTTP/1.1", "target_invalid", 400),
        (b"GET /a#b HTTP/1.1", "target_invalid", 400),
        (b"GET /a\rb HTTP/1.1", "version_missing", 400),
        (b"GET /a\nb HTTP/1.1", "bare_lf", 400),
        (b"GET * HTTP/1.1", "target_form_invalid", 400),
        (b"OPTIONS *x HTTP/1.1", "target_form_invalid", 400),
        (b"GET a:80 HTTP/1.1", "target_form_invalid", 400),
        (b"GET x HTTP/1.1", "target_form_invalid", 400),
        (b"GET ?x HTTP/1.1", "target_form_invalid", 400),
        (b"GET ftp://a/ HTTP/1.1", "target_form_invalid", 400),
        (b"GET http:/a HTTP/1.1", "target_form_invalid", 400),
        (b"GET http:// HTTP/1.1", "target_form_invalid", 400),
        (b"GET http:///x HTTP/1.1", "host_invalid", 400),
        (b"GET http://u@b/ HTTP/1.1", "target_userinfo", 400),
        (b"GET http://u:p@b/ HTTP/1.1", "target_userinfo", 400),
        (b"GET http://@/ HTTP/1.1", "target_userinfo", 400),
        (b"GET /", "version_missing", 400),
        (b"GET / ", "version_invalid", 400),
        (b"GET /  HTTP/1.1", "version_invalid", 400),
        (b"GET / x HTTP/1.1", "version_invalid", 400),
        (b"GET / http/1.1", "version_invalid", 400),
        (b"GET / HTTP/1", "version_invalid", 400),
        (b"GET / HTTP/1.", "version_invalid", 400),
        (b"GET / HTTP/1.x", "version_invalid", 400),
        (b"GET / HTTP/x.1", "version_invalid", 400),
        (b"GET / HTTP/1,1", "version_invalid", 400),
        (b"GET / HTTP/1.10", "version_invalid", 400),
        (b"GET / HTTP/01.1", "version_invalid", 400),
        (b"GET / HTTP/1.1 ", "version_invalid", 400),
        (b"GET / HTTP /1.1", "version_invalid", 400),
        (b"GET / HTTP/1.1\rX", "bare_cr", 400),
        (b"GET / HTTP/1.1\nX: y", "bare_lf", 400),
        (b"GET / HTTP/0.9", "version_unsupported", 505),
        (b"GET / HTTP/2.0", "version_unsupported", 505),
        (b"PRI * HTTP/2.0", "version_unsupported", 505),
        (b"GET / HTTP/9.9", "version_unsupported", 505),
    ],
)
def test_a_faulty_request_line_is_refused(line: bytes, name: str, status: int) -> None:  # 16 17 19 20
    assert refused(line + b"\r\n" + HOST) == (name, status)


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\r\nHost\n",
        b"GET /\n",
        b"G\n",
        b"\n",
    ],
)
def test_a_bare_lf_is_refused_at_once(begun: bytes) -> None:  # 8 16
    assert refused(begun) == ("bare_lf", 400)


@pytest.mark.parametrize("cut", range(len(b"\r\nGET /x HTTP/1.1\r\nHost: a\r\nX: \t y \r\n\r\n")))
def test_a_head_that_is_not_complete_needs_more_bytes(cut: int) -> None:
    assert parse_request(b"\r\nGET /x HTTP/1.1\r\nHost: a\r\nX: \t y \r\n\r\n"[:cut]) is None


def test_what_follows_the_head_is_not_looked_at() -> None:
    head = parse_request(b"GET / HTTP/1.1\r\n" + HOST + b"\x00\nGET")

    assert head["size"] == len(b"GET / HTTP/1.1\r\n" + HOST)


@pytest.mark.parametrize(
    ("head", "limits", "name", "status"),
    [
        (b"GET /234567 HTTP/1.1\r\n" + HOST, {"max_target": 6}, "uri_too_long", 414),
        (b"GET /234567", {"max_target": 6}, "uri_too_long", 414),
        (b"GET /234567\x00", {"max_target": 6}, "uri_too_long", 414),
        (b"GET /" + b"a" * 100, {"max_bytes": 50}, "uri_too_long", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100, {"max_bytes": 50}, "head_too_large", 431),
        (b"GET / HTTP/1.1\r\n" + HOST, {"max_bytes": 26}, "head_too_large", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n", {"max_fields": 1}, "too_many_fields", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1025, {"max_fields": 5000}, "too_many_fields", 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 1025, {}, "field_name_too_long", 431),
    ],
)
def test_a_limit_is_kept(head: bytes, limits: dict[str, int], name: str, status: int) -> None:  # 22
    assert refused(head, **limits) == (name, status)


@pytest.mark.parametrize(
    ("head", "limits"),
    [
        (b"GET /23456 HTTP/1.1\r\n" + HOST, {"max_target": 6}),
        (b"GET / HTTP/1.1\r\n" + HOST, {"max_bytes": 27}),
        (b"GET / HTTP/1.1\r\n" + HOST, {"max_fields": 1}),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1023 + HOST, {"max_fields": 5000}),
        (b"GET / HTTP/1.1\r\n" + b"a" * 1024 + b":\r\n" + HOST, {}),
    ],
)
def test_a_limit_may_be_reached(head: bytes, limits: dict[str, int]) -> None:
    assert parse_request(head, **limits)["size"] == len(head)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "host_missing"),
        (b"GET / HTTP/1.5\r\n\r\n", "host_missing"),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", "host_missing"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "host_repeated"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", "host_repeated"),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "host_repeated"),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "host_repeated"),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "host_invalid"),
        (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "host_invalid"),
        (b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", "host_invalid"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "host_invalid"),
    ],
)
def test_a_request_has_one_valid_host(head: bytes, expected: str) -> None:  # 17
    assert refused(head) == (expected, 400)


def test_a_1_0_request_needs_no_host() -> None:
    assert parse_request(b"GET / HTTP/1.0\r\n\r\n")["host"] == b""


@pytest.mark.parametrize(
    ("version", "lines", "keep"),
    [
        (b"1.1", b"", True),
        (b"1.2", b"", True),
        (b"1.0", b"", False),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, \tCLOSE\t,\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive, close\r\n", False),
        (b"1.1", b"Connection: closed, close x\r\n", True),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
        (b"1.0", b"Proxy-Connection: keep-alive\r\n", False),
    ],
)
def test_the_wish_to_keep_the_connection_is_read(version: bytes, lines: bytes, keep: bool) -> None:
    assert parse_request(b"GET / HTTP/" + version + b"\r\n" + lines + HOST)["keep_alive"] is keep


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n", True),
        (b"POST / HTTP/1.1\r\nExpect: 100-CONTINUE\r\n", True),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n", False),
        (b"POST / HTTP/1.1\r\n", False),
    ],
)
def test_a_wait_for_100_is_read(head: bytes, expected: bool) -> None:  # 31
    assert parse_request(head + HOST)["expect_continue"] is expected


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, x", b"100-continued", b'"100-continue"'])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_another_expectation_is_refused(value: bytes, version: bytes) -> None:
    head = b"POST / HTTP/" + version + b"\r\nExpect: " + value + b"\r\n" + HOST

    assert refused(head) == ("expectation_unknown", 417)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket/13\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\n", False),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", False),
        (b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", False),
    ],
)
def test_only_websocket_is_an_upgrade(head: bytes, expected: bool) -> None:  # 28
    assert parse_request(head + HOST)["upgrade_websocket"] is expected


def test_one_head_leaves_nothing_behind_for_the_next() -> None:
    loaded = (
        b"GET http://b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
        b"Connection: Upgrade, x\r\nUpgrade: websocket\r\nX: y\r\n\r\n"
    )
    plain = parse_request(b"GET /p HTTP/1.1\r\n" + HOST)
    parse_request(loaded)

    assert parse_request(b"GET /p HTTP/1.1\r\n" + HOST) == plain
    assert plain["content_length"] is None and not plain["chunked"] and not plain["expect_continue"]
