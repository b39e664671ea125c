"""From a snapshot (dicts, see Snapshot.as_wire) to the plane's structures.

Everything is checked where it was set, by the settings tables; what does not fit here is a
bug of ours and raises, before anything of the snapshot took effect.
"""

import math
import socket
import struct
from base64 import b64decode

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from wsgistack.balancer.plane.core cimport (
    ADDRESS_BYTES,
    MAX_CIDRS,
    MAX_DELAYS,
    NAME_BYTES,
    TEXT_BYTES,
    TEXT_SIZE,
    TOKEN_BYTES,
    Core,
    Mark,
    Member,
    Node,
    Pool,
    Service,
    node_unref,
    service_free_text,
)
from wsgistack.balancer.plane.kernels cimport Ring
from wsgistack.balancer.plane.keys cimport KEY_COOKIE, KEY_HEADER, KEY_IP, KEY_URI
from wsgistack.balancer.plane.networks cimport Cidr
from wsgistack.balancer.plane.wire cimport F_FORWARDED, F_X_FORWARDED_FOR

from wsgistack.http.networks import parse_network
from wsgistack.settings import parse_statuses

from wsgistack.balancer.retry import WORDS, parse_retry_on, parse_schedule
from wsgistack.balancer.sticky import number_of


cdef int put_text(char* out, size_t room, bytes text) except -1:
    if len(text) >= room:
        raise ValueError(f"{text!r}: {len(text)} bytes, at most {room - 1} fit")
    memset(out, 0, room)
    memcpy(out, <const char*>text, len(text))
    return 0


def sockaddr_bytes(connect: str) -> bytes:
    """Return the struct sockaddr of a numeric address: `127.0.0.1:80`, `[::1]:80`, `unix:/path`."""
    if connect.startswith("unix:"):
        path = connect[5:].encode()
        if len(path) > 107:
            raise ValueError(f"{connect}: a socket path has at most 107 bytes")
        return struct.pack("=H", socket.AF_UNIX) + path + b"\0"
    host, _, port = connect.rpartition(":")
    if host.startswith("["):
        packed = socket.inet_pton(socket.AF_INET6, host.strip("[]"))
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", int(port), 0) + packed + b"\0" * 4
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + socket.inet_aton(host) + b"\0" * 8


cdef int fill_node(Node* n, str address, object connect, int slot) except -1:
    cdef bytes raw
    put_text(n.address, TEXT_BYTES, address.encode())
    n.slot = slot
    n.id = number_of(address)
    n.connectable = 0
    if connect is not None:
        raw = sockaddr_bytes(connect)
        memcpy(n.sockaddr, <const char*>raw, len(raw))
        n.sockaddr_size = len(raw)
        n.connectable = 1
    return 0


cdef Pool* make_pool(int size) except NULL:
    cdef Pool* pool = <Pool*>calloc(1, sizeof(Pool))
    if pool == NULL:
        raise MemoryError
    pool.members = <Member*>calloc(size + 1, sizeof(Member))
    if pool.members == NULL:
        free(pool)
        raise MemoryError
    pool.n = size
    pool.ready.places = room(size)
    pool.ready.slots = room(size)
    pool.ready.weights = room(size)
    pool.ready.index_of = room(size)
    return pool


cdef uint32_t* room(size_t numbers) except NULL:
    cdef uint32_t* p = <uint32_t*>calloc(numbers + 1, sizeof(uint32_t))
    if p == NULL:
        raise MemoryError
    return p


