"""The keeper's parts in one process: clients over a Unix socket, and a scripted inner listener behind."""

from __future__ import annotations

import socket as plain_socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gevent
from gevent import socket
from gevent.server import StreamServer

from wsgistack.cache.texts import TEXTS
from wsgistack.keeper.caches import Caches
from wsgistack.keeper.ready import Ready
from wsgistack.keeper.replies import Malformed, Stream, read_reply

__all__ = ["DATE", "NOW", "FakeTable", "Said", "Stage", "make_snapshot"]

NOW = 784111777.0
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class FakeTable:
    """A ready table that tests look into."""

    def __init__(self) -> None:
        self.pages: dict[bytes, dict[str, Any]] = {}
        self.clears = 0

    def publish(self, key: bytes, **page: Any) -> bool:
        """Keep a page, unless it is large."""
        if len(page["body"]) > 1000:
            return False
        self.pages[key] = page
        return True

    def drop(self, key: bytes) -> bool:
        """Forget one."""
        return self.pages.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all."""
        self.pages.clear()
        self.clears += 1


def make_key(service: int, scheme: bytes, host: bytes, target: bytes, encoding: bytes) -> bytes:
    """Return a key that a reader can read."""
    return b" ".join((b"%d" % service, scheme, host, target, encoding))


class Said:
    """What a client got."""

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.fields = {name.lower(): value for name, value in fields}
        self.body = body

    @property
    def cache(self) -> str:
        """What the cache says of it."""
        return self.fields.get("cache-status", "")


def make_snapshot(
    folder: Path, *, blind: bool = False, caches: str = "pages", buckets: Iterable[str] = (), **texts: str
) -> dict[str, Any]:
    """Return a snapshot of one service with a cache of these settings."""
    settings = TEXTS.defaults() | {name: TEXTS.parse(name, text) for name, text in texts.items()}
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    service: dict[str, Any] = {"slot": 3, "cache": caches or None, "settings": {"blind_proxy": blind}}
    if buckets:
        service["split"] = {"shares": [{"pool": name} for name in buckets]}
    made = {caches: {"settings": shown}} if caches else {}
    return {"version": 1, "folder": str(folder), "services": {"mysite": service}, "caches": made}


class Stage:
    """`app` is what the balancer would answer behind the cache; `asked` the environs that it got."""

    def __init__(self, folder: Path, **texts: str) -> None:
        self.folder = folder
        self.now = NOW
        self.table = FakeTable()
        self.told: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.app: Callable[..., Iterable[bytes]] = lambda environ, start_response: []
        self.deaths = 0  # connections that end before they answer
        self._links: list[Any] = []
        self.inner = self._listen_inside(folder / "i3")
        self.caches = Caches(
            make_ready=lambda: Ready(self.table, make_key),
            later=gevent.spawn,
            now=lambda: self.now,
            tell=lambda event, **fields: self.told.append({"event": event, **fields}),
        )
        self.apply(**texts)

    def _listen_inside(self, path: Path) -> Any:
        listener = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(64)
        server = StreamServer(listener, self._serve)
        server.start()
        return server

    def _serve(self, sock: Any, address: object) -> None:
        """Answer requests as the plane would: nothing is added but the framing."""
        stream = Stream(sock.recv)
        try:
            while True:
                environ = _read_request(stream)
                self.asked.append(environ)
                if self.deaths:
                    self.deaths -= 1
                    sock.close()
                    return
                sock.sendall(_write_response(self.app, environ))
        except (Malformed, OSError):
            sock.close()

    def apply(self, **given: Any) -> str:
        """Configure the caches."""
        return self.caches.apply(make_snapshot(self.folder, **given))

    def answer(self, body: bytes = b"one", status: str = "200 OK", **fields: Any) -> None:
        """Let the nodes answer this; `_` in a field's name stands for `-`."""
        headers = [(name.replace("_", "-"), value) for name, value in ({"Date": DATE} | fields).items()]

        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response(status, headers)
            return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [body]

        self.app = app

    def open(self) -> Any:
        """Connect as a worker does."""
        link = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        self._links.append(link)
        link.settimeout(10)
        link.connect(str(self.folder / "k3"))
        return link

    def say(
        self, target: str = "/page", method: str = "GET", body: bytes = b"", link: Any = None, **fields: Any
    ) -> Said:
        """Send a request as a worker does, and return what comes."""
        sock = link or self.open()
        told = {"Host": "www.example", "X-Forwarded-Proto": "http", "X-Forwarded-For": "10.0.0.9"}
        told |= {name.replace("_", "-"): value for name, value in fields.items()}
        if body:
            told["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        reply = read_reply(Stream(sock.recv), method)
        return Said(reply.head.status, reply.head.fields, b"".join(reply.blocks))

    def close(self) -> None:
        """Leave nothing behind."""
        for link in self._links:
            link.close()
        self.caches.leave()
        self.caches.close()
        self.inner.stop(timeout=1)


def _read_request(stream: Stream) -> dict[str, Any]:
    line, *lines = stream.line_block(b"\r\n\r\n", 65_536).decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": unquote(path), "QUERY_STRING": query}
    for field in lines:
        name, _, value = field.partition(": ")
        variable = name.upper().replace("-", "_")
        environ[variable if variable.startswith("CONTENT_") else f"HTTP_{variable}"] = value
    left = int(environ.get("CONTENT_LENGTH", "0"))
    while left:
        left -= len(stream.some(left))
    return environ


def _write_response(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> bytes:
    head: list[str] = []

    def start(status: str, fields: list[tuple[str, str]]) -> None:
        head.extend([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)])

    body = b"".join(app(environ, start))
    bodyless = environ["REQUEST_METHOD"] == "HEAD" or head[0].split(" ")[1] in ("204", "304")
    if not bodyless and not any(line.lower().startswith("content-length:") for line in head):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (b"" if bodyless else body)
