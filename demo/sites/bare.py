"""A bare WSGI callable: no framework at all."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["application"]


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer every request with the name and the process of this backend; the news may be kept."""
    body = f"bare callable, process {os.getpid()}: you asked for {environ['PATH_INFO']}\n".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    if environ["PATH_INFO"] == "/news":
        headers.append(("Cache-Control", "max-age=60"))
    start_response("200 OK", headers)
    return [body]
