"""A name server for tests, on UDP and TCP of one port of 127.0.0.1; it answers as the test says.

with NameServer() as server:
    server.zone["app.example.", "A"] = (60, ["10.0.0.1", "10.0.0.2"])
    server.troubles["down.example."] = "SERVFAIL"
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

__all__ = ["NameServer"]

LARGEST_UDP = 1232


class NameServer:
    """Answers from `zone`: {(name, kind): (ttl, [rdata, ...])}; CNAMEs are followed within it.

    `troubles`, by name: an rcode's name, "silent", "garbage", "forged" (the answer to another
    question first), "no EDNS" (FORMERR for EDNS), "cut" (TCP closes within the response).
    `asked` notes (transport, name, kind).
    """

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.troubles: dict[str, str] = {}
        self.asked: list[tuple[str, str, str]] = []
        self._stopping = False
        self._udp, self._tcp = _bind_both()
        self.address: tuple[str, int] = self._udp.getsockname()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._run_udp, self._run_tcp)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        socket.create_connection(self.address).close()
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()

    def _run_udp(self) -> None:
        while True:
            wire, peer = self._udp.recvfrom(65535)
            if self._stopping:
                return
            self._answer("udp", wire, partial(self._send_udp, peer))

    def _send_udp(self, peer: tuple[str, int], data: bytes) -> None:
        self._udp.sendto(data, peer)

    def _run_tcp(self) -> None:
        while True:
            sock, _ = self._tcp.accept()
            with sock, suppress(OSError):
                if self._stopping:
                    return
                (length,) = struct.unpack(">H", sock.recv(2))
                self._answer("tcp", sock.recv(length), sock.sendall)

    def _answer(self, transport: str, wire: bytes, send: Callable[[bytes], object]) -> None:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((transport, name, kind))
        trouble = self.troubles.get(name, "")
        if trouble == "silent":
            return
        if trouble == "garbage":
            send(b"\x00" * 7)
            send(b"\xff" * 300)
            return
        response = self._make_response(query, name, kind, trouble)
        if trouble == "forged":
            other = dns.message.make_query("evil.example.", "A")
            send(dns.message.make_response(other).to_wire())
        data = response.to_wire(max_size=65535)
        if transport == "tcp":
            send(struct.pack(">H", len(data)) + (data[:20] if trouble == "cut" else data))
        elif len(data) > LARGEST_UDP:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            send(short.to_wire())
        else:
            send(data)

    def _make_response(
        self, query: dns.message.Message, name: str, kind: str, trouble: str
    ) -> dns.message.Message:
        response = dns.message.make_response(query)
        if trouble == "no EDNS" and query.edns >= 0:
            response.set_rcode(dns.rcode.FORMERR)
        elif trouble.isupper():
            response.set_rcode(dns.rcode.from_text(trouble))
        else:
            while (name, "CNAME") in self.zone:
                ttl, (target,) = self.zone[name, "CNAME"]
                response.answer.append(dns.rrset.from_text(name, ttl, "IN", "CNAME", target))
                name = target
            if (name, kind) in self.zone:
                ttl, values = self.zone[name, kind]
                response.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *values))
            elif not any(known == name for known, _ in self.zone) and not response.answer:
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response


def _bind_both() -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on one port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:  # somebody has that port of TCP
            udp.close()
