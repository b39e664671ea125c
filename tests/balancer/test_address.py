"""Addresses of nodes and listeners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.address import Address, parse_address, parse_listen
from wsgistack.errors import AddressError


@pytest.mark.parametrize(
    ("text", "canonical", "kind"),
    [
        ("127.0.0.1:8001", "127.0.0.1:8001", "inet"),
        ("127.0.0.1", "127.0.0.1:80", "inet"),
        ("127.0.0.1:0", "127.0.0.1:80", "inet"),
        ("[::1]:8001", "[::1]:8001", "inet6"),
        ("[0:0:0:0:0:0:0:1]", "[::1]:80", "inet6"),
        ("[FE80::A]", "[fe80::a]:80", "inet6"),
        ("Node-1.Example:8001", "node-1.example:8001", "name"),
        ("localhost", "localhost:80", "name"),
        ("example.org.", "example.org:80", "name"),
        ("10x0y0z1", "10x0y0z1:80", "name"),
        ("unix:/run/App.sock", "unix:/run/App.sock", "unix"),
        ("UNIX:/run/a", "unix:/run/a", "unix"),
    ],
)
def test_a_node_address_has_one_canonical_text(text: str, canonical: str, kind: str) -> None:
    address = parse_address(text, default_port=80)
    assert (str(address), address.kind) == (canonical, kind)
    assert parse_address(canonical, default_port=None) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("999.999.999.999", "'999.999.999.999': 999 is not between 0 and 255"),
        ("1.2.3.4:65536", "'1.2.3.4:65536': port 65536 is not between 1 and 65535"),
        ("1.2.3.4:http", "'1.2.3.4:http': 'http' is not a port"),
        ("1.2.3.4:", "'1.2.3.4:': '' is not a port"),
        ("010.0.0.1", "'010.0.0.1': 010 begins with 0"),
        ("1.2.3", "'1.2.3': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path"),
        ("::1", "'::1': an IPv6 address stands in brackets, as in [::1]:80"),
        ("[::g]", "'[::g]': not an IPv6 address"),
        ("[fe80::1%eth0]", "'[fe80::1%eth0]': not an IPv6 address"),
        ("[::1", "'[::1': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path"),
        ("[::1]80", "'[::1]80': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path"),
        (
            "-a.example",
            "'-a.example': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path",
        ),
        ("", "'': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path"),
        ("unix:app", "'unix:app': a socket's path begins with /"),
        ("unix:/a\x07", "'unix:/a\\x07': a socket's path holds no comma, blank or control character"),
        ("unix:/" + "a" * 106, f"'{'unix:/' + 'a' * 71}...': a socket's path has at most 106 bytes"),
        ("a." * 53 + "b", f"'{'a.' * 38}a...': a name has at most 105 characters"),
    ],
)
def test_what_is_no_address_is_refused_with_what_was_met(text: str, message: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text, default_port=80)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("8080", "0.0.0.0:8080"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::]:80", "[::]:80"),
        ("unix:/run/a", "unix:/run/a"),
    ],
)
def test_a_listener_may_be_a_bare_port(text: str, canonical: str) -> None:
    assert str(parse_listen(text)) == canonical


@pytest.mark.parametrize("text", ["0", "127.0.0.1", "localhost:80", "99999", "junk", "[::1]"])
def test_a_listener_needs_a_number_and_a_port(text: str) -> None:
    expected = "Listen argument must be ip:port or port. e.g. 192.168.0.1:80 or 81"
    with pytest.raises(AddressError) as caught:
        parse_listen(text)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:80", True),
        ("127.9.9.9:80", True),
        ("[::1]:80", True),
        ("unix:/a", True),
        ("0.0.0.0:80", False),
        ("[::]:80", False),
        ("10.0.0.1:80", False),
    ],
)
def test_loopback_and_unix_sockets_are_local(text: str, local: bool) -> None:
    assert parse_listen(text).is_local is local


def test_a_name_is_never_local() -> None:
    assert not Address("name", "localhost", 80).is_local


@given(st.text(max_size=130))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = parse_address(text, default_port=80)
    except AddressError:
        return
    assert parse_address(str(address), default_port=None) == address
    assert len(str(address).encode()) <= 111
