# The request of a single value, and the answers that need nothing more; see singles.py.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.string cimport memcpy

cdef enum:
    OPAQUE_DIGITS = 7  # of FIRST_OPAQUE and LAST_OPAQUE


cdef inline bytes write_get(bytes key, unsigned long long number):
    # b"mg %b v f c t O%d\r\n"
    cdef Py_ssize_t size = PyBytes_GET_SIZE(key)
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, size + 15 + OPAQUE_DIGITS)
    cdef char* at = PyBytes_AS_STRING(payload)
    cdef int digit
    memcpy(at, b"mg ", 3)
    memcpy(at + 3, PyBytes_AS_STRING(key), size)
    at += 3 + size
    memcpy(at, b" v f c t O", 10)
    at += 10
    for digit in range(OPAQUE_DIGITS - 1, -1, -1):
        at[digit] = 48 + number % 10
        number //= 10
    memcpy(at + OPAQUE_DIGITS, b"\r\n", 2)
    return payload


cdef inline bytes find_plain(object answer, object Reply, Py_ssize_t most):
    # The value that is all there is to say, or None.
    if type(answer) is not list:
        return None
    reply = <object>PyList_GET_ITEM(answer, 0)
    if type(reply) is not Reply:
        return None
    value = <object>PyTuple_GET_ITEM(reply, 1)
    if value is None or <object>PyTuple_GET_ITEM(reply, 0) != b"VA":
        return None
    if <object>PyTuple_GET_ITEM(reply, 2) or <object>PyTuple_GET_ITEM(reply, 5):
        return None
    return <bytes>value if 0 < PyBytes_GET_SIZE(value) <= most else None
