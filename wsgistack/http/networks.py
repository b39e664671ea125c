"""Networks as settings and files name them: IPv4 within IPv6 is IPv4, as it is for addresses.

A client has one address (see forwarded.parse_hop), so `::ffff:10.0.0.0/104` is 10.0.0.0/8, and
no wider network of IPv6, `::/0` not excepted, holds a client of IPv4.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

__all__ = ["Network", "parse_network"]

Network = IPv4Network | IPv6Network
MAPPED_BITS = 96  # of ::ffff:0:0/96, RFC 4291 §2.5.5.2


def parse_network(text: str) -> Network:
    """Return the network that *text* names, host bits dropped; ValueError if it is none.

    >>> parse_network("::ffff:10.1.2.3/104"), parse_network("::/0")
    (IPv4Network('10.0.0.0/8'), IPv6Network('::/0'))
    """
    network = ip_network(text, strict=False)
    if network.version == 4 or network.prefixlen < MAPPED_BITS:
        return network
    mapped = network.network_address.ipv4_mapped
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - MAPPED_BITS))
