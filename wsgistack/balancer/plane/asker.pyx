"""Who is asking: the client's address, the key under which a limit counts a request, and whether it does.

The twin of http/forwarded.py and ratelimit/clients.py: the walk goes from the peer to the left of
X-Forwarded-For, or of Forwarded where the service says so, as long as the hop at hand is trusted.
A credential is counted by its hash, and its sender beside it: anybody could invent one for each request.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from wsgistack.balancer.plane.buf cimport (
    Buf,
    buf_append,
    buf_data,
    buf_len,
    buf_release,
    buf_reserve,
    buf_tail,
)
from wsgistack.balancer.plane.configure cimport fill_trusted
from wsgistack.balancer.plane.core cimport Client, Service
from wsgistack.balancer.plane.forwarded_hops cimport LONGEST_HOP, MOST_HOPS, Hops, find_hops, hop_text
from wsgistack.balancer.plane.gates cimport (
    BY_HEADER,
    BY_IP,
    BY_SERVICE,
    CRITICAL,
    KEY_BYTES,
    MARK_FIELD,
    MARK_NETWORK,
    NORMAL,
    SHEDDABLE,
    AskerKey,
    GateLimit,
    LevelMark,
)
from wsgistack.balancer.plane.limit_table cimport TableView, table_hash
from wsgistack.balancer.plane.networks cimport is_v4, networks_hold
from wsgistack.balancer.plane.octets cimport same_word
from wsgistack.balancer.plane.paths cimport path_fits, path_may_fit, path_of_target
from wsgistack.balancer.plane.request_head cimport method_in_capitals
from wsgistack.balancer.plane.wire cimport (
    F_FORWARDED,
    F_X_FORWARDED_FOR,
    F_X_FORWARDED_PROTO,
    M_GET,
    M_HEAD,
    M_OTHER,
    Field,
    Head,
    parse_request_head,
)

from wsgistack.balancer.plane.configure import ASKER_FIELDS

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int af, const char* text, void* out)
    enum:
        AF_INET
        AF_INET6

cdef enum:
    V4_AT = 12                   # where the four bytes lie in ::ffff:a.b.c.d


cdef void map_v4(uint8_t* out) noexcept nogil:
    memset(out, 0, 10)
    memset(out + 10, 0xff, 2)


cdef int parse_address(const char* p, uint32_t n, int only_v4, uint8_t* out) noexcept nogil:
    cdef char text[LONGEST_HOP + 1]
    memcpy(text, p, n)
    text[n] = 0
    if inet_pton(AF_INET, text, out + V4_AT) == 1:
        map_v4(out)
        return 1
    return not only_v4 and inet_pton(AF_INET6, text, out) == 1


cdef int is_port(const char* p, uint32_t n) noexcept nogil:
    # ":" and one to five digits, or nothing
    cdef uint32_t i
    if n == 0:
        return 1
    if p[0] != b":" or not 2 <= n <= 6:
        return 0
    for i in range(1, n):
        if not b"0" <= p[i] <= b"9":
            return 0
    return 1


cdef int has_blank(const char* p, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if p[i] == 32 or 9 <= p[i] <= 13 or 28 <= p[i] <= 31 or <uint8_t>p[i] == 0x85 or <uint8_t>p[i] == 0xa0:
            return 1
    return 0


cdef int parse_bracketed(const char* p, uint32_t n, uint8_t* out) noexcept nogil:
    cdef const char* end = <const char*>memchr(p, b"]", n)
    cdef const char* zone
    cdef uint32_t size
    if end == NULL or not is_port(end + 1, n - <uint32_t>(end - p) - 1):
        return 0
    size = <uint32_t>(end - p) - 1
    zone = <const char*>memchr(p + 1, b"%", size)
    return parse_address(p + 1, size if zone == NULL else <uint32_t>(zone - p) - 1, 0, out)


cdef int parse_hop(const char* p, uint32_t n, uint8_t* out) noexcept nogil:
    # 1 if it is an address. A port, brackets and an IPv6 zone are dropped.
    cdef uint32_t digits = 0
    cdef const char* zone
    while n and (p[0] == b" " or p[0] == b"\t"):
        p += 1
        n -= 1
    while n and (p[n - 1] == b" " or p[n - 1] == b"\t"):
        n -= 1
    if n == 0 or n > LONGEST_HOP:
        return 0
    if p[0] == b"[":
        return parse_bracketed(p, n, out)
    while digits < n and (b"0" <= p[digits] <= b"9" or p[digits] == b"."):
        digits += 1
    if digits and is_port(p + digits, n - digits):
        return parse_address(p, digits, 1, out)
    zone = <const char*>memchr(p, b"%", n)
    if zone == NULL:
        return parse_address(p, n, 0, out)
    return not has_blank(zone, n - <uint32_t>(zone - p)) and parse_address(p, <uint32_t>(zone - p), 0, out)


cdef int trusts(const Service* s, const Asker* who) noexcept nogil:
    return s.always_trusted or (who.known and networks_hold(s.trusted, s.n_trusted, who.address))


cdef int believe(const Service* s, Asker* who, uint32_t hops, const char* p, uint32_t n) noexcept nogil:
    # Step to the next hop. 0: there the walk ends.
    cdef uint8_t address[16]
    # The first hop is the peer's word; Client.trusted knows whether it counts.
    if hops == MOST_HOPS or (hops and not trusts(s, who)) or not parse_hop(p, n, address):
        return 0
    memcpy(who.address, address, 16)
    who.known = 1
    return 1


cdef void walk(const Service* s, const Head* h, const char* p, Asker* who) noexcept nogil:
    cdef const Field* f
    cdef const char* q
    cdef uint32_t start, end, hops = 0
    cdef int i
    for i in range(h.n_fields - 1, -1, -1):
        f = &h.fields[i]
        if f.id != F_X_FORWARDED_FOR:
            continue
        q = p + f.value
        end = f.value_len
        while True:
            start = end
            while start and q[start - 1] != b",":
                start -= 1
            if not believe(s, who, hops, q + start, end - start):
                return
            hops += 1
            if start == 0:
                break
            end = start - 1


cdef int join(const Head* h, const char* p, Buf* out) noexcept nogil:
    # The lines of Forwarded as one (RFC 9110 5.3); 0 without memory.
    cdef const Field* f
    cdef uint32_t i
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_FORWARDED and (buf_append(out, p + f.value, f.value_len) or buf_append(out, b",", 1)):
            return 0
    return 1


cdef void walk_elements(const Service* s, const Head* h, const char* p, Asker* who) noexcept nogil:
    cdef Buf lines
    cdef Hops hops
    cdef char text[LONGEST_HOP]
    cdef uint32_t back = 0
    cdef int n
    memset(&lines, 0, sizeof(lines))
    if join(h, p, &lines):
        find_hops(buf_data(&lines), buf_len(&lines) - 1, &hops)
        while back < hops.n:
            n = hop_text(&hops, back, text)
            if n < 0 or not believe(s, who, back, text, <uint32_t>n):
                break
            back += 1
    buf_release(&lines)


cdef void find_asker(Client* c, const Head* h, const char* p, Asker* who) noexcept nogil:
    if c.peer_known == 0:
        c.peer_known = 1 if parse_hop(c.peer, c.peer_len, c.peer_address) else 2
    who.known = c.peer_known == 1
    memcpy(who.address, c.peer_address, 16)
    if not c.trusted or not h.seen >> c.service.asker_field & 1:
        return
    if c.service.asker_field == F_FORWARDED:
        walk_elements(c.service, h, p, who)
    else:
        walk(c.service, h, p, who)


cdef bint came_by_https(const Client* c, const Head* h, const char* p) noexcept nogil:
    cdef const Field* f
    cdef uint32_t i
    if c.https:
        return True
    if not c.trusted:
        return False
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_X_FORWARDED_PROTO:
            return f.value_len == 5 and same_word(<const uint8_t*>p + f.value, b"https", 5)
    return False


# -- keys ----------------------------------------------------------------------------------

cdef void key_of_address(const GateLimit* limit, const Asker* who, AskerKey* key) noexcept nogil:
    cdef uint32_t bits, whole
    key.n = 1
    key.text[0] = b"-"           # clients whose address nobody knows share a key
    if not who.known:
        return
    bits = limit.ipv4_bits if is_v4(who.address) else limit.ipv6_bits
    whole = bits // 8
    key.n = KEY_BYTES
    key.text[0] = b"a"
    memset(key.text + 1, 0, 16)
    memcpy(key.text + 1, who.address, whole)
    if bits % 8:
        key.text[1 + whole] = who.address[whole] & <uint8_t>(0xff << (8 - bits % 8))


cdef int key_of_field(const TableView* t, const GateLimit* limit, const Head* h, const char* p, AskerKey* key) noexcept nogil:
    # 0 if the request has no such field, or an empty one.
    cdef uint64_t words[2]
    cdef const Field* f
    cdef int i, found = 0
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.name_len != limit.name_len or f.value_len == 0 or not same_word(<const uint8_t*>p + f.name, limit.name, f.name_len):
            continue
        words[found > 0] = table_hash(t, p + f.value, f.value_len)
        if found:
            words[0] = table_hash(t, <const char*>words, 16)
        found += 1
    if found:
        key.n = 9
        key.text[0] = b"h"
        memcpy(key.text + 1, words, 8)
    return found > 0


cdef int find_keys(const TableView* t, const Client* c, const GateLimit* limit, const Asker* who,
                   const Head* h, const char* p, AskerKey* keys) noexcept nogil:
    cdef int n = 0, i
    if limit.by == BY_HEADER:
        n = key_of_field(t, limit, h, p, &keys[0])
    if limit.by == BY_HEADER or limit.by == BY_IP:
        key_of_address(limit, who, &keys[n])
    else:
        keys[n].n = 1
        keys[n].text[0] = b"*"
        if limit.by == BY_SERVICE:
            keys[n].n = 5
            keys[n].text[0] = b"s"
            memcpy(keys[n].text + 1, &c.service.slot, 4)
    for i in range(n + 1):
        keys[i].hash = table_hash(t, <const char*>keys[i].text, keys[i].n)
    return n + 1


# -- what a limit is about ----------------------------------------------------------------

cdef int know_path(const Head* h, const char* p, Buf* path) noexcept nogil:
    # `path` is made for the first limit that asks; 0 without memory for it.
    if buf_len(path) == 0:
        if buf_reserve(path, 2 * h.target_len + 4) != 0:  # that, and room for other readings behind it
            return 0
        path.end += path_of_target(p + h.target, h.target_len, buf_tail(path))
    return 1


cdef int is_on_path(const GateLimit* limit, const Head* h, const char* p, Buf* path) noexcept nogil:
    # Without memory the limit is about everything.
    cdef uint32_t i, n
    cdef int is_plain
    if not know_path(h, p, path):
        return 1
    n = buf_len(path)
    is_plain = h.target_len >= n and memcmp(p + h.target, buf_data(path), n) == 0
    is_plain = is_plain and (h.target_len == n or p[h.target + n] == b"?")
    for i in range(limit.n_paths):
        if path_fits(limit.paths[i].p, limit.paths[i].n, buf_data(path), n):
            return 1
        if is_plain:
            continue  # it reads in one way
        # An application may resolve no "..", and take /search/x/../../y for a page of /search/.
        if path_may_fit(limit.paths[i].p, limit.paths[i].n, p + h.target, h.target_len, buf_tail(path)):
            return 1
    return 0


cdef int is_within(const GateLimit* limit, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil:
    # HEAD is GET without a body (RFC 9110 9.3.2): it must not be a way around.
    # Nor must `post`, which applications take for POST.
    cdef int method = method_in_capitals(h, p) if limit.methods else M_OTHER
    if method == M_HEAD and limit.methods >> M_GET & 1:
        method = M_GET
    if limit.methods and not limit.methods >> method & 1:
        return 0
    if limit.n_paths and not is_on_path(limit, h, p, path):
        return 0
    return not (limit.n_exempt and who.known and networks_hold(limit.exempt, limit.n_exempt, who.address))


# -- who has to go first: balancer/shedding.py is the twin ----------------------------------

cdef int has_value(const LevelMark* mark, const Head* h, const char* p) noexcept nogil:
    cdef const Field* f
    cdef uint32_t i
    for i in range(h.n_fields):
        f = &h.fields[i]
        if (f.name_len == mark.name.n and same_word(<const uint8_t*>p + f.name, mark.name.p, f.name_len)
                and path_fits(mark.text.p, mark.text.n, p + f.value, f.value_len)):
            return 1
    return 0


cdef int is_marked(const LevelMark* mark, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil:
    if mark.by == MARK_FIELD:
        return has_value(mark, h, p)
    if mark.by == MARK_NETWORK:
        return who.known and networks_hold(&mark.network, 1, who.address)
    return know_path(h, p, path) and path_fits(mark.text.p, mark.text.n, buf_data(path), buf_len(path))


cdef int find_level(const GateLimit* limit, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil:
    # What is marked as both is critical. Without memory for its path a request is normal.
    cdef uint32_t i
    for i in range(limit.n_marks[CRITICAL]):
        if is_marked(&limit.marks[CRITICAL][i], h, p, who, path):
            return CRITICAL
    for i in range(limit.n_marks[SHEDDABLE]):
        if is_marked(&limit.marks[SHEDDABLE][i], h, p, who, path):
            return SHEDDABLE
    return NORMAL


# -- the face for tests --------------------------------------------------------------------

def parse_hop_text(text: bytes) -> bytes | None:
    """Return the 16 bytes of the address that a hop names, None for anything else."""
    cdef uint8_t address[16]
    if not parse_hop(text, len(text), address):
        return None
    return (<char*>address)[:16]


def ask_who(head: bytes, peer: bytes, *, trusted: list, everybody: bool = False, field: str = "x-forwarded-for") -> bytes | None:
    """Return the 16 bytes of who sends *head* by way of *peer* to a service with these settings, None for nobody knows."""
    cdef Client* c = <Client*>calloc(1, sizeof(Client))
    cdef Service* s = <Service*>calloc(1, sizeof(Service))
    cdef Head* h = <Head*>calloc(1, sizeof(Head))
    cdef Asker who
    try:
        if c == NULL or s == NULL or h == NULL or len(peer) > sizeof(c.peer):
            raise MemoryError
        h.max_bytes, h.max_fields, h.max_target = 65536, 1000, 16384
        if parse_request_head(head, len(head), h) <= 0:
            raise ValueError("no whole head")
        fill_trusted(s, trusted)
        s.always_trusted = everybody
        s.asker_field = ASKER_FIELDS[field]
        c.service = s
        memcpy(c.peer, <const char*>peer, len(peer))
        c.peer_len = <uint8_t>len(peer)
        who.known = parse_hop(peer, len(peer), who.address)
        c.trusted = trusts(s, &who)
        find_asker(c, h, head, &who)
        return (<char*>who.address)[:16] if who.known else None
    finally:
        free(c)
        free(s)
        free(h)
