"""What is measured of `wrap`: each component, the environ that it is asked with, and who asks."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from wsgistack import wrap

__all__ = ["ENVIRON", "PARTS", "SESSION", "ask", "bare", "cookie_of", "kept", "without"]

SESSION = "sessionid=0123456789abcdef0123456789abcdef"
PAGE = [b"x" * 1000]
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/a/page",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "10.0.0.1",
    "HTTP_X_FORWARDED_FOR": "192.0.2.1",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_HOST": "www.example",
    "HTTP_USER_AGENT": "bench",
    "HTTP_ACCEPT": "*/*",
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": io.StringIO(),
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
PARTS: dict[str, object] = {
    "trust": ["10.0.0.0/8"],
    "request_id": True,
    "access_log": "/dev/null",
    "metrics": True,
    "metering": True,
    "rate_limit": "1000000/second",
    "buckets": {"split": "beta 5%", "secret": "0123456789abcdef"},
    "page_cache": True,
    "compression": True,
    "conditional": True,
}


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer at once, with what no cache keeps."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "1000")])
    return PAGE


def kept(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what a cache keeps."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Cache-Control", "max-age=3600")])
    return PAGE


def without(*names: str) -> dict[str, object]:
    """Return PARTS but some."""
    return {part: value for part, value in PARTS.items() if part not in names}


def ask(app: Callable[..., Any], environ: dict[str, Any]) -> None:
    """Ask *app* as a server does, and take all that it answers."""
    body = app(environ, _start_response)
    for _block in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _start_response(*arguments: Any) -> None:
    return None


def cookie_of(parts: dict[str, object]) -> str:
    """Return the cookie that a visitor brings from his second request on."""
    kept: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept.extend(value.partition(";")[0] for name, value in headers if name == "Set-Cookie")

    b"".join(wrap(bare, parts)(dict(ENVIRON), start_response))  # the head may come with the first block
    return kept[0]
