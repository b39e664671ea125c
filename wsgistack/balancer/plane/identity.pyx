"""Names of fields by which a proxy tells the next hop who is asking, and which way they came.

Applications believe them, so those of a client that is not trusted go no further.  The plane
writes X-Forwarded-For, -Host, -Proto and Forwarded itself; here are the others that somebody
believes: Django, gunicorn, waitress, Werkzeug's ProxyFix, and what CDNs and older proxies set.
"""

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.octets cimport same_word

# RFC 9440 4 asks for the removal of Client-Cert; X-Original-URL and X-Rewrite-URL replace the path
# in some frameworks, behind the back of whoever decided by the path (Kettle 2018).
NAMES = (
    b"cf-connecting-ip", b"cf-connecting-ipv6", b"client-cert", b"client-cert-chain", b"client-ip",
    b"fastly-client-ip", b"forwarded-for", b"front-end-https", b"proxy-client-ip", b"remote-user",
    b"true-client-ip", b"wl-proxy-client-ip", b"x-client-cert", b"x-client-ip", b"x-cluster-client-ip",
    b"x-envoy-external-address", b"x-host", b"x-http-host-override", b"x-original-forwarded-for",
    b"x-original-host", b"x-original-url", b"x-originating-ip", b"x-proxyuser-ip", b"x-real-ip",
    b"x-remote-addr", b"x-remote-ip", b"x-remote-user", b"x-rewrite-url", b"x-scheme", b"x-script-name",
    b"x-url-scheme",
)
PREFIXES = (b"x-forwarded", b"x-ssl-")

cdef enum:
    LONGEST = 31
    ROOM = 40

# The names by length: those of n bytes are words[start[n]:start[n + 1]].
cdef const char* words[ROOM]
cdef uint8_t start[LONGEST + 2]
_by_length = sorted(NAMES, key=len)


cdef int index_names() except -1:
    cdef int n
    if len(_by_length) > ROOM or max(map(len, NAMES)) > LONGEST:
        raise AssertionError("identity: ROOM or LONGEST is too small")
    for n in range(len(_by_length)):
        words[n] = _by_length[n]
    for n in range(LONGEST + 2):
        start[n] = sum(len(name) < n for name in _by_length)
    return 0


index_names()


cdef bint is_identity(const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint32_t i
    if name[0] | 32 == c"x" and ((n >= 11 and same_word(name, b"x-forwarded", 11))
                                 or (n >= 6 and same_word(name, b"x-ssl-", 6))):
        return True
    if n > LONGEST:
        return False
    for i in range(start[n], start[n + 1]):
        if same_word(name, words[i], n):
            return True
    return False
