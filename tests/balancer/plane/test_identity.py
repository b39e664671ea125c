"""Fields that say who is asking: those of a client that is not trusted go no further."""

from pathlib import Path

import pytest

from wsgistack.balancer.plane.wire import parse_trailers_bytes, rewrite_request, rewrite_response
from wsgistack.http.identity import NAMES, PREFIXES

OF_A_CLIENT = [
    "CF-Connecting-IP", "CF-Connecting-IPv6", "Client-Cert", "Client-Cert-Chain", "Client-IP", "Fastly-Client-IP",
    "Forwarded-For", "Front-End-Https", "Proxy-Client-IP", "Remote-User", "True-Client-IP", "WL-Proxy-Client-IP",
    "X-Client-Cert", "X-Client-IP", "X-Cluster-Client-IP", "X-Envoy-External-Address", "X-Forwarded",
    "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Protocol",
    "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-User", "X-Host",
    "X-HTTP-Host-Override", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-URL", "X-Originating-IP",
    "X-ProxyUser-IP", "X-Real-IP", "X-Remote-Addr", "X-Remote-IP", "X-Remote-User", "X-Rewrite-URL", "X-Scheme",
    "X-Script-Name", "X-SSL-Client-Verify", "X-URL-Scheme",
]  # fmt: skip
OF_NOBODY = [
    "X-Hosts", "X-Real", "X-Requested-With", "X-Forward", "X-SSL", "Client", "Client-Certs", "X", "Xhost",
    "A-Forwarded-For", "X-Original-URLs", "Remote-Users",
]  # fmt: skip


def head(*lines: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize("name", OF_A_CLIENT)
@pytest.mark.parametrize("write", [str.upper, str.lower, str.title], ids=["upper", "lower", "title"])
def test_a_client_that_is_not_trusted_can_not_say_who_it_is(name: str, write: type[str]) -> None:
    line = write(name).encode() + b": 6.6.6.6"
    assert b"6.6.6.6" not in rewrite_request(head(line, b"B: 1"))
    assert b"\r\nB: 1\r\n" in rewrite_request(head(line, b"B: 1"))


@pytest.mark.parametrize("name", OF_A_CLIENT)
@pytest.mark.parametrize("blind", [False, True], ids=["", "blind"])
def test_a_trusted_proxy_can(name: str, blind: bool) -> None:
    line = name.encode() + b": 6.6.6.6"
    assert b"\r\n" + line + b"\r\n" in rewrite_request(head(line), trusted=True, blind=blind)


@pytest.mark.parametrize("name", OF_A_CLIENT)
def test_what_a_trusted_proxy_says_can_not_be_taken_off_by_connection(name: str) -> None:
    line = name.encode() + b": 6.6.6.6"
    assert line in rewrite_request(head(b"Connection: " + name.encode(), line), trusted=True)


@pytest.mark.parametrize("name", OF_NOBODY)
def test_names_that_only_look_like_them_pass(name: str) -> None:
    line = name.encode() + b": 1"
    assert b"\r\n" + line + b"\r\n" in rewrite_request(head(line))


@pytest.mark.parametrize("name", OF_A_CLIENT)
def test_none_of_them_is_a_trailer(name: str) -> None:
    assert parse_trailers_bytes(name.encode() + b": 1\r\n\r\n")["fields"] == [(name.encode(), b"1", True)]


@pytest.mark.parametrize("name", ["X-Real-IP", "X-Forwarded-Server", "X-Host"])
def test_in_a_response_they_mean_nothing_and_pass(name: str) -> None:
    line = name.encode() + b": 1\r\n"
    assert line in rewrite_response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n")


def test_the_documentation_names_all_of_them() -> None:
    page = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text().lower()
    assert [name for name in NAMES if f"`{name}`" not in page] == []
    assert [name for name in PREFIXES if f"`{name}`" not in page] == []
