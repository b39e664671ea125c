"""Who asked, as proxies tell it: X-Forwarded-For and Forwarded (RFC 7239).

Each proxy appends what it saw, so the list is true from its right end up to the first hop that is
not ours to trust; everything left of that is hearsay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from wsgistack.memos import remember

__all__ = [
    "LONGEST_HOP",
    "Address",
    "elements_of_forwarded",
    "find_client",
    "hops_of_forwarded",
    "hops_of_x_forwarded_for",
    "parse_hop",
    "walk",
]

Address = IPv4Address | IPv6Address

LONGEST_HOP = 80  # characters; the longest address with zone, brackets and port is shorter
MOST_HOPS = 64  # looked at from the right; a longer chain of trusted proxies is a loop

PORT = r"(?::[0-9]{1,5})?"
HOP = re.compile(rf"(?:\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]{PORT}|([0-9.]+){PORT}|([0-9A-Fa-f:.]+)(?:%\S*)?)")

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
PAIR = re.compile(rf"\s*(?:({TOKEN})=({TOKEN}|{QUOTED}|[^\s;,\"]+))?\s*([;,]|$)")
ONCE = ("by", "for", "host", "proto")  # each at most once in an element, RFC 7239 §4


@remember(8192, longest=LONGEST_HOP)
def parse_hop(text: str) -> Address | None:
    """Return the address that one hop names, None for `unknown`, a name, or anything else.

    A port, brackets and an IPv6 zone are dropped, an IPv4 address inside of an IPv6 one is given as
    IPv4, so that one client has one address.  Octets with leading zeros are refused: some read them
    as octal.

    >>> parse_hop("[::ffff:198.51.100.7]:443")
    IPv4Address('198.51.100.7')
    """
    if len(text) > LONGEST_HOP:
        return None
    found = HOP.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    try:
        address = ip_address(found[1] or found[2] or found[3])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def hops_of_x_forwarded_for(value: str) -> list[str]:
    """Return the hops of a combined X-Forwarded-For, as written, left to right."""
    return [hop.strip(" \t") for hop in value.split(",")]


def hops_of_forwarded(value: str) -> list[str]:
    """Return the `for` of each element of a combined Forwarded field, "" where one has none.

    An element that breaks the grammar, and all that follow, are one hop that names nobody, so that
    trust ends there; an element that says something twice names nobody either.  RFC 7239 §4.

    >>> hops_of_forwarded('for="[2001:db8::1]:4711";proto=https, By=x;For=192.0.2.1')
    ['[2001:db8::1]:4711', '192.0.2.1']
    """
    return [element.get("for", "") for element in elements_of_forwarded(value)]


def elements_of_forwarded(value: str) -> list[dict[str, str]]:
    """Return the pairs of each element of a combined Forwarded field, names in lower case, left to right.

    An element that breaks the grammar, and all that follow, are one whose `for` is `?`; one with a
    parameter of ONCE twice says nothing else either, whichever of the two was meant.

    >>> elements_of_forwarded('for=192.0.2.1;proto=https, Host="example.org"')
    [{'for': '192.0.2.1', 'proto': 'https'}, {'host': 'example.org'}]
    """
    elements: list[dict[str, str]] = []
    pairs: dict[str, str] = {}
    is_twofold = False
    at = 0
    if not value:
        return elements
    while True:
        found = PAIR.match(value, at)
        if found is None:
            return [*elements, {"for": "?"}]
        name, text, end = found.groups()
        if name is not None:
            name = name.lower()
            is_twofold = is_twofold or (name in pairs and name in ONCE)
            pairs[name] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        if end != ";":
            elements.append({"for": "?"} if is_twofold else pairs)
            pairs, is_twofold = {}, False
        at = found.end()
        if not end:
            return elements


def find_client(
    peer: str, hops: Iterable[str], is_trusted: Callable[[Address | None], bool]
) -> Address | None:
    """Return the address of the client, None when it is unknown (a Unix socket, or nothing valid).

    *peer* is who holds the connection, *hops* what proxies told, left to right.  The walk goes from
    the peer to the left as long as the hop at hand is trusted, and ends at the first that is not, or
    before the first that is no address: an invalid hop is never believed, nor stepped over.
    """
    return walk(peer, hops, is_trusted)[0]


def walk(
    peer: str, hops: Iterable[str], is_trusted: Callable[[Address | None], bool]
) -> tuple[Address | None, int]:
    """Return what find_client does, and how many hops were believed: 0 if the peer is the client."""
    client = parse_hop(peer)
    depth = 0
    for hop in list(hops)[: -MOST_HOPS - 1 : -1]:
        if not is_trusted(client):
            break
        address = parse_hop(hop)
        if address is None:
            break
        client = address
        depth += 1
    return client, depth
