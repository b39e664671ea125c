"""Status lines.  RFC 9112 4."""

import pytest

from wsgistack.balancer.plane.wire import WireFault, parse_response


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (1, 200, b"OK")),
        (b"HTTP/1.0 404 Not Found", (0, 404, b"Not Found")),
        (b"HTTP/1.9 599 x", (9, 599, b"x")),
        (b"HTTP/1.1 100 Continue", (1, 100, b"Continue")),
        (b"HTTP/1.1 200 ", (1, 200, b"")),
        (b"HTTP/1.1 200", (1, 200, b"")),
        (b"HTTP/1.1 299 \tr\xe9as\xf6n ", (1, 299, b"\tr\xe9as\xf6n ")),
        (b"HTTP/1.1 200  two", (1, 200, b" two")),
    ],
)
def test_a_status_line_is_read(line: bytes, expected: tuple[int, int, bytes]) -> None:
    head = parse_response(line + b"\r\nA: b\r\n\r\n")

    assert (head["minor"], head["status"], head["reason"]) == expected
    assert head["size"] == len(line) + 10


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"", "status_line_invalid"),
        (b"\r\nHTTP/1.1 200 OK", "status_line_invalid"),
        (b"<html>", "status_line_invalid"),
        (b"http/1.1 200 OK", "status_line_invalid"),
        (b"ICY 200 OK", "status_line_invalid"),
        (b" HTTP/1.1 200 OK", "status_line_invalid"),
        (b"HTTP/1.1  200 OK", "status_line_invalid"),
        (b"HTTP/1.1\t200 OK", "status_line_invalid"),
        (b"HTTP/11 200 OK", "status_line_invalid"),
        (b"HTTP/1.10 200 OK", "status_line_invalid"),
        (b"HTTP/1.1 20 OK", "status_line_invalid"),
        (b"HTTP/1.1 2000 OK", "status_line_invalid"),
        (b"HTTP/1.1 200OK", "status_line_invalid"),
        (b"HTTP/1.1 200\tOK", "status_line_invalid"),
        (b"HTTP/1.1 +20 OK", "status_line_invalid"),
        (b"HTTP/1.1 2 0 OK", "status_line_invalid"),
        (b"HTTP/1.1 abc", "status_line_invalid"),
        (b"HTTP/2.0 200 OK", "version_unsupported"),
        (b"HTTP/0.9 200 OK", "version_unsupported"),
        (b"HTTP/1.1 000 x", "status_code_invalid"),
        (b"HTTP/1.1 099 x", "status_code_invalid"),
        (b"HTTP/1.1 600 x", "status_code_invalid"),
        (b"HTTP/1.1 999 x", "status_code_invalid"),
        (b"HTTP/1.1 200 O\x00K", "reason_invalid"),
        (b"HTTP/1.1 200 O\x7fK", "reason_invalid"),
        (b"HTTP/1.1 200 O\x1bK", "reason_invalid"),
        (b"HTTP/1.1 200 O\rK", "bare_cr"),
        (b"HTTP/1.1 200\rK", "bare_cr"),
        (b"HTTP/1.1 200 OK\nA: b", "bare_lf"),
        (b"HTTP/1.1 200\nA: b", "bare_lf"),
    ],
)
def test_a_faulty_status_line_is_refused(line: bytes, name: str) -> None:  # 33
    with pytest.raises(WireFault, match=f"^{name} "):
        parse_response(line + b"\r\nA: b\r\n\r\n")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nA: \t b \r\n\r\n", b"HTTP/1.0 404\r\n\r\n", b"HTTP/1.3 404 \r\n\r\n"]
)
def test_a_head_that_is_not_complete_needs_more_bytes(head: bytes) -> None:
    assert [parse_response(head[:cut]) for cut in range(len(head))] == [None] * len(head)
    assert parse_response(head) is not None


@pytest.mark.parametrize(
    ("head", "limits", "name"),
    [
        (b"HTTP/1.1 200 " + b"x" * 100, {"max_bytes": 50}, "head_too_large"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100, {"max_bytes": 50}, "head_too_large"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100, {"max_fields": 99}, "too_many_fields"),
    ],
)
def test_a_limit_is_kept(head: bytes, limits: dict[str, int], name: str) -> None:  # 39
    with pytest.raises(WireFault, match=f"^{name} "):
        parse_response(head, **limits)


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n", False),
    ],
)
def test_the_wish_to_keep_the_connection_is_read(head: bytes, keep: bool) -> None:
    assert parse_response(head + b"\r\n")["keep_alive"] is keep


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n", True),
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", False),
        (b"Connection: Upgrade\r\n", False),
    ],
)
def test_a_switch_to_websocket_is_read(lines: bytes, expected: bool) -> None:  # 28
    head = parse_response(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n")

    assert head["upgrade_websocket"] is expected
