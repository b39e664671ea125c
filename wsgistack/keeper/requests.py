"""Requests of HTTP/1.1 as workers send them: environs and bodies, without a socket.

Who speaks is our own plane, which has judged the request already and leaves nothing that can be read in
two ways; what is malformed all the same is a Malformed, and the connection is done for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from wsgistack.keeper.replies import LONGEST_HEAD, Malformed, Stream, read_body, read_length
from wsgistack.wsgi import Environ

__all__ = ["LONGEST_NAME", "MOST_NAMES", "Content", "read_request"]

MOST_NAMES = 1024
LONGEST_NAME = 64  # of those that are remembered
GIVEN: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
CONTENT = ("CONTENT_LENGTH", "CONTENT_TYPE")


class Content:
    """The body of a request.  Its reader is origin.py: of PEP 3333's methods it has the one that is used there."""

    __slots__ = ("_blocks",)

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self) -> bytes:
        """Return the next bytes, up to BLOCK_BYTES, b"" at the end; Malformed when that is too soon."""
        return next(self._blocks, b"")


NOTHING = Content(iter(()))


def read_request(stream: Stream) -> Environ:
    """Return the environ of the next request, whose body is still to come.

    `wsgi.input` is a Content, `RAW_URI` the target as it came.
    """
    lines = stream.line_block(b"\r\n\r\n", LONGEST_HEAD).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise Malformed("request-line")
    method, target, _ = words
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    environ = {
        **GIVEN,
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": NOTHING,
    }
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise Malformed("field-line")
        variable = _VARIABLES.get(name) or _learn(name)
        if variable in environ:
            environ[variable] += ("; " if variable == "HTTP_COOKIE" else ",") + value.strip(" \t")
        else:
            environ[variable] = value.strip(" \t")
    environ.pop("", None)
    if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
        environ["wsgi.input"] = _content_of(environ, stream)
    return environ


_VARIABLES: dict[str, str] = {}


def _learn(name: str) -> str:
    """Return the variable of a field, "" for one whose name could be taken for another's."""
    upper = name.upper().replace("-", "_")
    variable = "" if "_" in name else upper if upper in CONTENT else f"HTTP_{upper}"
    if len(_VARIABLES) < MOST_NAMES and len(name) <= LONGEST_NAME:  # they come from clients
        _VARIABLES[name] = variable
    return variable


def _content_of(environ: Environ, stream: Stream) -> Content:
    if "chunked" in str(environ.get("HTTP_TRANSFER_ENCODING", "")).lower():
        environ.pop("CONTENT_LENGTH", None)
        return Content(read_body(stream, None))
    return Content(read_body(stream, read_length(str(environ.get("CONTENT_LENGTH", "")))))
