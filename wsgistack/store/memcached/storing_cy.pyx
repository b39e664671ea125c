"""The compiled twin of `wsgistack.store.memcached.storing`: the same bytes."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.string cimport memcpy

__all__ = ["write_stores"]

cdef extern from "Python.h":
    PyObject* PyBytes_FromStringAndSize(const char* text, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject** made, Py_ssize_t size) except -1

cdef enum:
    MOST_OF_A_LINE = 100  # beside key and value: the words, and four numbers of at most 20 digits


cdef inline char* put(char* at, const char* text, Py_ssize_t size) noexcept:
    memcpy(at, text, size)
    return at + size


cdef inline char* put_number(char* at, long long number) noexcept:
    cdef char digits[24]
    cdef int length = 0
    cdef unsigned long long rest
    if 0 <= number < 10:
        at[0] = <char>(48 + number)
        return at + 1
    if number < 0:
        at[0] = b"-"
        at += 1
        rest = <unsigned long long>(-number)
    else:
        rest = <unsigned long long>number
    while True:
        digits[length] = <char>(48 + rest % 10)
        length += 1
        rest //= 10
        if rest == 0:
            break
    while length:
        length -= 1
        at[0] = digits[length]
        at += 1
    return at


def write_stores(list items, long long ttl, long long opaque, bint is_quiet) -> bytes:
    """See the plain twin."""
    return write_lines(items, ttl, opaque, is_quiet)


cdef bytes write_lines(list items, long long ttl, long long opaque, bint is_quiet):
    cdef Py_ssize_t total = MOST_OF_A_LINE
    cdef bytes key, value
    cdef tuple item
    cdef long long flags
    for item in items:
        key, value, flags = item[0], item[1], item[2]  # what is not of its type raises here
        total += PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(value) + MOST_OF_A_LINE
    cdef PyObject* made = PyBytes_FromStringAndSize(NULL, total)
    cdef char* start = PyBytes_AS_STRING(<object>made)
    cdef char* at = start
    for item in items:
        key, value = <bytes>PyTuple_GET_ITEM(item, 0), <bytes>PyTuple_GET_ITEM(item, 1)
        at = put(at, b"ms ", 3)
        at = put(at, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        at = put(at, b" ", 1)
        at = put_number(at, PyBytes_GET_SIZE(value))
        if ttl:
            at = put(at, b" T", 2)
            at = put_number(at, ttl)
        flags = <object>PyTuple_GET_ITEM(item, 2)
        if flags:
            at = put(at, b" F", 2)
            at = put_number(at, flags)
        at = put(at, b" O", 2)
        at = put_number(at, opaque)
        at = put(at, b" q\r\n", 4) if is_quiet else put(at, b"\r\n", 2)
        at = put(at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        at = put(at, b"\r\n", 2)
        opaque += 1
    if is_quiet:
        at = put(at, b"mn\r\n", 4)
    _PyBytes_Resize(&made, at - start)
    cdef bytes lines = <bytes><object>made
    Py_DECREF(lines)
    return lines
