"""A WSGI application that says what it got; run by the servers of test_wsgi_nodes.py.

POST /echo, with any body      the body, as long as it is
GET /environ                   REQUEST_METHOD, PATH_INFO, QUERY_STRING and the HTTP_* of it, a line each
GET /stream                    1000 pieces without a length
GET /empty                     204
"""

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["application"]

PLAIN = ("Content-Type", "text/plain")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the module's docstring says."""
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [PLAIN])
        return (b"%d\n" % i for i in range(1000))
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    body = environ["wsgi.input"].read() if path == "/echo" else describe(environ).encode("latin-1")
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def describe(environ: dict[str, Any]) -> str:
    """Return what of *environ* came with the request, a line each."""
    names = [name for name in environ if name.startswith("HTTP_")]
    names += ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"]
    return "".join(f"{name}={environ[name]}\n" for name in sorted(names))