cdef int fill_pool(Pool* pool, dict settings) except -1:
    cdef int status
    kind, _, name = settings["hash_key"].partition(":")
    pool.key_kind = {"ip": KEY_IP, "uri": KEY_URI, "header": KEY_HEADER, "cookie": KEY_COOKIE}[kind]
    put_text(pool.key_name, NAME_BYTES, name.encode())
    pool.key_name_len = len(name)
    pool.most_percent = settings["hash_balance_factor"]
    pool.slow_start_ms = ms(settings["slow_start"])
    memset(pool.bad, 0, sizeof(pool.bad))
    for first, last in parse_statuses(settings["eject_statuses"]):
        for status in range(first, last + 1):
            pool.bad[status // 8] |= 1 << status % 8
    return 0


cdef int fill_member(Member* m, dict spec, dict settings, Core* core) except -1:
    m.weight = spec["weight"]
    m.cap = spec["max_connections"]
    m.up = spec["up"]
    m.usable = m.up and m.node.connectable
    m.backup = spec["backup"]
    m.draining = spec["draining"]
    m.warm_from_ms = 0
    if spec["warm_from"] is not None and settings["slow_start"]:
        passed_ms = core.epoch_ms - round(spec["warm_from"] * 1000)
        m.warm_from_ms = max(core.now_ms - passed_ms, 1)
    return 0


cdef int fill_ring(Ring* ring, dict spec) except -1:
    cdef bytes points = b64decode(spec["points"]), owners = b64decode(spec["owners"])
    ring.points = <uint32_t*>own_text(points)
    ring.owners = <uint16_t*>own_text(owners)
    ring.n = len(points) // sizeof(uint32_t)
    return 0


cdef void free_pool(Pool* pool):
    cdef unsigned int i
    for i in range(pool.n):
        if pool.members[i].node != NULL:
            node_unref(pool.members[i].node)
    for p in (<size_t>pool.ready.places, <size_t>pool.ready.slots, <size_t>pool.ready.weights,
              <size_t>pool.ready.index_of, <size_t>pool.ring.points, <size_t>pool.ring.owners):
        free(<void*><size_t>p)
    free(pool.members)
    free(pool)


cdef char* own_text(bytes text) except NULL:
    cdef char* p = <char*>malloc(len(text) + 1)
    if p == NULL:
        raise MemoryError
    memcpy(p, <const char*>text, len(text) + 1)
    return p


cdef int fill_cidr(Cidr* cidr, str text) except -1:
    cdef bytes packed
    net = parse_network(text)
    packed = net.network_address.packed
    bits = net.prefixlen
    if net.version == 4:
        packed = b"\0" * 10 + b"\xff\xff" + packed
        bits += 96
    cidr.bits = bits
    memcpy(cidr.net, <const char*>packed, 16)
    return 0


cdef int fill_trusted(Service* s, list networks) except -1:
    if len(networks) > MAX_CIDRS:
        raise ValueError(f"trusted_upstream_proxies: {len(networks)} networks, at most {MAX_CIDRS} fit")
    cdef int i
    for i, text in enumerate(networks):
        fill_cidr(&s.trusted[i], text)
    s.n_trusted = len(networks)
    return 0


def ms(seconds: float) -> int:
    """Return *seconds* as whole milliseconds, at least 1 unless it is 0, at most 24 days."""
    return min(max(round(seconds * 1000), 1 if seconds > 0 else 0), 2**31 - 1)


def default_authority(listen) -> str:
    """Return what Host says for a request that names none (RFC 9112 3.3): where the service listens.

    The first of the addresses that can be said to a node; without one it is "localhost".
    """
    for address in listen:
        host, _, port = address.rpartition(":")
        if not address.startswith("unix:"):
            host = "localhost" if host in ("0.0.0.0", "[::]") else host
            return host if port == "80" else f"{host}:{port}"
    return "localhost"


cdef int fill_retries(Service* s, dict settings) except -1:
    cdef int i
    listed = parse_retry_on(settings["retry_on"])
    s.retry_on = sum([1 << WORDS.index(word) for word in listed.words])
    s.retries_status = bool(listed.statuses)
    memset(s.retry_status, 0, sizeof(s.retry_status))
    for status in listed.statuses:
        s.retry_status[(status - 400) // 8] |= 1 << (status - 400) % 8
    s.retry_limit = settings["retry_limit"]
    s.retry_budget = settings["retry_budget"]
    s.retry_keyed = settings["retry_idempotency_key"]
    delays = parse_schedule(settings["error_retry_schedule"]) if settings["enable_error_retries"] else ()
    s.n_delays = min(len(delays), MAX_DELAYS)
    for i in range(s.n_delays):
        s.delays_ms[i] = ms(delays[i])
    return 0


ASKER_FIELDS = {"x-forwarded-for": F_X_FORWARDED_FOR, "forwarded": F_FORWARDED}
STICKY = ("off", "cookie", "learn")    # sticky.Sticky
REQUEST_ID = ("off", "make", "trust")  # request_id.RequestId


# After s.pool is set: the tokens lie as its members do.
cdef int fill_sticky(Service* s, dict settings, dict tokens) except -1:
    cdef unsigned int i
    name = settings["sticky_cookie"].encode("latin-1")
    put_text(s.sticky_name, NAME_BYTES, name)
    s.sticky_name_len = len(name)
    s.sticky_ttl_s = math.ceil(settings["sticky_ttl"])
    s.sticky = STICKY.index(settings["sticky"])
    s.number = number_of(s.name.decode())
    if s.pool != NULL:
        s.tokens = make_tokens(s.pool, tokens)
    return 0


cdef char* make_tokens(Pool* pool, dict tokens) except NULL:
    cdef char* made = <char*>calloc(pool.n + 1, TOKEN_BYTES)
    cdef unsigned int i
    if made == NULL:
        raise MemoryError
    for i in range(pool.n if tokens else 0):
        token = tokens[pool.members[i].node.address.decode()].encode()
        if len(token) != TOKEN_BYTES:
            free(made)
            raise ValueError(f"a sticky token of {len(token)} bytes")
        memcpy(made + i * TOKEN_BYTES, <const char*>token, TOKEN_BYTES)
    return made


cdef int fill_mark(Mark* mark, str name, str contents) except -1:
    put_text(mark.name, TEXT_SIZE, name.encode("latin-1"))
    put_text(mark.contents, TEXT_SIZE, contents.encode("latin-1"))
    mark.name_len = len(name)
    mark.contents_len = len(contents)
    return 0


cdef int fill_service(Service* s, dict settings, list insert, list remove, object listen) except -1:
    authority = default_authority(listen).encode()
    put_text(s.authority, TEXT_BYTES, authority)
    s.authority_len = len(authority)
    s.persist_client = settings["persist_client"]
    s.persist_backend = settings["persist_backend"]
    s.verify_backend = settings["verify_backend"]
    s.server_tokens = settings["server_tokens"]
    s.always_trusted = settings["always_trusted"]
    s.blind_proxy = settings["blind_proxy"]
    s.backend_persist_cache = settings["backend_persist_cache"]
    s.max_backend_uses = settings["max_backend_uses"]
    s.buffer_size = max(1, min(settings["buffer_size"], 2**30))
    s.buffer_backend_connect = min(settings["buffer_backend_connect"], 2**28)
    s.max_chunked = settings["max_chunked_request_size"]
    s.max_body = settings["max_body_size"]
    s.client_header_ms = ms(settings["client_header_timeout"])
    s.client_body_ms = ms(settings["client_body_timeout"])
    s.client_write_ms = ms(settings["client_write_timeout"])
    s.client_idle_ms = ms(settings["persist_client_idle_timeout"])
    s.client_body_min_rate = settings["client_body_min_rate"]
    s.connect_ms = ms(settings["connect_timeout"])
    s.verify_ms = ms(settings["verify_timeout"])
    s.first_byte_ms = ms(settings["node_first_byte_timeout"])
    s.node_idle_ms = ms(settings["node_idle_timeout"])
    s.node_keepalive_ms = ms(settings["node_keepalive_timeout"])
    s.request_ms = ms(settings["request_timeout"])
    s.tunnel_ms = ms(settings["tunnel_timeout"])
    s.max_header_bytes = settings["max_header_bytes"]
    s.max_headers = settings["max_headers"]
    s.max_uri = settings["max_uri_bytes"]
    s.sndbuf = settings["client_sndbuf_size"]
    s.retry_after = settings["retry_after"]
    s.request_id = REQUEST_ID.index(settings["request_id"])
    fill_retries(s, settings)
    s.queue_size = settings["queue_size"]
    s.queue_ms = ms(settings["queue_timeout"])
    s.relief_size = settings["queue_relief_size"]
    s.relief_chance = settings["queue_relief_chance"]
    fill_mark(&s.high, settings["high_priority_cookie"], settings["high_priority_cookie_contents"])
    fill_mark(&s.low, settings["low_priority_cookie"], settings["low_priority_cookie_contents"])
    s.marked = s.high.name_len > 0 or s.low.name_len > 0
    put_text(s.verify_path, sizeof(s.verify_path), settings["verify_backend_path"].encode("latin-1"))
    fill_trusted(s, list(settings["trusted_upstream_proxies"]))
    s.asker_field = ASKER_FIELDS[settings["forwarded"]]
    service_free_text(s)
    text = b"".join([b"%s: %s\r\n" % (n.encode("latin-1"), v.encode("latin-1")) for n, v in insert])
    names = b"".join([b"%s\n" % n.lower().encode("latin-1") for n in remove])
    s.insert = own_text(text)
    s.insert_len = len(text)
    s.remove = own_text(names)
    s.remove_len = len(names)
    return 0
