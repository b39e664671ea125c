from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, TypedDict

_Framing: TypeAlias = Literal["none", "length", "chunked", "close", "as_told"]
_MaybeNone: TypeAlias = Any  # None while bytes are missing; Any, since most callers know that none are

class WireFault(ValueError):
    name: str
    status: int
    def __init__(self, name: str, status: int) -> None: ...

class _Section(TypedDict):
    size: int
    fields: list[tuple[bytes, bytes, bool]]  # name, value, dropped

class _Head(_Section):
    minor: int
    keep_alive: bool
    chunked: bool
    content_length: int | None
    upgrade_websocket: bool

class RequestHead(_Head):
    method: bytes
    method_id: str
    target: bytes
    host: bytes
    expect_continue: bool

class ResponseHead(_Head):
    status: int
    reason: bytes

def parse_request(
    data: bytes, *, max_fields: int = ..., max_bytes: int = ..., max_target: int = ...
) -> RequestHead | _MaybeNone: ...
def parse_response(
    data: bytes, *, max_fields: int = ..., max_bytes: int = ...
) -> ResponseHead | _MaybeNone: ...
def parse_trailers_bytes(
    data: bytes, *, max_fields: int = ..., max_bytes: int = ...
) -> _Section | _MaybeNone: ...
def parse_request_pieces(
    pieces: Iterable[bytes], *, max_fields: int = ..., max_bytes: int = ..., max_target: int = ...
) -> RequestHead | _MaybeNone: ...
def parse_response_pieces(
    pieces: Iterable[bytes], *, max_fields: int = ..., max_bytes: int = ...
) -> ResponseHead | _MaybeNone: ...
def rewrite_request(
    data: bytes,
    *,
    peer: bytes = ...,
    peer_is_v6: bool = ...,
    trusted: bool = ...,
    blind: bool = ...,
    https: bool = ...,
    keep_alive: bool = ...,
    websocket: bool | None = ...,
    framing: _Framing | None = ...,
    length: int | None = ...,
    insert: bytes = ...,
    remove: bytes = ...,
    authority: bytes = ...,
    cookie: bytes = ...,
    request_id: bytes = ...,
    split_cookie: bytes = ...,
    bucket: bytes = ...,
    max_fields: int = ...,
    max_bytes: int = ...,
    max_target: int = ...,
) -> bytes: ...
def rewrite_response(
    data: bytes,
    *,
    client_minor: int = ...,
    keep_alive: bool = ...,
    websocket: bool = ...,
    framing: _Framing | None = ...,
    length: int | None = ...,
    insert: bytes = ...,
    max_fields: int = ...,
    max_bytes: int = ...,
) -> bytes: ...
def rewrite_trailers(data: bytes, *, max_fields: int = ..., max_bytes: int = ...) -> bytes: ...
def decode_chunked(pieces: Iterable[bytes]) -> tuple[bytes, bytes | None]: ...
def chunk_size_line(size: int) -> bytes: ...
def time_request(data: bytes, times: int) -> tuple[float, float]: ...
def time_trickle(data: bytes) -> float: ...
def time_response(data: bytes, times: int) -> tuple[float, float]: ...
