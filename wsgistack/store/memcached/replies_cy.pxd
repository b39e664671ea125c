# What other compiled modules may do with a reader of replies.

from libc.stdint cimport uint64_t


cdef class Expected:
    cdef int kind
    cdef list keys
    cdef Py_ssize_t count
    cdef uint64_t opaque
    cdef bint is_fatal
    cdef Py_ssize_t done
    cdef list items
    cdef dict stats
    cdef object refusal


cdef class Replies:
    cdef public object fault
    cdef object _expected
    cdef list _parts
    cdef Py_ssize_t _size
    cdef Py_ssize_t _needed
    cdef Py_ssize_t _position
    cdef list _answers

    cdef int add_lines(self, Py_ssize_t count, uint64_t opaque, bint is_fatal) except -1
    cdef int add_bare(self, list keys) except -1
    cdef list scan(self, const char* data, Py_ssize_t size)
    cdef int step(self, const char* data, Py_ssize_t size) except -1
    cdef int finish(self, object answer) except -1
    cdef object body(self, const char* data, Py_ssize_t size, Py_ssize_t start, Py_ssize_t length)
    cdef object read_error(self, const char* line, Py_ssize_t length, Expected expected)
    cdef int read_value(
        self, const char* data, Py_ssize_t size, Py_ssize_t start, const char* line, Py_ssize_t length,
        Expected expected,
    ) except -1
    cdef int read_line(
        self, const char* data, Py_ssize_t size, Py_ssize_t start, const char* line, Py_ssize_t length,
        Expected expected,
    ) except -1
    cdef object read_text(
        self, const char* line, Py_ssize_t length, Py_ssize_t code_length, Expected expected
    )
    cdef int read_quiet(self, Py_ssize_t start, const char* line, Py_ssize_t length, Expected expected) except -1
    cdef int read_stat(self, Py_ssize_t start, const char* line, Py_ssize_t length, Expected expected) except -1
