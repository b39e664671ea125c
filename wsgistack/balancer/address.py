"""Addresses of nodes and listeners as text: IPv4, [IPv6], host names, unix:/path and srv:name.

>>> str(parse_address("127.0.0.1", default_port=80))
'127.0.0.1:80'
>>> str(parse_address("[::1]:8001", default_port=80))
'[::1]:8001'
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from wsgistack.errors import AddressError

__all__ = ["Address", "is_numeric", "parse_address", "parse_listen", "parse_listen_list", "parse_member"]

Kind = Literal["inet", "inet6", "unix", "name", "srv"]

LONGEST_BYTES = 111  # of the whole text: what a node of the plane has room for (TEXT_BYTES)
LONGEST_PATH_BYTES = LONGEST_BYTES - len("unix:")  # sun_path of Linux takes one more
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
EXPECTED = "expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path"
EXPECTED_SRV = "expected srv: and the name of SRV records, as in srv:_http._tcp.app.internal"
EXPECTED_LISTEN = "Listen argument must be ip:port or port. e.g. 192.168.0.1:80 or 81"


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens; str() is the canonical text.

    inet, inet6 and name have host (without brackets) and port 1..65535; unix has a path; srv has
    the name of SRV records as its host, which say the ports.
    """

    kind: Kind
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "srv":
            return f"srv:{self.host}"
        host = f"[{self.host}]" if self.kind == "inet6" else self.host
        return f"{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can reach it: loopback or a Unix socket."""
        if self.kind == "unix":
            return True
        return self.kind in ("inet", "inet6") and ipaddress.ip_address(self.host).is_loopback


def parse_address(text: str, *, default_port: int | None) -> Address:
    """Return the address that *text* means; raise AddressError when it means none.

    Without a port (or with port 0, as Perlbal) it gets *default_port*; None makes the port
    necessary.
    """
    if text[:5].lower() == "unix:":
        return _parse_path(text)
    if text.startswith("["):
        return _parse_bracketed(text, default_port)
    host, colon, port = text.partition(":")
    if ":" in port:
        raise AddressError(f"{_quote(text)}: an IPv6 address stands in brackets, as in [::1]:80")
    number = _parse_port(text, port if colon else None, default_port)
    if re.fullmatch(r"[0-9.]+", host, re.ASCII):
        return Address("inet", _parse_ipv4(text, host), number)
    return Address("name", _parse_name(text, host), number)


def parse_member(text: str) -> Address:
    """Return what *text* means where members of a pool are written: port 80 if it has none, or SRV."""
    if text[:4].lower() != "srv:":
        return parse_address(text, default_port=80)
    name = text[4:]
    if not name or ":" in name or "." not in name:
        raise AddressError(f"{_quote(text)}: {EXPECTED_SRV}")
    return Address("srv", _parse_name(text, name, room=len("srv:")))


def is_numeric(text: str) -> bool:
    """Return whether *text* is an IPv4 or IPv6 address, without brackets or port."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_listen(text: str) -> Address:
    """Return the address of a listener; a bare port listens on all IPv4 addresses.

    Host names are refused: which of their addresses was meant would depend on the day.
    """
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        text = f"0.0.0.0:{text}"
    try:
        address = parse_address(text, default_port=None)
    except AddressError as error:
        raise AddressError(f"{EXPECTED_LISTEN} ({error})") from None
    if address.kind == "name":
        raise AddressError(f"{EXPECTED_LISTEN} ({_quote(text)} is a name)")
    return address


def parse_listen_list(text: str) -> tuple[str, ...]:
    """Return the addresses of a list with commas, each once."""
    addresses = tuple(str(parse_listen(word)) for word in re.split(r", ?| ", text.strip(", ")))
    for address in addresses:
        if addresses.count(address) > 1:
            raise AddressError(f"{address} is listed twice")
    return addresses


def _parse_path(text: str) -> Address:
    path = text[5:]
    if not path.startswith("/"):
        raise AddressError(f"{_quote(text)}: a socket's path begins with /")
    if len(path.encode("utf-8", "replace")) > LONGEST_PATH_BYTES:
        raise AddressError(f"{_quote(text)}: a socket's path has at most {LONGEST_PATH_BYTES} bytes")
    if not path.isprintable() or "," in path or " " in path:
        raise AddressError(f"{_quote(text)}: a socket's path holds no comma, blank or control character")
    return Address("unix", path=path)


def _parse_bracketed(text: str, default_port: int | None) -> Address:
    host, bracket, rest = text[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        raise AddressError(f"{_quote(text)}: {EXPECTED}")
    try:
        # A zone (fe80::1%eth0) would need the interface's number: not supported by the plane.
        address = ipaddress.IPv6Address(host if "%" not in host else "")
    except ValueError:
        raise AddressError(f"{_quote(text)}: not an IPv6 address") from None
    return Address("inet6", str(address), _parse_port(text, rest[1:] if rest else None, default_port))


def _parse_port(text: str, port: str | None, default: int | None) -> int:
    if port is not None and not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        raise AddressError(f"{_quote(text)}: {_quote(port)} is not a port")
    number = int(port or 0)
    if number == 0:
        if default is None:
            raise AddressError(f"{_quote(text)}: a port between 1 and 65535 is missing")
        return default
    if number > 65535:
        raise AddressError(f"{_quote(text)}: port {number} is not between 1 and 65535")
    return number


def _parse_ipv4(text: str, host: str) -> str:
    parts = host.split(".")
    if len(parts) != 4 or not all(parts):
        raise AddressError(f"{_quote(text)}: {EXPECTED}")
    for part in parts:
        if len(part) > 3 or int(part) > 255:
            raise AddressError(f"{_quote(text)}: {part} is not between 0 and 255")
        if len(part) > 1 and part[0] == "0":
            # inet_aton reads 010 as eight, other parsers as ten: CVE-2021-29921.
            raise AddressError(f"{_quote(text)}: {part} begins with 0")
    return host


def _parse_name(text: str, host: str, *, room: int = len(":65535")) -> str:
    name = host.lower().rstrip(".")
    if not all(LABEL.fullmatch(part) for part in name.split(".")):
        raise AddressError(f"{_quote(text)}: {EXPECTED}")
    if len(name) + room > LONGEST_BYTES:
        raise AddressError(f"{_quote(text)}: a name has at most {LONGEST_BYTES - room} characters")
    return name


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
