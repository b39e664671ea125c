"""Host and the authority of absolute targets: uri-host [":" port], RFC 9110 7.2, RFC 3986 3.2.2."""

import pytest

from wsgistack.balancer.plane.wire import WireFault, parse_request

GOOD = [
    "example.com",
    "EXAMPLE.com",
    "example.com.",
    "example.com:80",
    "example.com:",
    "example.com:0080",
    "example.com:65535",
    "a",
    "under_score.example",
    "127.0.0.1",
    "127.0.0.1:8080",
    "999.1.1.1",
    "xn--bcher-kva.example",
    "a%41b",
    "!$&'()*+,;=~-._",
    "[::1]",
    "[::1]:8080",
    "[::]",
    "[2001:db8::1]",
    "[2001:DB8:0:0:0:0:0:1]",
    "[1:2:3:4:5:6:7::]",
    "[::2:3:4:5:6:7:8]",
    "[::ffff:192.0.2.1]",
    "[1:2:3:4:5:6:192.0.2.1]",
    "a" * 253 + ":65535",
]

BAD = [
    "",
    ":80",
    ":",
    "a b",
    "a\tb",
    "a/b",
    "a?b",
    "a#b",
    "user@example.com",
    "user:pass@example.com",
    "a\\b",
    'a"b',
    "a<b",
    "a|b",
    "a^b",
    "a`b",
    "a{b}",
    "b\xfccher.example",
    "a%",
    "a%4",
    "a%4g",
    "a:b",
    "a:80:80",
    "a:-1",
    "a:+80",
    "a:80 ",
    "a:0x50",
    "a:65536",
    "a:99999999999999999999",
    "[",
    "[]",
    "]",
    "[::1",
    "::1",
    "[::1]8080",
    "[::1]a:80",
    "[:1]",
    "[1:]",
    "[:::]",
    "[1::2::3]",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7:8::]",
    "[12345::]",
    "[g::]",
    "[::1%25eth0]",
    "[::1%eth0]",
    "[v1.x]",
    "[192.0.2.1]",
    "[::192.0.2.256]",
    "[::192.0.2]",
    "[::192.0.02.1]",
    "[1:2:3:4:5:6:7:192.0.2.1]",
    "[::192.0.2.1:1]",
    "a" * 273,
]


@pytest.mark.parametrize("host", GOOD)
def test_a_valid_host_is_taken(host: str) -> None:
    head = parse_request(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))

    assert head["host"] == host.encode()


@pytest.mark.parametrize("host", [one for one in BAD if one == one.strip()])
def test_an_invalid_host_is_refused(host: str) -> None:
    with pytest.raises(WireFault, match="host_invalid"):
        parse_request(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize("host", GOOD)
def test_a_valid_authority_of_a_target_is_taken(host: str) -> None:
    head = parse_request(f"GET http://{host}/x HTTP/1.1\r\nHost: other\r\n\r\n".encode("latin-1"))

    assert (head["host"], head["target"]) == (host.encode(), b"/x")


@pytest.mark.parametrize("host", [one for one in BAD if not set("/?# \t@\xfc") & set(one)])
def test_an_invalid_authority_of_a_target_is_refused(host: str) -> None:
    with pytest.raises(WireFault, match="host_invalid"):
        parse_request(f"GET http://{host}/x HTTP/1.1\r\nHost: other\r\n\r\n".encode("latin-1"))
