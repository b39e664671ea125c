"""Networks in a file: what a line may be, and who is in one of them."""

from __future__ import annotations

import ipaddress
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer import address_list
from wsgistack.balancer.address_list import AddressList, parse_addresses, read_list
from wsgistack.balancer.plane.parts import ranges_hold_address
from wsgistack.http.forwarded import Address
from wsgistack.http.networks import parse_network

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
EXPECTED = "is not a network such as 10.0.0.0/8 or 2001:db8::/32"


def make(text: str) -> AddressList:
    found, problems = read_list("/lists/x", text)
    assert found is not None, problems
    return found


def holds(found: AddressList, address: str) -> bool:
    """Ask the plain list and the plane's, which agree."""
    one = ipaddress.ip_address(address)
    packed = b"\0" * 10 + b"\xff\xff" + one.packed if one.version == 4 else one.packed
    plain = one in found
    assert ranges_hold_address(b64decode(found.wire), packed) == plain
    return plain


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.0/8  # the office\n", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::a00:1"]),
        ("203.0.113.9\r\n", ["203.0.113.9"], ["203.0.113.8", "203.0.113.10"]),
        ("2001:db8::/32\n", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db7:ffff::", "2001:db9::", "32.1.13.184"]),
        ("10.9.8.7/8", ["10.0.0.1"], ["11.0.0.1"]),
        ("0.0.0.0/0", ["1.2.3.4"], ["::1", "2001:db8::1"]),
        ("::/0", ["::1", "ffff::", "::fffe:ffff:ffff", "::1:0:0:0"], ["1.2.3.4", "255.255.255.255"]),
        ("::/80", ["::1", "::fffe:ffff:ffff"], ["1.2.3.4", "255.255.255.255", "::1:0:0:0"]),
        ("::fffe:0:0/95", ["::fffe:0:0"], ["0.0.0.0", "255.255.255.255", "::1:0:0:0"]),
        ("::/0\n10.0.0.0/8", ["::1", "10.1.2.3"], ["11.0.0.0"]),
        ("::ffff:1.2.3.0/120", ["1.2.3.4"], ["1.2.4.4"]),
        ("10.0.0.0/9\n10.128.0.0/9\n10.1.0.0/16\n", ["10.200.0.0"], ["11.0.0.0"]),
        ("# nobody yet\n\n", [], ["10.0.0.1", "::1"]),
    ],
)  # fmt: skip
def test_a_line_is_a_network_or_an_address(text: str, inside: list[str], outside: list[str]) -> None:
    found = make(text)
    assert [holds(found, address) for address in inside] == [True] * len(inside)
    assert [holds(found, address) for address in outside] == [False] * len(outside)
    assert None not in found


def test_networks_that_touch_are_one() -> None:
    assert len(make("10.0.0.0/9\n10.128.0.0/9\n11.0.0.0/8\n9.0.0.1\n").ranges) == 2


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("10.0.0.1\nsomebody\n", [(2, f"'somebody' {EXPECTED}")]),
        ("10.0.0.0/33\n\n10.0.0.1 10.0.0.2\n", [(1, f"'10.0.0.0/33' {EXPECTED}"), (3, f"'10.0.0.1 10.0.0.2' {EXPECTED}")]),
        ("deny 10.0.0.1;", [(1, f"'deny 10.0.0.1;' {EXPECTED}")]),
        ("\x00\ufffd" * 60, [(1, f"'{chr(0) + chr(0xFFFD)}" + "\x00\ufffd" * 39 + f"' {EXPECTED}")]),
    ],
)  # fmt: skip
def test_what_is_no_network_is_told_with_its_line_and_spoils_the_file(
    text: str, problems: list[tuple[int, str]]
) -> None:
    assert read_list("/lists/x", text) == (None, problems)


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_list, "MOST_RANGES", 2)
    assert read_list("x", "10.0.0.1\n10.0.0.2\n10.0.0.4\n")[0] is not None
    assert parse_addresses("10.0.0.1\n10.0.0.3\n10.0.0.5")[1] == [(3, "3 networks; at most 2 fit")]


networks = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(networks, max_size=8), st.lists(st.ip_addresses(), max_size=4))
def test_who_is_inside_is_who_is_in_one_of_the_networks(
    networks: list[Network], others: list[Address]
) -> None:
    found = make("\n".join(map(str, networks)))
    mapped = ipaddress.ip_network("::ffff:0:0/96")
    edges = [end for network in networks for end in (network[0], network[-1])]
    for address in [*edges, *others]:
        if address.version == 6 and address in mapped:
            continue  # nobody has such an address: it is IPv4
        expected = any(address in parse_network(str(network)) for network in networks)
        assert holds(found, str(address)) is expected
