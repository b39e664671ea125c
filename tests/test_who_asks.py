"""Who is asking: one table, and both edges give the same answer to it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest
from webob import Request

from wsgistack.balancer.address_list import parse_addresses
from wsgistack.balancer.foresight import find_address, is_about
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.model import Service
from wsgistack.balancer.plane.asker import ask_who
from wsgistack.balancer.plane.parts import ranges_hold_address
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.shedding import find_level
from wsgistack.cache.purging import Purgers
from wsgistack.components.trust import Trust as TrustComponent
from wsgistack.http.forwarded import parse_hop
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.networks import parse_networks
from wsgistack.wsgi import EnvironRequest

OURS = ("127.0.0.0/8", "10.0.0.0/8", "2001:db8:ff::/48")
PROXY = "10.0.0.1"


class Row(NamedTuple):
    """A request by way of *peer*, and who sent it; *told* are the lines of the field that our proxies set."""

    told: tuple[str, ...]
    client: str
    peer: str = PROXY


# What the walk believes, in words that both fields have.
HOPS = {
    "nobody told anything": Row((), PROXY),
    "a client": Row(("198.51.100.7",), "198.51.100.7"),
    "a stranger is not believed": Row(("6.6.6.6",), "203.0.113.9", peer="203.0.113.9"),
    "a stranger with IPv6": Row(("6.6.6.6",), "2001:db8::9", peer="2001:db8::9"),
    "a proxy with IPv6": Row(("198.51.100.7",), "198.51.100.7", peer="2001:db8:ff::1"),
    "a proxy as IPv4 within IPv6": Row(("198.51.100.7",), "198.51.100.7", peer="::ffff:10.0.0.1"),
    "a lie of the client": Row(("6.6.6.6", "198.51.100.7"), "198.51.100.7"),
    "two proxies": Row(("198.51.100.7", "10.9.9.9"), "198.51.100.7"),
    "two proxies and a lie": Row(("6.6.6.6", "198.51.100.7", "10.9.9.9"), "198.51.100.7"),
    "proxies alone": Row(("10.9.9.9", "10.8.8.8"), "10.9.9.9"),
    "unknown": Row(("198.51.100.7", "unknown"), PROXY),
    "obfuscated": Row(("198.51.100.7", "_hidden"), PROXY),
    "behind one who is unknown": Row(("198.51.100.7", "unknown", "10.9.9.9"), "10.9.9.9"),
    "octets that some read as octal": Row(("0198.051.100.007",), PROXY),
    "a port": Row(("198.51.100.7:51234",), "198.51.100.7"),
    "IPv6, however it is written": Row(("2001:DB8:0:0::1",), "2001:db8::1"),
    "IPv6 with a port": Row(("[2001:db8::1]:443",), "2001:db8::1"),
    "IPv4 within IPv6": Row(("::ffff:198.51.100.7",), "198.51.100.7"),
    "the same in hexadecimal": Row(("::ffff:c633:6407",), "198.51.100.7"),
    "a zone": Row(("fe80::1%eth0",), "fe80::1"),
    "a zone in brackets": Row(("[fe80::1%25eth0]:80",), "fe80::1"),
    "a chain of more proxies than are looked at": Row(("6.6.6.6", *["10.9.9.9"] * 64), "10.9.9.9"),
}  # fmt: skip


def as_x_forwarded_for(hops: tuple[str, ...]) -> tuple[str, ...]:
    return (", ".join(hops),) if hops else ()


def as_forwarded(hops: tuple[str, ...]) -> tuple[str, ...]:
    return (", ".join(f'for="{hop}";proto=https' for hop in hops),) if hops else ()


# What only one of the fields can say.
X_FORWARDED_FOR = {
    "several lines are one list": Row(("6.6.6.6", "198.51.100.7, 10.9.9.9"), "198.51.100.7"),
    "spaces and tabs": Row((" 198.51.100.7\t",), "198.51.100.7"),
    "garbage": Row(("198.51.100.7, garbage<script>, 10.1.1.1",), "10.1.1.1"),
    "a hop that is empty": Row(("198.51.100.7, ",), PROXY),
    "a field that is empty": Row(("",), PROXY),
    "in the words of the other field": Row(("for=198.51.100.7",), PROXY),
}
FORWARDED = {
    "several lines are one list": Row(("for=6.6.6.6", "for=198.51.100.7, for=10.9.9.9"), "198.51.100.7"),
    "names in any case": Row(("FOR=198.51.100.7;By=10.0.0.1",), "198.51.100.7"),
    "not only the address": Row(('proto=https; for="198.51.100.7" ;host="a, for=6.6.6.6"',), "198.51.100.7"),
    "a port without quotes": Row(("for=198.51.100.7:80",), "198.51.100.7"),
    "quoted though it need not be": Row(('for="198.\\51.100.7"',), "198.51.100.7"),
    "a list in quotes is no list": Row(('for="198.51.100.7, for=10.9.9.9"',), PROXY),
    "an element without an address": Row(("for=198.51.100.7, proto=https",), PROXY),
    "quotes that stay open": Row(('for=198.51.100.7, for="10.9.9.9',), PROXY),
    "quotes that close in the next line": Row(('for=198.51.100.7, for="', '10.9.9.9"'), PROXY),
    "no grammar": Row(("for=198.51.100.7 for=10.9.9.9",), PROXY),
    "behind what is no grammar": Row(("for=6.6.6.6 x, for=198.51.100.7",), PROXY),
    "a semicolon at the end": Row(("for=198.51.100.7;",), "198.51.100.7"),
    "a comma at the end": Row(("for=198.51.100.7,",), PROXY),
    "in the words of the other field": Row(("198.51.100.7",), PROXY),
}  # fmt: skip

CASES = {
    **{f"x-forwarded-for: {n}": row._replace(told=as_x_forwarded_for(row.told)) for n, row in HOPS.items()},
    **{f"forwarded: {n}": row._replace(told=as_forwarded(row.told)) for n, row in HOPS.items()},
    **{f"x-forwarded-for: only {name}": row for name, row in X_FORWARDED_FOR.items()},
    **{f"forwarded: only {name}": row for name, row in FORWARDED.items()},
}
LIE = {"x-forwarded-for": b"Forwarded: for=6.6.6.7", "forwarded": b"X-Forwarded-For: 6.6.6.7"}


@pytest.mark.parametrize("name", CASES)
def test_both_edges_know_the_same_client(name: str) -> None:
    """The WSGI component, the limits of the WSGI edge, the plane, and `explain` for its operator."""
    row, field = CASES[name], name.partition(":")[0]
    combined = ", ".join(row.told)
    variables = {"HTTP_" + field.upper().replace("-", "_"): combined} if row.told else {}
    request = EnvironRequest({"REMOTE_ADDR": row.peer, **variables})
    found = [
        Trust(trusted=OURS, forwarded=field).address(request),
        _by_component(row, field, variables),
        _by_plane(row, field),
        _by_operator(row, field, combined),
    ]
    assert [str(address) for address in found] == [row.client] * 4


def _by_component(row: Row, field: str, variables: dict[str, str]) -> object:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["REMOTE_ADDR"].encode()]

    request = Request.blank("/", environ={"REMOTE_ADDR": row.peer, **variables})
    return parse_hop(request.get_response(TrustComponent(app, trusted=OURS, forwarded=field)).text)


def _by_plane(row: Row, field: str) -> object:
    lines = [f"{field}: {line}".encode("latin-1") for line in row.told]
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", LIE[field], *lines, b"", b""])
    packed = ask_who(head, row.peer.encode(), trusted=list(OURS), field=field)
    return packed and parse_hop(str(ip_address(packed)))


def _by_operator(row: Row, field: str, combined: str) -> object:
    settings = SERVICE_SETTINGS.defaults() | {"trusted_upstream_proxies": OURS, "forwarded": field}
    service = Service("mysite", 0, "reverse_proxy", True, None, (), settings, (), ())
    return find_address(service, row.peer, {field: combined}.get)


def test_everybody_is_believed_where_the_service_says_so() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=6.6.6.6, for=198.51.100.7\r\n\r\n"
    packed = ask_who(head, b"203.0.113.9", trusted=[], everybody=True, field="forwarded")
    assert packed is not None and str(ip_address(packed)) == "::ffff:606:606"


def test_a_peer_without_an_address_is_not_believed() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
    assert ask_who(head, b"unknown", trusted=list(OURS)) is None


# A client of IPv4 is in networks of IPv4 alone, however both are written.
HELD = [
    ("10.0.0.0/8", "10.9.9.9", True),
    ("10.0.0.0/8", "::ffff:10.9.9.9", True),
    ("10.0.0.0/8", "::ffff:a09:909", True),
    ("10.0.0.0/8", "::a09:909", False),
    ("0.0.0.0/0", "203.0.113.9", True),
    ("0.0.0.0/0", "2001:db8::9", False),
    ("::ffff:10.0.0.0/104", "10.9.9.9", True),
    ("::ffff:10.0.0.0/104", "11.9.9.9", False),
    ("::ffff:10.9.9.9", "10.9.9.9", True),
    ("::ffff:0:0/96", "203.0.113.9", True),
    ("::ffff:0:0/96", "::fffe:1:1", False),
    ("::/0", "203.0.113.9", False),
    ("::/0", "::ffff:203.0.113.9", False),
    ("::/0", "2001:db8::9", True),
    ("::/0", "::fffe:ffff:ffff", True),
    ("::/0", "::1:0:0:0", True),
    ("::/64", "203.0.113.9", False),
    ("::/80", "203.0.113.9", False),
    ("::/80", "::fffe:1:1", True),
    ("::/80", "::1:0:0:1", False),
    ("::8000:0:0/81", "203.0.113.9", False),
    ("::fffe:0:0/95", "203.0.113.9", False),
    ("::fffe:0:0/95", "::fffe:1:1", True),
]


@pytest.mark.parametrize(("network", "peer", "is_held"), HELD)
def test_both_edges_hold_the_same_clients_in_a_network(network: str, peer: str, is_held: bool) -> None:
    """Networks of settings and of files, at the WSGI edge, in the plane, and as `explain` tells its operator."""
    address = parse_hop(peer)
    assert address is not None
    request = EnvironRequest({"REMOTE_ADDR": peer})
    exempt = LIMIT_SETTINGS.defaults() | {"exempt": LIMIT_SETTINGS.parse("exempt", network)}
    marks = {"critical": LIMIT_SETTINGS.parse("critical", network), "sheddable": ()}
    found = {
        "settings of WSGI": address in parse_networks([network], setting="exempt"),
        "purges": Purgers([network]).may(request),
        "proxies of the plane": _trusts(network, peer),
        "proxies of its operator": _is_told_to_trust(network, peer),
        "a file of the plane": _is_listed(network, address.packed),
        "exempt for its operator": not is_about(Limit("api", 0, exempt), "GET", "/", address),
        "critical for its operator": find_level(marks, "/", address, lambda name: None) == "critical",
    }
    assert found == dict.fromkeys(found, is_held)


def _trusts(network: str, peer: str) -> bool:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
    packed = ask_who(head, peer.encode(), trusted=[network])
    return packed is not None and packed[12:] == ip_address("198.51.100.7").packed


def _is_told_to_trust(network: str, peer: str) -> bool:
    settings = SERVICE_SETTINGS.defaults() | {
        "trusted_upstream_proxies": SERVICE_SETTINGS.parse("trusted_upstream_proxies", network)
    }
    service = Service("mysite", 0, "reverse_proxy", True, None, (), settings, (), ())
    return str(find_address(service, peer, {"x-forwarded-for": "198.51.100.7"}.get)) == "198.51.100.7"


def _is_listed(network: str, packed: bytes) -> bool:
    ranges, _ = parse_addresses(network)
    ends = b"".join(end.to_bytes(16, "big") for found in ranges for end in found)
    return ranges_hold_address(ends, (b"\0" * 10 + b"\xff\xff" + packed)[-16:])
