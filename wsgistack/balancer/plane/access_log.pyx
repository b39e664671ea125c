"""The access log: one line a request, gathered in a buffer of the worker and written in whole lines.

Compiled code does all of it; a line costs no Python object and, shared by those of a tick, no
system call.  Lines are at most LONGEST_LINE bytes, so that a pipe takes several of them at
once or none, and workers never write into each other's lines.  All text of others is escaped
to printable ASCII: no request can end its line and forge the next.

Phases, in microseconds: `head` from the first byte of the request to the end of its head; `wait`
from there until a connection to the node that answered was taken or begun (earlier tries, a
queue and the body that is read first included); `connect` until that stood; `first` until the
head of its answer; `total` from the first byte of the request to the end of the exchange.
"""

import os

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memchr, memcpy, memmove, strlen
from libc.time cimport gmtime_r, strftime, time_t, tm

from wsgistack.balancer.plane.buf cimport buf_data, buf_len, buf_reserve, buf_tail
from wsgistack.balancer.plane.core cimport LOG_BYTES, LOG_COMBINED, LOG_JSON, AccessLog, Client, Core, Node, Pool, Share, node_unref
from wsgistack.balancer.plane.exchange cimport RES_DONE, RES_TUNNEL, WHY_NONE, Exchange
from wsgistack.balancer.plane.octets cimport put_number
from wsgistack.balancer.plane.own_answer cimport why_name
from wsgistack.balancer.plane.retry cimport refusal_name
from wsgistack.balancer.plane.split cimport pool_used, share_of
from wsgistack.balancer.plane.wire cimport (
    F_REFERER,
    F_TRACEPARENT,
    F_USER_AGENT,
    F_X_REQUEST_ID,
    Field,
    Head,
    RequestRewrite,
)

from wsgistack.balancer.plane.log_file import open_for_lines

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void* p, size_t n)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void* p, size_t n, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef enum:
    LONGEST_LINE = 4096          # PIPE_BUF
    MOST_TARGET = 1500           # escaped; what is longer ends in "..."
    MOST_REFERER = 700
    MOST_AGENT = 400
    MOST_WORD = 200              # of any other text
    CLIENT_GONE = 499            # nginx's: the client left before there was an answer

cdef const char* HEX = b"0123456789abcdef"
cdef const char* WAYS[5]         # page_rules.Way
WAYS[:] = [b"", b"hit", b"hop", b"bypass", b"fallback"]


# -- text ----------------------------------------------------------------------------------

cdef inline char* put(char* out, const char* text) noexcept nogil:
    cdef size_t n = strlen(text)
    memcpy(out, text, n)
    return out + n


# JSON: \" \\ \u00XX. Combined, as Apache: \" \\ \xXX. At most `most` bytes and "...".
cdef char* put_escaped(char* out, const char* p, uint32_t n, uint32_t most, int format) noexcept nogil:
    cdef char* end = out + most
    cdef uint32_t i
    cdef uint8_t c
    for i in range(n):
        c = <uint8_t>p[i]
        if end - out < 6:
            return put(out, b"...")
        if c == 34 or c == 92:
            out[0] = 92
            out[1] = <char>c
            out += 2
        elif 32 <= c < 127:
            out[0] = <char>c
            out += 1
        else:
            out = put(out, b"\\u00" if format == LOG_JSON else b"\\x")
            out[0] = HEX[c >> 4]
            out[1] = HEX[c & 15]
            out += 2
    return out


cdef char* put_text(char* out, const char* key, const char* p, uint32_t n, uint32_t most, int format) noexcept nogil:
    # A text by its key: "key":"text", or key="text".
    if format == LOG_JSON:
        out = put(put(put(out, b',"'), key), b'":"')
    else:
        out = put(put(put(out, b" "), key), b'="')
    return put(put_escaped(out, p, n, most, format), b'"')


cdef char* put_count(char* out, const char* key, uint64_t value, int format) noexcept nogil:
    if format == LOG_JSON:
        out = put(put(put(out, b',"'), key), b'":')
    else:
        out = put(put(put(out, b" "), key), b"=")
    return put_number(out, value)


