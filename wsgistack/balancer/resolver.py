"""Where a name leads, with dnspython: /etc/hosts, then DNS (A, AAAA, SRV, CNAME), then what the system knows.

Nothing here blocks other greenlets for longer than reading a small file takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver
import gevent
from gevent.pool import Pool

from wsgistack.balancer.discovery import MOST_RECORDS, Service, make_records
from wsgistack.balancer.dns_client import Server, ask
from wsgistack.balancer.local_names import Answer, LocalNames, LookupFailed, NoSuchName, make_addresses

__all__ = ["Answer", "Resolver"]

LOOKUP_LIMIT_S = 30.0  # for a whole name, with search domains, aliases and targets
MOST_ALIASES = 8  # CNAMEs that lead from zone to zone
TARGETS_AT_ONCE = 16

KINDS = {"ipv4": dns.rdatatype.A, "ipv6": dns.rdatatype.AAAA}
FAMILIES = {"any": ("ipv4", "ipv6"), "both": ("ipv4", "ipv6"), "ipv4": ("ipv4",), "ipv6": ("ipv6",)}


@dataclass(frozen=True, slots=True)
class _Servers:
    """Whom to ask, and which names to try for one that is not complete."""

    servers: tuple[Server, ...]
    search: tuple[dns.name.Name, ...] = ()
    ndots: int = 1


class Resolver:
    """Looks names up.

    *servers*: (host, port) of the name servers, () for the system's own.  *family*: `any` is IPv4,
    and IPv6 where there is none; `both`; `ipv4`; `ipv6`.  *timeout_s*: for one server to answer.
    """

    def __init__(
        self,
        servers: tuple[Server, ...] = (),
        *,
        family: str = "any",
        timeout_s: float = 2.0,
        hosts: str = "/etc/hosts",
        resolv_conf: str = "/etc/resolv.conf",
    ) -> None:
        self._given = servers
        self._family = family
        self._timeout_s = timeout_s
        self._local = LocalNames(family=family, hosts=hosts)
        self._resolv_conf = resolv_conf

    def resolve(self, name: str) -> Answer:
        """Return where *name* leads: a host name, or srv: and the name of SRV records; never raises."""
        try:
            with gevent.Timeout(LOOKUP_LIMIT_S):
                if name.startswith("srv:"):
                    return self._resolve_srv(name[4:])
                return self._resolve_host(name)
        except gevent.Timeout:
            return Answer((), detail=f"no answer within {LOOKUP_LIMIT_S:g} s")
        except (LookupFailed, dns.exception.DNSException, OSError, UnicodeError) as error:
            return Answer((), detail=str(error) or type(error).__name__)

    # Host names.

    def _resolve_host(self, name: str) -> Answer:
        filed = self._local.find_in_file(name)
        if filed:
            return filed
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3: never asked of a server
            return self._local.ask_system(name)
        try:
            return self._ask_servers(name)
        except NoSuchName:
            if self._given:
                raise
            return self._local.ask_system(name)

    def _ask_servers(self, name: str) -> Answer:
        config = self._config()
        for candidate in _candidates(name, config):
            try:
                hosts, ttl_s = self._addresses(candidate, config)
            except NoSuchName:
                continue
            return Answer(make_addresses(hosts), ttl_s)
        raise NoSuchName("no such name")

    def _addresses(self, name: dns.name.Name, config: _Servers) -> tuple[tuple[str, ...], float]:
        """Return a name's addresses and for how many seconds they hold.

        A family that fails fails all: half an answer would take the other half's nodes away.
        """
        found: list[str] = []
        ttls: list[float] = []
        for family in FAMILIES[self._family]:
            if found and self._family == "any":
                break
            try:
                answer, ttl_s = self._records(name, KINDS[family], config)
            except NoSuchName:
                continue
            found += [record.address for record in answer]
            ttls.append(ttl_s)
        if not found:
            raise NoSuchName("no such name")
        return tuple(dict.fromkeys(found)), min(ttls)

    def _records(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, config: _Servers
    ) -> tuple[list[Any], float]:
        """Return the records of one kind and their TTL, by way of aliases; at least one, or NoSuchName."""
        ttl_s = float("inf")
        for _ in range(MOST_ALIASES):
            response = ask(name, kind, config.servers, timeout_s=self._timeout_s)
            chain = response.resolve_chaining()
            ttl_s = min(ttl_s, float(chain.minimum_ttl))
            if chain.answer is not None:
                return list(chain.answer), ttl_s
            if not chain.cnames:
                raise NoSuchName("no such name")
            name = chain.canonical_name  # an alias into a zone that this server does not know
        raise LookupFailed(f"more than {MOST_ALIASES} aliases")

    # SRV records.

    def _resolve_srv(self, name: str) -> Answer:
        config = self._config()
        for candidate in _candidates(name, config):
            try:
                found, ttl_s = self._records(candidate, dns.rdatatype.SRV, config)
            except NoSuchName:
                continue
            return self._follow_targets(found, ttl_s, config)
        raise NoSuchName("no such name")

    def _follow_targets(self, found: list[Any], ttl_s: float, config: _Servers) -> Answer:
        # "." as the target says that the service is decidedly not available (RFC 2782).
        there = sorted((r for r in found if r.target != dns.name.root), key=_rank)
        wanted = there[:MOST_RECORDS]
        places = {record.target for record in wanted}
        pool = Pool(TARGETS_AT_ONCE)
        addresses = dict(pool.imap_unordered(lambda target: (target, self._target(target, config)), places))
        services = []
        for record in wanted:
            hosts, holds_s = addresses[record.target]
            ttl_s = min(ttl_s, holds_s)
            services.append(Service(record.priority, record.weight, record.port, hosts))
        records = make_records(services)
        if not records:
            raise NoSuchName("no target has an address")
        return Answer(records, ttl_s, dropped=len(there) - len(wanted))

    def _target(self, target: dns.name.Name, config: _Servers) -> tuple[tuple[str, ...], float]:
        try:
            return self._addresses(target, config)
        except NoSuchName:
            return (), float("inf")

    def _config(self) -> _Servers:
        if self._given:
            return _Servers(self._given)
        config = dns.resolver.Resolver(configure=False)
        try:
            config.read_resolv_conf(self._resolv_conf)
        except dns.exception.DNSException:
            raise NoSuchName(f"{self._resolv_conf} names no server") from None
        servers = tuple((str(server), config.port) for server in config.nameservers)
        search = tuple(config.search or ([config.domain] if config.domain != dns.name.root else []))
        return _Servers(servers, search, config.ndots if config.ndots is not None else 1)


def _rank(record: Any) -> tuple[int, int, str, int]:
    return record.priority, -record.weight, str(record.target), record.port


def _candidates(name: str, config: _Servers) -> Iterator[dns.name.Name]:
    """Yield the names to try, in order: resolv.conf(5), `search` and `ndots`."""
    itself = dns.name.from_text(name)
    searched = [dns.name.from_text(name, origin=domain) for domain in config.search]
    if name.count(".") >= config.ndots:
        yield itself
        yield from searched
    else:
        yield from searched
        yield itself
