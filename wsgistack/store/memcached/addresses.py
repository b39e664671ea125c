"""Where a node is, as people write it: `10.0.0.1`, `cache1:11212`, `[::1]:11211`, `/run/memcached.sock`; pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wsgistack.errors import AddressError

__all__ = ["DEFAULT_PORT", "Address", "parse_address", "parse_servers"]

DEFAULT_PORT = 11211
LARGEST_WEIGHT = 1_000_000
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Address:
    """One node.  *path* is that of a unix socket, then there is no *host*."""

    host: str
    port: int
    weight: int = 1
    path: str = ""

    @property
    def name(self) -> str:
        """How the node is called everywhere: `host:port`, `[v6]:port`, or the path."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def needs_lookup(self) -> bool:
        """True if the host is a name, or has a zone, which takes a resolver."""
        if self.path:
            return False
        if "%" in self.host:
            return True
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


def parse_address(server: Any) -> Address:
    """Return the address that *server* is: text, `(host, port)` or `(host, port, weight)`, or an Address.

    Raises AddressError with what was met.
    """
    if isinstance(server, Address):
        return server
    if isinstance(server, list | tuple) and len(server) in (2, 3):
        host, port = server[:2]
        weight = server[2] if len(server) == 3 else 1
        if not isinstance(host, str):
            raise AddressError(f"server {server!r}: the host is not text")
        return _check(host.strip("[]"), port, weight, server)
    if not isinstance(server, str):
        raise AddressError(f"server {server!r} is neither text nor (host, port) nor (host, port, weight)")
    path = server.removeprefix("unix:")
    if path.startswith("/"):
        return Address("", 0, 1, path)
    return _parse_text(server)


def parse_servers(servers: Any) -> list[Address]:
    """Return the addresses of *servers*, of which there is at least one and none twice."""
    if isinstance(servers, str):
        servers = [text.strip() for text in servers.split(",") if text.strip()]
    if not isinstance(servers, Iterable):
        raise AddressError(f"servers: {servers!r} is not a list of servers")
    addresses = [parse_address(server) for server in servers]
    if not addresses:
        raise AddressError("servers: there is not even one, such as '10.0.0.1:11211'")
    names = [address.name for address in addresses]
    for name in names:
        if names.count(name) > 1:
            raise AddressError(f"servers: {name} stands there twice (a weight counts it several times)")
    return addresses


def _parse_text(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    is_bare = not colon or (":" in host and not host.endswith("]"))  # 10.0.0.1, ::1
    if is_bare or text.endswith("]"):
        host, port = text, ""
    if colon and host != text and not port:
        raise AddressError(f"server '{text}': there is no port behind the colon")
    if host.startswith("["):
        host = host[1:-1]
    return _check(host, port or DEFAULT_PORT, 1, text)


def _check(host: str, port: Any, weight: Any, server: Any) -> Address:
    digits = str(port)
    if isinstance(port, bool) or not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 65_536:
        raise AddressError(f"server {server!r}: {port!r} is not a port from 1 to 65535")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 0 < weight <= LARGEST_WEIGHT:
        raise AddressError(f"server {server!r}: {weight!r} is not a weight from 1 to {LARGEST_WEIGHT}")
    if ":" in host:
        try:
            host = str(ipaddress.IPv6Address(host.partition("%")[0])) + "".join(host.partition("%")[1:])
        except ValueError:
            raise AddressError(f"server {server!r}: '{host}' is not an IPv6 address") from None
    elif not HOST.fullmatch(host):
        raise AddressError(f"server {server!r}: '{host}' is not a host")
    return Address(host, int(digits), weight)
