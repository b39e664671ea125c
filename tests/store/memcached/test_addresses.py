"""Where a node is: every way to write it, and one clear error for what is none."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import AddressError
from wsgistack.store.memcached.addresses import Address, parse_address, parse_servers


@pytest.mark.parametrize(
    ("server", "address", "name"),
    [
        ("10.0.0.1", Address("10.0.0.1", 11211), "10.0.0.1:11211"),
        ("10.0.0.1:11212", Address("10.0.0.1", 11212), "10.0.0.1:11212"),
        ("cache1.example:1", Address("cache1.example", 1), "cache1.example:1"),
        ("::1", Address("::1", 11211), "[::1]:11211"),
        ("[::1]", Address("::1", 11211), "[::1]:11211"),
        ("[0:0::1]:11212", Address("::1", 11212), "[::1]:11212"),
        ("/run/memcached.sock", Address("", 0, 1, "/run/memcached.sock"), "/run/memcached.sock"),
        ("unix:/run/m", Address("", 0, 1, "/run/m"), "/run/m"),
        (("10.0.0.1", 11211), Address("10.0.0.1", 11211), "10.0.0.1:11211"),
        (["10.0.0.1", 11211, 3], Address("10.0.0.1", 11211, 3), "10.0.0.1:11211"),
        (("::1", 1), Address("::1", 1), "[::1]:1"),
    ],
)
def test_a_server_has_an_address_and_a_name(server: Any, address: Address, name: str) -> None:
    assert parse_address(server) == address
    assert parse_address(address).name == name


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("10.0.0.1:", "there is no port behind the colon"),
        ("10.0.0.1:0", "'0' is not a port from 1 to 65535"),
        ("10.0.0.1:65536", "'65536' is not a port"),
        ("10.0.0.1:x", "'x' is not a port"),
        ("", "'' is not a host"),
        ("a b", "'a b' is not a host"),
        (":::", "':::' is not an IPv6 address"),
        (("10.0.0.1", 1, 0), "0 is not a weight from 1 to"),
        (("10.0.0.1", 1, 1.5), "1.5 is not a weight"),
        ((1, 1), "the host is not text"),
        (("a", True), "True is not a port"),
        (7, "7 is neither text nor"),
        (("a", 1, 1, 1), "is neither text nor"),
    ],
)
def test_what_is_no_server_is_named(server: Any, words: str) -> None:
    with pytest.raises(AddressError, match="server") as caught:
        parse_address(server)
    assert words in str(caught.value)


def test_servers_come_as_text_or_as_a_list() -> None:
    assert [one.port for one in parse_servers("10.0.0.1:1, 10.0.0.2:2,")] == [1, 2]
    assert [one.port for one in parse_servers([("a", 1), "b:2"])] == [1, 2]


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ([], "there is not even one"),
        ("", "there is not even one"),
        (None, "None is not a list of servers"),
        (["a:1", "b:1", ("a", 1)], "a:1 stands there twice"),
    ],
)
def test_what_is_no_list_of_servers_is_named(servers: Any, words: str) -> None:
    with pytest.raises(AddressError, match="servers") as caught:
        parse_servers(servers)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("server", "needs_lookup"),
    [("10.0.0.1", False), ("::1", False), ("/run/m", False), ("cache1", True), ("[fe80::1%eth0]", True)],
)
def test_only_names_need_a_resolver(server: str, needs_lookup: bool) -> None:
    assert parse_address(server).needs_lookup is needs_lookup
