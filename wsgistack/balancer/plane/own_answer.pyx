"""Answers of our own: what is said when no node's answer can be passed on."""

from libc.stdint cimport uint8_t
from libc.stdio cimport snprintf
from libc.time cimport gmtime_r, strftime, time, time_t, tm

from wsgistack.balancer.plane.buf cimport buf_release, buf_reserve, buf_tail
from wsgistack.balancer.plane.exchange cimport RES_DONE, WHY_BAD_RESPONSE, WHY_WIRE, Exchange, reason_name
from wsgistack.balancer.plane.wire cimport M_HEAD, fault_name


cdef const char* why_name(const Exchange* ex) noexcept nogil:
    if ex.fault != 0 and (ex.why == WHY_WIRE or ex.why == WHY_BAD_RESPONSE):
        return fault_name(ex.fault)
    return reason_name(ex.why)


cdef const char* phrase(int status) noexcept nogil:
    if status == 400: return b"Bad Request"
    if status == 405: return b"Method Not Allowed"
    if status == 408: return b"Request Timeout"
    if status == 413: return b"Content Too Large"
    if status == 414: return b"URI Too Long"
    if status == 417: return b"Expectation Failed"
    if status == 431: return b"Request Header Fields Too Large"
    if status == 501: return b"Not Implemented"
    if status == 502: return b"Bad Gateway"
    if status == 503: return b"Service Unavailable"
    if status == 504: return b"Gateway Timeout"
    if status == 505: return b"HTTP Version Not Supported"
    return b"Error"


cdef void ex_answer(Exchange* ex, int status, int why, int keep, int retry_after, int tokens) noexcept nogil:
    cdef char body[256]
    cdef char date[64]
    cdef char retry[48]
    cdef const char* connection = b""
    cdef const char* allow = b""
    cdef const char* server = b""
    cdef char own[64]
    cdef int size, n
    cdef time_t now = time(NULL)
    cdef tm parts
    ex.why = why
    ex.own = 1
    ex.status = status
    ex.client_keep = ex.client_keep and keep
    size = snprintf(body, sizeof(body), b"%d %s\n%s\n", status, phrase(status), why_name(ex))
    gmtime_r(&now, &parts)
    strftime(date, sizeof(date), b"%a, %d %b %Y %H:%M:%S GMT", &parts)
    retry[0] = 0
    if status == 503:
        snprintf(retry, sizeof(retry), b"Retry-After: %d\r\n", retry_after)
    buf_release(&ex.down)
    ex.res_state = RES_DONE
    ex.started = 1
    if buf_reserve(&ex.down, 1024) != 0:
        ex.client_keep = 0
        return
    if not ex.client_keep:
        connection = b"Connection: close\r\n"
    elif ex.client_minor == 0:
        connection = b"Connection: keep-alive\r\n"
    if status == 405:
        allow = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
    own[0] = 0
    if ex.inner:                 # the keeper looks whether it is a node's answer, and takes this off
        snprintf(own, sizeof(own), b"Wsgistack-Own: %s\r\n", why_name(ex))
    if tokens:
        server = b"Server: wsgistack\r\n"
    n = snprintf(
        buf_tail(&ex.down), 1024,
        b"HTTP/1.1 %d %s\r\nDate: %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        b"Cache-Control: no-store\r\n%s%s%s%s\r\n%s",
        status, phrase(status), date, server, size, retry, allow, connection, own, body)
    ex.own_body = size
    if ex.method_id == M_HEAD:
        n -= size
        ex.own_body = 0
    ex.down.end += n
