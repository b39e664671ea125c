"""Sockets from addresses: listening ones that a whole set of workers shares, and connected ones.

Everything made here is closed on exec; workers get theirs over the channel.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress

from wsgistack.balancer.address import Address, parse_address
from wsgistack.errors import ListenError

__all__ = ["connect", "endpoint", "listen", "unlink"]

BACKLOG = 4096  # the kernel takes the smaller of this and net.core.somaxconn


def endpoint(address: Address) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """Return the family and what connect() and bind() take for a numeric or Unix *address*."""
    if address.kind == "unix":
        return socket.AF_UNIX, address.path
    family = socket.AF_INET6 if address.kind == "inet6" else socket.AF_INET
    return family, (address.host, address.port)


def connect(text: str, *, timeout_s: float) -> socket.socket:
    """Return a blocking connection to the address that *text* means; host names are resolved.

    Raises AddressError for a text that means none, OSError when there is no connection.
    """
    address = parse_address(text, default_port=None)
    if address.kind == "name":
        return socket.create_connection((address.host, address.port), timeout=timeout_s)
    family, where = endpoint(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def listen(address: Address, count: int, *, mode: int | None = None) -> list[socket.socket]:
    """Return *count* listening sockets on *address*, non-blocking; all or ListenError.

    TCP: separate sockets in one SO_REUSEPORT group.  Unix: one socket, *count* times.
    *mode*: of a Unix socket; None leaves it to the process's umask.
    """
    try:
        if address.kind == "unix":
            first = _listen_unix(address.path, mode)
            return [first, *(first.dup() for _ in range(count - 1))]
        _must_be_free(address)
        return _listen_tcp(address, count)
    except OSError as error:
        raise ListenError(os.strerror(error.errno) if error.errno else str(error)) from None


def unlink(address: Address) -> None:
    """Remove the path of a Unix listener, so that nobody connects any more; else nothing."""
    if address.kind == "unix":
        with suppress(OSError):
            os.unlink(address.path)


def _must_be_free(address: Address) -> None:
    """Raise OSError if somebody listens there: SO_REUSEPORT would share it with them silently."""
    with _make_tcp(address) as probe:
        probe.bind(endpoint(address)[1])


def _listen_tcp(address: Address, count: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = _make_tcp(address)
            made.append(sock)
            if count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(endpoint(address)[1])
        # Bound first, listening then: the kernel shares connections out over those that listen.
        for sock in made:
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return made


def _make_tcp(address: Address) -> socket.socket:
    family, _ = endpoint(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # Without it [::]:80 takes 0.0.0.0:80 as well, or not, by a sysctl.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _listen_unix(path: str, mode: int | None) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if mode is not None:
            os.fchmod(sock.fileno(), mode)  # before bind: at no moment may more connect than mode says
        sock.bind(path)
        if mode is not None:
            os.chmod(path, mode)  # what the umask took away
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; raise OSError if somebody does or it is no socket."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "File exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.settimeout(1.0)
        try:
            visitor.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there
    raise OSError(errno.EADDRINUSE, "Address already in use")
