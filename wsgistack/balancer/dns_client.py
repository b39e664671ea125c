"""One question to name servers, over sockets that let other greenlets go on; dnspython does the bytes.

Servers are asked in turn: the next one when one is silent, unreachable, broken or says that it
failed.  What is no response to the question (garbage, a forged one) is passed over while time is left.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import gevent
from gevent import socket

from wsgistack.balancer.local_names import LookupFailed

__all__ = ["Server", "ask"]

ROUNDS = 2  # over all servers
PAYLOAD_BYTES = 1232  # of a UDP response: what passes unfragmented everywhere (DNS flag day 2020)
LENGTH = struct.Struct(">H")

Server = tuple[str, int]


def ask(
    name: dns.name.Name, kind: dns.rdatatype.RdataType, servers: Sequence[Server], *, timeout_s: float
) -> dns.message.QueryMessage:
    """Return the first usable response: NOERROR or NXDOMAIN.

    Each server has *timeout_s* per round.  Raises LookupFailed when no server gave one.
    """
    problems: dict[Server, str] = {}
    for _ in range(ROUNDS):
        for server in servers:
            try:
                response = _ask_one(name, kind, server, timeout_s)
            except OSError as error:
                problems[server] = error.strerror or (
                    "no answer" if isinstance(error, TimeoutError) else str(error)
                )
                continue
            if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return response
            problems[server] = dns.rcode.to_text(response.rcode())
    told = "; ".join(f"{host}:{port}: {problem}" for (host, port), problem in problems.items())
    raise LookupFailed(told or "no name server is known")


def _ask_one(
    name: dns.name.Name, kind: dns.rdatatype.RdataType, server: Server, timeout_s: float
) -> dns.message.QueryMessage:
    """Return the response of one server; OSError if it gives none in time."""
    deadline = time.monotonic() + timeout_s
    query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD_BYTES)
    response = _over_udp(query, server, deadline)
    if response.rcode() == dns.rcode.FORMERR:  # it may be older than EDNS (RFC 6891 §7)
        query.use_edns(False)
        response = _over_udp(query, server, deadline)
    if response.flags & dns.flags.TC:
        response = _over_tcp(query, server, deadline)
    return response


def _over_udp(query: dns.message.Message, server: Server, deadline: float) -> dns.message.QueryMessage:
    with socket.socket(_family(server), socket.SOCK_DGRAM) as sock:
        _limit(sock, deadline)
        sock.connect(server)  # datagrams of others do not reach it; a closed port is told
        sock.send(query.to_wire())
        while True:
            _limit(sock, deadline)
            response = _read(query, sock.recv(65535))
            if response is not None:
                return response


def _over_tcp(query: dns.message.Message, server: Server, deadline: float) -> dns.message.QueryMessage:
    wire = query.to_wire()
    with socket.socket(_family(server), socket.SOCK_STREAM) as sock:
        _limit(sock, deadline)
        sock.connect(server)
        sock.sendall(LENGTH.pack(len(wire)) + wire)
        (length,) = LENGTH.unpack(_receive(sock, LENGTH.size, deadline))
        received = _receive(sock, length, deadline)
    # 64 kB of records take 0.4 s to read: in a thread, so that the others have their turns meanwhile.
    response = gevent.get_hub().threadpool.apply(_read, (query, received))
    if not isinstance(response, dns.message.QueryMessage):
        raise OSError("no DNS response")
    return response


def _receive(sock: Any, count: int, deadline: float) -> bytes:
    held = b""
    while len(held) < count:
        _limit(sock, deadline)
        data = sock.recv(count - len(held))
        if not data:
            raise OSError("closed within a response")
        held += data
    return held


def _read(query: dns.message.Message, wire: bytes) -> dns.message.QueryMessage | None:
    """Return the response that *wire* is to *query*, None if it is none."""
    try:
        response = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, IndexError, struct.error):
        return None
    if not isinstance(response, dns.message.QueryMessage) or not query.is_response(response):
        return None
    return response


def _limit(sock: Any, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _family(server: Server) -> int:
    return int(socket.AF_INET6 if ":" in server[0] else socket.AF_INET)
