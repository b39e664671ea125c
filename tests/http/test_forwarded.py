"""Who asked, as proxies tell it."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.http.forwarded import (
    Address,
    elements_of_forwarded,
    find_client,
    hops_of_forwarded,
    hops_of_x_forwarded_for,
    parse_hop,
)

TRUSTED = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("2001:db8:ff::/48")]


def is_trusted(address: Address | None) -> bool:
    return address is not None and any(address in network for network in TRUSTED)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:51234", "198.51.100.7"),
        (" 198.51.100.7\t", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:c633:6407", "198.51.100.7"),
    ],
)
def test_a_client_has_one_address_however_it_is_written(text: str, address: str) -> None:
    assert str(parse_hop(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_obf",
        "garbage<script>",
        "0198.051.100.007",
        "198.51.100.7.5",
        "198.51.100",
        "256.1.1.1",
        "198.51.100.7:port",
        "[198.51.100.7",
        "localhost",
        "1" * 500,
        "::1\x00",
        "١٩٨.51.100.7",
    ],
)
def test_what_is_no_address_is_nobody(text: str) -> None:
    assert parse_hop(text) is None


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        ("for=192.0.2.1", ["192.0.2.1"]),
        ('for="[2001:db8:cafe::17]:4711"', ["[2001:db8:cafe::17]:4711"]),
        ("For=192.0.2.60; proto=http; By=203.0.113.43", ["192.0.2.60"]),
        ("for=192.0.2.1, for=198.51.100.2", ["192.0.2.1", "198.51.100.2"]),
        ("for=192.0.2.1,proto=https", ["192.0.2.1", ""]),
        ("for=unknown, for=_hidden", ["unknown", "_hidden"]),
        ("for=192.0.2.1:80", ["192.0.2.1:80"]),
        ('for="192.0.2.1, for=6.6.6.6"', ["192.0.2.1, for=6.6.6.6"]),
        ('for="a\\"b"', ['a"b']),
        ('for=192.0.2.1, for="6.6.6.6', ["192.0.2.1", "?"]),
        ("for=192.0.2.1 for=6.6.6.6", ["?"]),
        ("for=192.0.2.1,", ["192.0.2.1", ""]),
        ("for=192.0.2.1, ", ["192.0.2.1", ""]),
        ("for=192.0.2.1;", ["192.0.2.1"]),
        (";for=192.0.2.1;;proto=http;, ;", ["192.0.2.1", ""]),
        ("for=192.0.2.1;for=192.0.2.2", ["?"]),
        ("for=192.0.2.1;proto=http;FOR=192.0.2.1, for=198.51.100.2", ["?", "198.51.100.2"]),
        ("for=192.0.2.1;host=a;host=b", ["?"]),
        ("for=192.0.2.1;proto=http;proto=https", ["?"]),
        ("by=_a;by=_b;for=192.0.2.1", ["?"]),
        ("for=192.0.2.1;x=1;x=2", ["192.0.2.1"]),
        ("", []),
    ],
)
def test_the_elements_of_forwarded(value: str, hops: list[str]) -> None:
    assert hops_of_forwarded(value) == hops


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "6.6.6.6", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, 10.1.2.3, 10.9.9.9", "198.51.100.7"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "198.51.100.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7, garbage<script>, 10.1.1.1", "10.1.1.1"),
        ("127.0.0.1", "198.51.100.7, ", "127.0.0.1"),
        ("127.0.0.1", "[2001:db8::9]:8000, 2001:db8:ff::1", "2001:db8::9"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("", "198.51.100.7", "None"),
    ],
)
def test_hearsay_ends_at_the_first_hop_that_is_not_ours(peer: str, told: str, client: str) -> None:
    hops = hops_of_x_forwarded_for(told) if told else []
    assert str(find_client(peer, hops, is_trusted)) == client


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("for=6.6.6.6;for=198.51.100.7, for=10.1.2.3", "10.1.2.3"),
        ("for=6.6.6.6;for=198.51.100.7", "127.0.0.1"),
        ("for=6.6.6.6;for=7.7.7.7, for=198.51.100.7, for=10.1.2.3", "198.51.100.7"),
    ],
    ids=["left of ours", "the last", "left of the client's"],
)
def test_who_is_told_twice_is_nobody_and_trust_ends_before_him(told: str, client: str) -> None:
    assert str(find_client("127.0.0.1", hops_of_forwarded(told), is_trusted)) == client


def test_an_element_that_says_something_twice_says_nothing() -> None:
    told = "for=192.0.2.1;proto=https;host=a.example;host=b.example, for=192.0.2.2;proto=http"
    assert elements_of_forwarded(told) == [{"for": "?"}, {"for": "192.0.2.2", "proto": "http"}]


def test_a_unix_socket_is_trusted_only_by_who_says_so() -> None:
    assert str(find_client("", ["198.51.100.7"], lambda address: address is None)) == "198.51.100.7"


@given(st.text(max_size=200))
def test_no_value_breaks_the_readers(value: str) -> None:
    for hops in (hops_of_forwarded(value), hops_of_x_forwarded_for(value)):
        find_client("127.0.0.1", hops, is_trusted)


def test_a_long_field_takes_linear_time() -> None:
    hops = hops_of_forwarded("for=192.0.2.1, " * 20_000 + 'for="')
    assert len(hops) == 20_001
    assert str(find_client("127.0.0.1", hops, lambda _: True)) == "127.0.0.1"
