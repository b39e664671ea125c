"""Where a host name leads without a question of our own to DNS: /etc/hosts, then what the system knows.

Nothing here blocks other greenlets for longer than reading a small file takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gevent
from gevent import socket

from wsgistack.balancer.address import is_numeric
from wsgistack.balancer.discovery import Record
from wsgistack.files import read_regular

__all__ = ["Answer", "LocalNames", "LookupFailed", "NoSuchName", "make_addresses"]

FILE_INTERVAL_S = 10.0  # until /etc/hosts is read again
SYSTEM_INTERVAL_S = 30.0  # until getaddrinfo is asked again: it tells no TTL
SYSTEM_TIMEOUT_S = 10.0
LONGEST_HOSTS_BYTES = 4 * 1024 * 1024


class LookupFailed(Exception):
    """There is no answer; str() says why.  A later try may have one."""


class NoSuchName(LookupFailed):
    """The answer is that there is nothing by that name, or nothing of that kind."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look-up gave: records that hold for *ttl_s* seconds, or none and why.

    *dropped*: SRV records beyond those whose targets were looked up.
    """

    records: tuple[Record, ...]
    ttl_s: float = 0.0
    detail: str = ""
    dropped: int = 0


class LocalNames:
    """Looks host names up, for who has no dnspython; with it, what DNS is not asked for.

    *family*: `any` is IPv4, and IPv6 where there is none; `both`; `ipv4`; `ipv6`.
    """

    def __init__(self, *, family: str = "any", hosts: str = "/etc/hosts") -> None:
        self._family = family
        self._hosts = hosts

    def resolve(self, name: str) -> Answer:
        """Return where the host *name* leads; never raises."""
        try:
            return self.find_in_file(name) or self.ask_system(name)
        except (LookupFailed, OSError, UnicodeError) as error:
            return Answer((), detail=str(error) or type(error).__name__)

    def find_in_file(self, name: str) -> Answer | None:
        """Return what the hosts file says of *name*, None for nothing."""
        found = self._choose(_read_hosts(self._hosts, name))
        return Answer(make_addresses(found), FILE_INTERVAL_S) if found else None

    def ask_system(self, name: str) -> Answer:
        """Return what the system says of *name*: DNS, mDNS, a directory, whatever nsswitch.conf names.

        Raises NoSuchName, and OSError when it takes too long.
        """
        try:
            with gevent.Timeout(SYSTEM_TIMEOUT_S, TimeoutError("no answer of the system")):
                found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NoSuchName(error.strerror or str(error)) from None
        hosts = self._choose(list(dict.fromkeys(str(where[0]) for *_, where in found)))
        if not hosts:
            raise NoSuchName(f"no address of family {self._family}")
        return Answer(make_addresses(hosts), SYSTEM_INTERVAL_S)

    def _choose(self, hosts: Sequence[str]) -> tuple[str, ...]:
        """Return those addresses of *hosts* that the family wants."""
        four = tuple(host for host in hosts if ":" not in host)
        six = tuple(host for host in hosts if ":" in host and "%" not in host)
        return {"any": four or six, "both": four + six, "ipv4": four, "ipv6": six}[self._family]


def make_addresses(hosts: Sequence[str]) -> tuple[Record, ...]:
    """Return the records of bare addresses: the line that holds the name says port and weight."""
    return tuple(Record(host) for host in hosts)


def _read_hosts(path: str, name: str) -> list[str]:
    """Return the addresses that a hosts file gives to *name*, in its order."""
    try:
        text = read_regular(path, most_bytes=LONGEST_HOSTS_BYTES)
    except OSError:
        return []
    found = []
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if name in (word.lower().rstrip(".") for word in words[1:]):
            found.append(words[0])
    return [host for host in dict.fromkeys(found) if is_numeric(host)]
