"""The Python face of the wire: the C functions on bytes, for tests, fuzzing and timing.

Input is copied into memory of exactly its size and output goes into memory of exactly the
promised room, so that a run under valgrind or the address sanitizer sees a byte too far.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

__all__ = [
    "WireFault",
    "chunk_size_line",
    "decode_chunked",
    "parse_request",
    "parse_request_pieces",
    "parse_response",
    "parse_response_pieces",
    "parse_trailers_bytes",
    "rewrite_request",
    "rewrite_response",
    "rewrite_trailers",
    "time_request",
    "time_response",
    "time_trickle",
]

FRAMINGS = {"none": BODY_NONE, "length": BODY_LENGTH, "chunked": BODY_CHUNKED, "close": BODY_CLOSE,
            "as_told": BODY_AS_TOLD}
METHODS = {M_OTHER: "other", M_GET: "GET", M_HEAD: "HEAD", M_POST: "POST", M_PUT: "PUT", M_DELETE: "DELETE",
           M_OPTIONS: "OPTIONS", M_TRACE: "TRACE", M_PATCH: "PATCH", M_CONNECT: "CONNECT"}

cdef enum Kind:
    REQUEST
    RESPONSE
    TRAILERS

cdef Head head                   # 16 KiB: one is enough, no call outlives another


class WireFault(ValueError):
    """A message was refused: `name` is the log's word for it, `status` the client's answer."""

    def __init__(self, name, status):
        super().__init__(f"{name} ({status})")
        self.name = name
        self.status = status


cdef class Copy:
    """Bytes in memory of exactly their size."""

    cdef char* at
    cdef size_t size

    def __cinit__(self, bytes data, size_t room=0):
        self.size = len(data) if data is not None else room
        self.at = <char*>malloc(self.size or 1)
        if self.at == NULL:
            raise MemoryError
        if data is not None:
            memcpy(self.at, <const char*>data, self.size)

    def __dealloc__(self):
        free(self.at)


def _limit(max_fields=100, max_bytes=32768, max_target=16384):
    head.max_fields = max_fields
    head.max_bytes = max_bytes
    head.max_target = max_target
    head.scan = 0


cdef int step(Kind kind, Copy data) except? -1:
    cdef int r
    if kind == REQUEST:
        r = parse_request_head(data.at, data.size, &head)
    elif kind == RESPONSE:
        r = parse_response_head(data.at, data.size, &head)
    else:
        r = parse_trailers(data.at, data.size, &head)
    if r < 0:
        raise WireFault(fault_name(-r).decode(), fault_status(-r))
    return r


cdef bytes cut(bytes data, uint32_t start, uint32_t size):
    return data[start:start + size]


cdef list fields_of(bytes data):
    cdef Field* f
    cdef list found = []
    for i in range(head.n_fields):
        f = &head.fields[i]
        found.append((cut(data, f.name, f.name_len), cut(data, f.value, f.value_len), bool(f.drop)))
    return found


cdef dict common(bytes data):
    return {
        "size": head.size, "minor": head.minor, "keep_alive": bool(head.keep_alive), "chunked": bool(head.chunked),
        "content_length": None if head.content_length < 0 else head.content_length,
        "upgrade_websocket": bool(head.upgrade_websocket), "fields": fields_of(data),
    }


cdef dict request(bytes data):
    cdef bytes root = bytes([head.target_is_root]) if head.target_is_root else b""
    return common(data) | {
        "method": cut(data, head.method, head.method_len), "method_id": METHODS[head.method_id],
        "target": root + cut(data, head.target, head.target_len), "host": cut(data, head.host, head.host_len),
        "expect_continue": bool(head.expect_continue),
    }


cdef dict response(bytes data):
    return common(data) | {"status": head.status, "reason": cut(data, head.reason, head.reason_len)}


cdef dict result(Kind kind, bytes data):
    if kind == REQUEST:
        return request(data)
    return response(data) if kind == RESPONSE else {"size": head.size, "fields": fields_of(data)}


cdef parse(Kind kind, bytes data, dict limits):
    _limit(**limits)
    return result(kind, data) if step(kind, Copy(data)) else None


cdef parse_pieces(Kind kind, pieces, dict limits):
    cdef bytes data = b""
    _limit(**limits)
    for piece in pieces:
        data += piece
        if step(kind, Copy(data)):
            return result(kind, data)
    return None


def parse_request(bytes data, **limits):
    """Return the head as a dict, or None if bytes are missing; raise WireFault."""
    return parse(REQUEST, data, limits)


def parse_response(bytes data, **limits):
    """Return the head as a dict, or None if bytes are missing; raise WireFault."""
    return parse(RESPONSE, data, limits)


def parse_trailers_bytes(bytes data, **limits):
    """Return size and fields of a trailer section, or None if bytes are missing; raise WireFault."""
    return parse(TRAILERS, data, limits)


def parse_request_pieces(pieces, **limits):
    """Parse as bytes arrive, piece by piece; `fields` and the rest refer to the bytes so far."""
    return parse_pieces(REQUEST, pieces, limits)


def parse_response_pieces(pieces, **limits):
    """Parse as bytes arrive, piece by piece."""
    return parse_pieces(RESPONSE, pieces, limits)


cdef int framing_of(framing):
    if framing is not None:
        return FRAMINGS[framing]
    if head.chunked:
        return BODY_CHUNKED
    return BODY_LENGTH if head.content_length >= 0 else BODY_NONE


cdef uint64_t length_of(length):
    if length is not None:
        return length
    return head.content_length if head.content_length >= 0 else 0


def rewrite_request(bytes data, *, bytes peer=b"192.0.2.1", peer_is_v6=False, trusted=False, blind=False,
                    https=False, keep_alive=True, websocket=None, framing=None, length=None, bytes insert=b"",
                    bytes remove=b"", bytes authority=b"www.example", bytes cookie=b"", bytes request_id=b"",
                    bytes split_cookie=b"", bytes bucket=b"", **limits):
    """Return the head that a node gets; framing and websocket are as parsed unless told."""
    cdef RequestRewrite r
    cdef Copy given = Copy(data), out
    cdef size_t size
    memset(&r, 0, sizeof(r))
    _limit(**limits)
    if not step(REQUEST, given):
        raise ValueError("the head is not complete")
    r.peer = peer
    r.peer_len = len(peer)
    r.peer_is_v6 = peer_is_v6
    r.trusted = trusted
    r.blind = blind
    r.https = https
    r.keep_alive = keep_alive
    r.websocket = head.upgrade_websocket if websocket is None else websocket
    r.framing = framing_of(framing)
    r.length = length_of(length)
    r.insert = insert
    r.insert_len = len(insert)
    r.remove = remove
    r.remove_len = len(remove)
    r.authority = authority
    r.authority_len = len(authority)
    r.cookie = cookie
    r.cookie_len = len(cookie)
    r.split_cookie = split_cookie
    r.split_cookie_len = len(split_cookie)
    r.bucket = bucket
    r.bucket_len = len(bucket)
    r.request_id = request_id
    r.request_id_len = len(request_id)
    out = Copy(None, request_room(&head, &r))
    size = write_request_head(&head, given.at, &r, out.at)
    assert size <= out.size, f"{size} bytes written, room for {out.size}"
    return out.at[:size]


def rewrite_response(bytes data, *, client_minor=1, keep_alive=True, websocket=False, framing=None, length=None,
                     bytes insert=b"", **limits):
    """Return the head that a client gets; framing is as parsed unless told."""
    cdef ResponseRewrite r
    cdef Copy given = Copy(data), out
    cdef size_t size
    memset(&r, 0, sizeof(r))
    _limit(**limits)
    if not step(RESPONSE, given):
        raise ValueError("the head is not complete")
    r.client_minor = client_minor
    r.insert = insert
    r.insert_len = len(insert)
    r.keep_alive = keep_alive
    r.websocket = websocket
    r.framing = framing_of(framing)
    r.length = length_of(length)
    out = Copy(None, head.size + HEAD_RESERVE)
    size = write_response_head(&head, given.at, &r, out.at)
    assert size <= out.size, f"{size} bytes written, room for {out.size}"
    return out.at[:size]


def rewrite_trailers(bytes data, **limits):
    """Return the trailer section without its forbidden fields."""
    cdef Copy given = Copy(data), out
    cdef size_t size
    _limit(**limits)
    if not step(TRAILERS, given):
        raise ValueError("the section is not complete")
    out = Copy(None, head.size)
    size = write_trailers(&head, given.at, out.at)
    assert size <= out.size, f"{size} bytes written, room for {out.size}"
    return out.at[:size]


def decode_chunked(pieces):
    """Return (data, rest): rest begins the trailer section, or is None while the last chunk is missing."""
    cdef Chunked c
    cdef Copy part
    cdef size_t i, used = 0, size = 0
    cdef const char* data = NULL
    cdef int what
    cdef bytearray found = bytearray()
    memset(&c, 0, sizeof(c))
    pieces = list(pieces)
    for number, piece in enumerate(pieces):
        part = Copy(piece)
        i = 0
        while True:
            what = chunk_next(&c, part.at + i, part.size - i, &used, &data, &size)
            i += used
            if what == CHUNK_DATA:
                found += data[:size]
            elif what == CHUNK_MORE:
                break
            elif what == CHUNK_TRAILERS:
                return bytes(found), piece[i:] + b"".join(pieces[number + 1:])
            else:
                raise WireFault(fault_name(FAULT_CHUNK).decode(), fault_status(FAULT_CHUNK))
    return bytes(found), None


def chunk_size_line(uint64_t size):
    """Return the line before a chunk of *size* bytes."""
    cdef char out[18]
    return out[:write_chunk_size(size, out)]


cdef double seconds():
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec + t.tv_nsec * 1e-9


def time_request(bytes data, long times):
    """Return the seconds that parse and rewrite take, each for one request, mean of *times*."""
    cdef RequestRewrite r
    cdef Copy given = Copy(data), out = Copy(None, len(data) + 32 + HEAD_RESERVE)
    cdef double start, middle
    cdef long i
    memset(&r, 0, sizeof(r))
    r.peer = b"192.0.2.1"
    r.peer_len = 9
    r.keep_alive = 1
    _limit()
    start = seconds()
    for i in range(times):
        head.scan = 0
        parse_request_head(given.at, given.size, &head)
    middle = seconds()
    for i in range(times):
        write_request_head(&head, given.at, &r, out.at)
    return (middle - start) / times, (seconds() - middle) / times


def time_trickle(bytes data):
    """Return the seconds that it takes to parse a request that comes byte by byte, all of it."""
    cdef Copy given = Copy(data)
    cdef double start = seconds()
    cdef size_t n
    _limit(max_fields=MAX_FIELDS, max_bytes=1 << 29, max_target=1 << 29)
    for n in range(1, given.size + 1):
        if parse_request_head(given.at, n, &head):
            break
    return seconds() - start


def time_response(bytes data, long times):
    """Return the seconds that parse and rewrite take, each for one response, mean of *times*."""
    cdef ResponseRewrite r
    cdef Copy given = Copy(data), out = Copy(None, len(data) + HEAD_RESERVE)
    cdef double start, middle
    cdef long i
    memset(&r, 0, sizeof(r))
    r.client_minor = 1
    r.keep_alive = 1
    r.framing = BODY_LENGTH
    r.length = 13
    _limit()
    start = seconds()
    for i in range(times):
        head.scan = 0
        parse_response_head(given.at, given.size, &head)
    middle = seconds()
    for i in range(times):
        write_response_head(&head, given.at, &r, out.at)
    return (middle - start) / times, (seconds() - middle) / times
