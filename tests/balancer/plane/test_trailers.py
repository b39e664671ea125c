"""Trailer sections.  RFC 9110 6.5.1; CVE-2023-41419."""

import pytest

from wsgistack.balancer.plane.wire import WireFault, parse_trailers_bytes, rewrite_trailers

# fmt: off
FORBIDDEN = [
    "Age", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length",
    "Content-Range", "Content-Type", "Cookie", "Date", "Expect", "Expires", "Forwarded", "Host", "If-Match",
    "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Location",
    "Max-Forwards", "Pragma", "Proxy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
    "Range", "Retry-After", "Sec-WebSocket-Key", "Set-Cookie", "TE", "Trailer", "Transfer-Encoding",
    "Upgrade", "Vary", "Via", "WWW-Authenticate", "Warning", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP", "X_Checksum",
]
# fmt: on


@pytest.mark.parametrize(
    ("section", "written"),
    [
        (b"\r\n", b"\r\n"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"A:b\r\nB: \r\nC: \t d \r\n\r\n", b"A:b\r\nB: \r\nC: d\r\n\r\n"),
        (b"Content-Length: 5\r\nA: b\r\nContent-Length: 6\r\n\r\n", b"A: b\r\n\r\n"),
        (b"Digest: x\r\nHost: evil\r\nExpires-In: 5\r\n\r\n", b"Digest: x\r\nExpires-In: 5\r\n\r\n"),
    ],
)
def test_a_section_is_written_anew_without_what_is_forbidden(section: bytes, written: bytes) -> None:  # 10
    assert parse_trailers_bytes(section + b"GET")["size"] == len(section)
    assert rewrite_trailers(section) == written


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_a_forbidden_field_is_dropped(name: str, case: type[str]) -> None:  # 10
    assert (
        rewrite_trailers(b"A: 1\r\n" + case(name).encode() + b": x\r\nB: 2\r\n\r\n")
        == b"A: 1\r\nB: 2\r\n\r\n"
    )


@pytest.mark.parametrize("cut", range(len(b"A: b\r\nB: \t c \r\n\r\n")))
def test_a_section_that_is_not_complete_needs_more_bytes(cut: int) -> None:
    assert parse_trailers_bytes(b"A: b\r\nB: \t c \r\n\r\n"[:cut]) is None


@pytest.mark.parametrize(
    ("section", "limits"),
    [(b"A: b\r\n" * 3, {"max_fields": 2}), (b"A: " + b"b" * 60, {"max_bytes": 50})],
)
def test_a_section_is_bounded(section: bytes, limits: dict[str, int]) -> None:  # 10
    with pytest.raises(WireFault, match=r"^trailers_too_large \(431\)"):
        parse_trailers_bytes(section, **limits)


def test_a_second_request_in_the_place_of_trailers_is_a_fault() -> None:
    with pytest.raises(WireFault, match="space_before_colon"):
        parse_trailers_bytes(b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n")