cdef char* put_time(char* out, AccessLog* log, uint64_t epoch_us, int format) noexcept nogil:
    cdef time_t second = <time_t>(epoch_us // 1000000)
    cdef tm parts
    cdef int ms = <int>(epoch_us // 1000 % 1000)
    if second != <time_t>log.second or log.clock_format != format:
        log.second = <uint64_t>second
        log.clock_format = format
        gmtime_r(&second, &parts)
        strftime(log.clock, sizeof(log.clock),
                 b"%Y-%m-%dT%H:%M:%S." if format == LOG_JSON else b"%d/%b/%Y:%H:%M:%S +0000", &parts)
    out = put(out, log.clock)
    if format == LOG_JSON:
        out[0] = <char>(48 + ms // 100)
        out[1] = <char>(48 + ms // 10 % 10)
        out[2] = <char>(48 + ms % 10)
        out = put(out + 3, b"Z")
    return out


# -- what a line says of its request -------------------------------------------------------

cdef char* put_field(char* out, const Head* h, const char* p, int id, const char* key, uint32_t most, int format) noexcept nogil:
    # The first field of its kind; in combined the value alone, "-" for none.
    cdef const Field* f
    cdef uint32_t i
    if h != NULL and h.seen >> id & 1:
        for i in range(h.n_fields):
            f = &h.fields[i]
            if f.id == id:
                if key != NULL:
                    return put_text(out, key, p + f.value, f.value_len, most, format)
                return put(put_escaped(put(out, b' "'), p + f.value, f.value_len, most, format), b'"')
    return put(out, b' "-"') if key == NULL else out


cdef char* put_target(char* out, const Head* h, const char* p, int format) noexcept nogil:
    cdef char root[2]
    if h.target_is_root:
        root[0] = <char>h.target_is_root
        out = put_escaped(out, root, 1, MOST_WORD, format)
    return put_escaped(out, p + h.target, h.target_len, MOST_TARGET, format)


cdef char* put_request_json(char* out, const Head* h, const char* p) noexcept nogil:
    if h == NULL:
        return put(out, b',"method":"","target":"","version":""')
    out = put(put_escaped(put(out, b',"method":"'), p + h.method, h.method_len, MOST_WORD, LOG_JSON), b'"')
    out = put(put_target(put(out, b',"target":"'), h, p, LOG_JSON), b'"')
    out = put(put_number(put(out, b',"version":"1.'), h.minor), b'"')
    out = put_field(out, h, p, F_REFERER, b"referer", MOST_REFERER, LOG_JSON)
    return put_field(out, h, p, F_USER_AGENT, b"user_agent", MOST_AGENT, LOG_JSON)


cdef char* put_request_combined(char* out, const Head* h, const char* p) noexcept nogil:
    if h == NULL:
        return put(out, b'"-"')
    out = put_escaped(put(out, b'"'), p + h.method, h.method_len, MOST_WORD, LOG_COMBINED)
    out = put_target(put(out, b" "), h, p, LOG_COMBINED)
    return put(put_number(put(out, b" HTTP/1."), h.minor), b'"')


cdef void log_begin(Client* c, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef int format = c.ep.core.log.format
    cdef char* out
    if buf_reserve(&ex.log, LONGEST_LINE) != 0:
        c.ep.core.log.lost += 1
        return
    out = buf_tail(&ex.log)
    ex.log_format = format
    if format == LOG_JSON:
        out = put_request_json(out, h, p)
    else:
        out = put_request_combined(out, h, p)
        ex.log_middle = <uint32_t>(out - buf_tail(&ex.log))
        out = put_field(out, h, p, F_REFERER, NULL, MOST_REFERER, format)
        out = put_field(out, h, p, F_USER_AGENT, NULL, MOST_AGENT, format)
    if r != NULL and r.request_id_len:
        out = put_text(out, b"request_id", r.request_id, r.request_id_len, MOST_WORD, format)
    else:
        out = put_field(out, h, p, F_X_REQUEST_ID, b"request_id", MOST_WORD, format)
    out = put_field(out, h, p, F_TRACEPARENT, b"traceparent", MOST_WORD, format)
    ex.log.end += <uint32_t>(out - buf_tail(&ex.log))


cdef void log_node(Exchange* ex, Node* node) noexcept nogil:
    if ex.log_node == node:
        return
    if ex.log_node != NULL:
        node_unref(<Node*>ex.log_node)
    node.refs += 1
    ex.log_node = node


# -- the line ------------------------------------------------------------------------------

cdef uint64_t between(uint64_t earlier, uint64_t later) noexcept nogil:
    return later - earlier if later > earlier and earlier else 0


cdef char* put_phases(char* out, const Client* c, int format) noexcept nogil:
    cdef const Exchange* ex = c.ex
    cdef uint64_t now = c.ep.core.now_us
    cdef uint64_t head = between(ex.head_ms * 1000, ex.began_us)
    out = put_count(out, b"head_us", head, format)
    out = put_count(out, b"wait_us", between(ex.began_us, ex.taken_us if ex.taken_us else now), format)
    out = put_count(out, b"connect_us", between(ex.taken_us, ex.ready_us), format)
    out = put_count(out, b"first_us", between(ex.ready_us, ex.first_us), format)
    return put_count(out, b"total_us", head + between(ex.began_us, now), format)


cdef char* put_bucket(char* out, const Client* c, int format) noexcept nogil:
    cdef const Share* share = share_of(c.service, c.ex)
    cdef const char* name = b"-"
    if share != NULL:
        name = share.pool.name
    return put_text(out, b"bucket", name, <uint32_t>strlen(name), MOST_WORD, format)


cdef char* put_outcome(char* out, const Client* c, const char* reason, int format) noexcept nogil:
    cdef const Exchange* ex = c.ex
    cdef Node* node = <Node*>ex.log_node
    cdef const Pool* pool = pool_used(c.service, ex)
    out = put_text(out, b"service", c.service.name, <uint32_t>strlen(c.service.name), MOST_WORD, format)
    if c.service.split != NULL:
        out = put_bucket(out, c, format)
    if pool != NULL:
        out = put_text(out, b"pool", pool.name, <uint32_t>strlen(pool.name), MOST_WORD, format)
    if node != NULL:
        out = put_text(out, b"node", node.address, <uint32_t>strlen(node.address), MOST_WORD, format)
    if ex.way:
        out = put_text(out, b"cache", WAYS[ex.way], <uint32_t>strlen(WAYS[ex.way]), MOST_WORD, format)
    out = put_count(out, b"tries", ex.asked, format)
    out = put_phases(out, c, format)
    if reason != NULL:
        out = put_text(out, b"reason", reason, <uint32_t>strlen(reason), MOST_WORD, format)
    if ex.refusal and ex.own:
        out = put_text(out, b"not_sent_again", refusal_name(ex.refusal), <uint32_t>strlen(refusal_name(ex.refusal)), MOST_WORD, format)
    return out


cdef const char* reason_of(Client* c) noexcept nogil:
    cdef Exchange* ex = c.ex
    if ex.why != WHY_NONE:
        return why_name(ex)
    if ex.res_state != RES_TUNNEL and (ex.res_state != RES_DONE or buf_len(&ex.down) or c.relay_down != NULL):
        return b"client_gone"
    return NULL


cdef void write_line(Client* c) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Exchange* ex = c.ex
    cdef AccessLog* log = &core.log
    cdef const char* p = buf_data(&ex.log)
    cdef uint32_t n = buf_len(&ex.log), middle = ex.log_middle
    cdef uint64_t at = core.epoch_ms * 1000 - between(ex.began_us, core.now_us)
    cdef uint64_t status = ex.status if ex.status else CLIENT_GONE
    cdef uint64_t body = ex.own_body if ex.own else ex.res_body
    cdef int format = ex.log_format
    cdef char* out
    if log.used + LONGEST_LINE > LOG_BYTES:
        log_flush(core)
    if log.p == NULL or log.used + LONGEST_LINE > LOG_BYTES:
        log.lost += 1
        return
    out = log.p + log.used
    if format == LOG_JSON:
        out = put(put_time(put(out, b'{"time":"'), log, at, format), b'"')
        out = put_text(out, b"client", c.peer, c.peer_len, MOST_WORD, format)
        memcpy(out, p, n)
        out = put_count(put_count(out + n, b"status", status, format), b"bytes", body, format)
        out = put(put_outcome(out, c, reason_of(c), format), b"}\n")
    else:
        memcpy(out, c.peer, c.peer_len)
        out = put(put_time(put(out + c.peer_len, b" - - ["), log, at, format), b"] ")
        memcpy(out, p, middle)
        out = put_number(put(out + middle, b" "), status)
        out = put_number(put(out, b" "), body)
        memcpy(out, p + middle, n - middle)
        out = put(put_outcome(out + n - middle, c, reason_of(c), format), b"\n")
    log.used = <uint32_t>(out - log.p)


cdef void log_end(Client* c) noexcept nogil:
    cdef Exchange* ex = c.ex
    write_line(c)
    if ex.log_node != NULL:
        node_unref(<Node*>ex.log_node)
        ex.log_node = NULL


# -- writing -------------------------------------------------------------------------------

cdef uint32_t count_lines(const char* p, uint32_t n) noexcept nogil:
    cdef uint32_t i, lines = 0
    for i in range(n):
        lines += p[i] == 10
    return lines


cdef uint32_t whole_lines(const char* p, uint32_t n, uint32_t most) noexcept nogil:
    # How many bytes of whole lines fit into `most`: at least one line, which fits by itself.
    cdef uint32_t i = most
    if n <= most:
        return n
    while i > 0 and p[i - 1] != 10:
        i -= 1
    return i if i else n


cdef void consume(AccessLog* log, uint32_t n) noexcept nogil:
    log.used -= n
    memmove(log.p, log.p + n, log.used)


cdef ssize_t write_some(const AccessLog* log, uint32_t n) noexcept nogil:
    cdef ssize_t r
    while True:
        r = send(log.fd, log.p, n, MSG_DONTWAIT | MSG_NOSIGNAL) if log.is_socket else write(log.fd, log.p, n)
        if r >= 0 or errno != EINTR:
            return r if r >= 0 else -errno


cdef void log_flush(Core* core) noexcept nogil:
    cdef AccessLog* log = &core.log
    cdef uint32_t n
    cdef const char* end
    cdef ssize_t r
    while log.used and log.fd >= 0:
        n = log.used if log.is_file else whole_lines(log.p, log.used, LONGEST_LINE)
        r = write_some(log, n)
        if r == -EAGAIN:
            return                   # its reader is slow; what does not fit any more is counted as lost
        if r <= 0:
            log.error = <int>-r
            log.lost += count_lines(log.p, log.used)
            log.used = 0
            return
        consume(log, <uint32_t>r)
        if <uint32_t>r < n and r > 0 and log.used:
            # A full disk took a part of a line: end that line, and go on with the next.
            end = <const char*>memchr(log.p, 10, log.used)
            consume(log, <uint32_t>(end - log.p))
            log.lost += 1


# -- what Plane calls ----------------------------------------------------------------------

cdef int log_open(Core* core, str path, str format) except -1:
    fd, kind = (-1, "") if path == "off" else open_for_lines(path)
    if fd >= 0 and core.log.p == NULL:
        core.log.p = <char*>malloc(LOG_BYTES)
        if core.log.p == NULL:
            os.close(fd)
            raise MemoryError
    log_close(core)
    core.log.fd = fd
    core.log.is_file = kind == "file"
    core.log.is_socket = kind == "socket"
    core.log.format = FORMATS[format] if fd >= 0 else 0
    return 0


cdef int log_close(Core* core) except -1:
    log_flush(core)
    core.log.lost += count_lines(core.log.p, core.log.used)      # its reader is slow, and now it gets no more
    core.log.used = 0
    if core.log.fd >= 0:
        os.close(core.log.fd)
    core.log.fd = -1
    return 0


cdef object log_keep(Core* core):
    log_flush(core)
    if not core.log.lost or core.now_ms - core.log.told_ms < 1000:
        return None
    error = os.strerror(core.log.error) if core.log.error else "its reader is slow"
    event = {"event": "access_log_lost", "lines": core.log.lost, "error": error}
    core.log.told_ms = core.now_ms
    core.log.lost = 0
    core.log.error = 0
    return event


FORMATS = {"combined": LOG_COMBINED, "json": LOG_JSON}
