"""Who is asking."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.clients import (
    NOBODY,
    Asker,
    Trust,
    client_ip,
    client_network,
    environ_key,
    everybody,
    first_of,
    header_key,
)
from wsgistack.ratelimit.networks import parse_networks
from wsgistack.wsgi import EnvironRequest


def asker(peer: str = "198.51.100.7", trust: Trust | None = None, **environ: Any) -> Asker:
    return Asker(EnvironRequest({"REMOTE_ADDR": peer, **environ}), trust or Trust())


def ip(peer: str, told: str = "", **options: Any) -> bytes:
    environ = {"HTTP_X_FORWARDED_FOR": told} if told else {}
    return asker(peer, Trust(**options), **environ).ip


def test_an_ipv4_client_is_its_address() -> None:
    assert ip("198.51.100.7") == b"\xc6\x33\x64\x07"
    assert ip("198.51.100.7:51234") == ip("::ffff:198.51.100.7") == ip("198.51.100.7")


def test_an_ipv6_client_is_its_network() -> None:
    assert ip("2001:db8::1") == ip("2001:db8::ffff:1") == b"\x20\x01\x0d\xb8\0\0\0\0"
    assert ip("2001:db8:0:1::1") != ip("2001:db8::1")
    assert ip("2001:db8:0:1::1", ipv6_prefix=48) == ip("2001:db8::1", ipv6_prefix=48)
    assert ip("198.51.100.7", ipv4_prefix=24) == ip("198.51.100.200", ipv4_prefix=24)


def test_no_network_is_taken_for_another() -> None:
    keys = [ip("32.1.13.184"), ip("2001:db8::", ipv6_prefix=32), ip("2001:db8::"), ip("nonsense"), ip("")]
    assert len(set(keys[:4])) == 4
    assert keys[3] == keys[4] == NOBODY


@pytest.mark.parametrize(
    ("told", "expected"),
    [("6.6.6.6, 203.0.113.9", "203.0.113.9"), ("203.0.113.9, 10.0.0.5", "203.0.113.9"), ("junk", "10.0.0.1")],
)
def test_a_trusted_proxy_tells_who_asked(told: str, expected: str) -> None:
    assert ip("10.0.0.1", told, trusted=["10.0.0.0/8"]) == ip(expected)


def test_nobody_is_believed_without_being_trusted() -> None:
    assert ip("203.0.113.9", "6.6.6.6", trusted=["10.0.0.0/8"]) == ip("203.0.113.9")
    assert ip("203.0.113.9", "6.6.6.6") == ip("203.0.113.9")
    assert ip("", "6.6.6.6", trusted=["10.0.0.0/8"]) == NOBODY
    assert ip("", "203.0.113.9", trusted=["unix"]) == ip("203.0.113.9")


def test_only_the_configured_field_is_read() -> None:
    trust = Trust(trusted=["10.0.0.0/8"], forwarded="Forwarded")
    told: dict[str, Any] = {"HTTP_X_FORWARDED_FOR": "6.6.6.6", "HTTP_FORWARDED": "for=203.0.113.9"}
    assert asker("10.0.0.1", trust, **told).ip == ip("203.0.113.9")
    assert asker("10.0.0.1", trust, HTTP_X_FORWARDED_FOR="6.6.6.6").ip == ip("10.0.0.1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"trusted": ["10.0.0.0/33"]}, "trusted: '10.0.0.0/33' is not a network"),
        ({"forwarded": "x-forwarded-four"}, "did you mean 'x-forwarded-for'?"),
        ({"ipv6_prefix": 0}, "ipv6_prefix: 0 is not a number from 1 to 128"),
        ({"ipv4_prefix": "24"}, "ipv4_prefix: '24' is not a number from 1 to 32"),
    ],
)
def test_a_mistake_in_the_settings_is_told(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        Trust(**options)
    assert complaint in str(caught.value)


def test_a_network_list_names_its_setting() -> None:
    with pytest.raises(SettingError, match="exempt: 'x' is not a network"):
        parse_networks(["x"], setting="exempt")
    assert not parse_networks([], setting="exempt")


def test_a_wider_network_is_counted_beside_the_client() -> None:
    network = client_network()
    assert network(asker("2001:db8:1:2::1")) == network(asker("2001:db8:1:ffff::9"))
    assert network(asker("2001:db8:1::")) != network(asker("2001:db8:2::"))
    assert (
        network(asker("198.51.100.7")) == network(asker("198.51.100.200")) != network(asker("198.51.101.7"))
    )
    proxied = asker("10.0.0.1", Trust(trusted=["10.0.0.0/8"]), HTTP_X_FORWARDED_FOR="198.51.100.9")
    assert network(proxied) == network(asker("198.51.100.7"))
    assert client_network(ipv4_prefix=8)(asker("198.1.1.1")) == client_network(ipv4_prefix=8)(
        asker("198.2.2.2")
    )
    with pytest.raises(SettingError, match="ipv6_prefix: 129 is not a number"):
        client_network(ipv6_prefix=129)


def test_a_credential_is_hashed() -> None:
    (key,) = header_key("X-Api-Key", known=lambda value: True)(asker(HTTP_X_API_KEY="sesame"))
    assert len(key) == 16 and b"sesame" not in key
    (other,) = header_key("X-Api-Key", known=lambda value: True, secret=b"s")(asker(HTTP_X_API_KEY="sesame"))
    assert other != key


@pytest.mark.parametrize("environ", [{}, {"HTTP_X_API_KEY": ""}, {"HTTP_X_API_KEY": "  "}], ids=repr)
def test_leaving_the_credential_out_is_no_way_around(environ: dict[str, Any]) -> None:
    assert header_key("X-Api-Key")(asker(**environ)) == (ip("198.51.100.7"),)
    assert header_key("X-Api-Key", known=lambda value: True)(asker(**environ)) == (ip("198.51.100.7"),)


def test_an_invented_credential_counts_for_the_address() -> None:
    valid = header_key("X-Api-Key", known={"sesame"}.__contains__)
    assert valid(asker(HTTP_X_API_KEY="invented")) == (ip("198.51.100.7"),)
    unsure = header_key("X-Api-Key")(asker(HTTP_X_API_KEY="invented"))
    assert len(unsure) == 2 and unsure[1] == ip("198.51.100.7")


def test_a_user_counts_as_a_user_wherever_he_is() -> None:
    by_user = environ_key("REMOTE_USER")
    assert by_user(asker(REMOTE_USER="ann")) == by_user(asker("192.0.2.1", REMOTE_USER="ann"))
    assert by_user(asker()) == (ip("198.51.100.7"),)
    with pytest.raises(SettingError, match="HTTP_USER is written by the client"):
        environ_key("HTTP_USER")


def test_the_first_key_that_knows_counts_and_the_address_if_none_does() -> None:
    chosen = first_of(lambda asker: None, lambda asker: (), everybody)
    assert chosen(asker()) == (b"*",)
    assert first_of(lambda asker: ())(asker()) == client_ip(asker())


def test_a_secret_is_as_long_as_a_key_of_the_hash_may_be() -> None:
    assert callable(header_key("X-Api-Key", secret=b"x" * 64))
    with pytest.raises(SettingError, match="secret: 65 bytes, at most 64 fit"):
        header_key("X-Api-Key", secret=b"x" * 65)
