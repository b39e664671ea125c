"""The compiled twin of `wsgistack.line`: the same lines, written without an object for each part of them."""

import os
import time
from datetime import UTC, datetime

from wsgistack.line import json_line as any_json_line

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.math cimport floor
from libc.string cimport memcpy, strlen
from posix.time cimport CLOCK_REALTIME
from wsgistack.environ cimport get, seconds_of
from wsgistack.passage_cy cimport Passage, Step

__all__ = ["Lines", "json_line"]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    const unsigned char* PyUnicode_1BYTE_DATA(object)
    ctypedef struct PyInterpreterState
    ctypedef struct PyThreadState
    PyInterpreterState* PyInterpreterState_Head()
    PyInterpreterState* PyInterpreterState_Next(PyInterpreterState*)
    PyThreadState* PyInterpreterState_ThreadHead(PyInterpreterState*)
    PyThreadState* PyThreadState_Next(PyThreadState*)

cdef extern from "<unistd.h>" nogil:
    Py_ssize_t write(int, const void*, size_t)

cdef enum:
    LONGEST = 1500              # see line
    MOST_OF_A_LINE = 2000       # what is longer is written by `any_json_line`

cdef long long _second = -1     # of which _second_text is
cdef char _second_text[19]


cdef struct Pen:
    char* at
    char* end


cdef bint put_word(Pen* pen, const char* word) noexcept:
    cdef Py_ssize_t size = strlen(word)
    if pen.end - pen.at < size:
        return False
    memcpy(pen.at, word, size)
    pen.at += size
    return True


cdef bint put_text(Pen* pen, object text) noexcept:
    """Write a text that needs no escape and is not cut; return whether it was one."""
    cdef const unsigned char* data
    cdef Py_ssize_t at, size
    if type(text) is not str or not PyUnicode_IS_COMPACT_ASCII(text):
        return False
    size = len(<str>text)
    if size > LONGEST or pen.end - pen.at < size:
        return False
    data = PyUnicode_1BYTE_DATA(text)
    for at in range(size):
        if not 32 <= data[at] < 127 or data[at] == 34 or data[at] == 92:
            return False
        pen.at[at] = data[at]
    pen.at += size
    return True


cdef bint put_number(Pen* pen, long long number) noexcept:
    cdef char digits[20]
    cdef int at = 20
    if number < 0 or pen.end - pen.at < 20:
        return False
    while True:
        at -= 1
        digits[at] = 48 + number % 10
        number //= 10
        if number == 0:
            break
    memcpy(pen.at, &digits[at], 20 - at)
    pen.at += 20 - at
    return True


cdef int put_variable(Pen* pen, environ, name, const char* before) except -1:
    """Write what an environ says of *name*, after *before*; nothing where it is not there."""
    value = get(environ, name)
    return not value or put_word(pen, before) and put_text(pen, value) and put_word(pen, b'"')


cdef int put_known(Pen* pen, environ, name, const char* before) except -1:
    """Write the same, which every line has."""
    value = get(environ, name)
    return put_word(pen, before) and (not value or put_text(pen, value)) and put_word(pen, b'"')


cdef int put_target(Pen* pen, environ) except -1:
    cdef char* began = pen.at
    value = get(environ, "RAW_URI") or get(environ, "REQUEST_URI")
    if value:
        return put_text(pen, value)
    value = get(environ, "SCRIPT_NAME")
    if value and not put_text(pen, value):
        return False
    value = get(environ, "PATH_INFO")
    if value and not put_text(pen, value):
        return False
    value = get(environ, "QUERY_STRING")
    if value and not (put_word(pen, b"?") and put_text(pen, value)):
        return False
    return pen.at - began <= LONGEST


cdef int put_time(Pen* pen, double at) except -1:
    global _second
    cdef long long second = <long long>floor(at)
    cdef int thousandths
    if second != _second:
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        if len(text) != 19:
            return False
        memcpy(_second_text, <const char*>text, 19)     # no Python from here on: it is this second's
        _second = second
    if pen.end - pen.at < 40:
        return False
    thousandths = <int>((at - second) * 1000)
    memcpy(pen.at, _second_text, 19)
    pen.at[19] = 46
    pen.at[20] = 48 + thousandths // 100
    pen.at[21] = 48 + thousandths // 10 % 10
    pen.at[22] = 48 + thousandths % 10
    pen.at += 23
    return put_word(pen, b"+00:00")


cdef Py_ssize_t write_line(char* line, Passage end) except -1:
    """Write a line without its end into *line*, of MOST_OF_A_LINE bytes; return its length, 0 if it needs
    escapes, is cut or too long.
    """
    cdef Pen pen
    environ = end.environ
    pen.at, pen.end = line, line + MOST_OF_A_LINE
    client = get(environ, "REMOTE_ADDR") or "unknown"
    if (
        put_word(&pen, b'{"time":"') and put_time(&pen, end.started_at)
        and put_word(&pen, b'","client":"') and put_text(&pen, client)
        and put_known(&pen, environ, "REQUEST_METHOD", b'","method":"')
        and put_word(&pen, b',"target":"') and put_target(&pen, environ)
        and put_known(&pen, environ, "SERVER_PROTOCOL", b'","version":"')
        and put_word(&pen, b',"status":') and put_text(&pen, end.status)
        and put_word(&pen, b',"bytes":') and put_number(&pen, end.sent)
        and put_known(&pen, environ, "HTTP_REFERER", b',"referer":"')
        and put_known(&pen, environ, "HTTP_USER_AGENT", b',"user_agent":"')
        and put_variable(&pen, environ, "REMOTE_USER", b',"user":"')
        and put_variable(&pen, environ, "wsgistack.request_id", b',"request_id":"')
        and put_variable(&pen, environ, "HTTP_TRACEPARENT", b',"traceparent":"')
        and put_variable(&pen, environ, "wsgistack.bucket", b',"bucket":"')
        and (
            not end.cache_status
            or put_word(&pen, b',"cache":"') and put_text(&pen, end.cache_status) and put_word(&pen, b'"')
        )
        and put_word(&pen, b',"total_us":') and put_number(&pen, end.took_us) and put_word(&pen, b"}")
    ):
        return pen.at - line
    return 0


def json_line(Passage end not None):
    """Return a line of the access log for a response that is over; see line."""
    cdef char line[MOST_OF_A_LINE]
    cdef Py_ssize_t size = write_line(line, end)
    return line[:size].decode("ascii") if size else any_json_line(end)


cdef class Lines(Step):
    """Appends a line for each response to a file; see line.

    A line of JSON goes from this function's own memory to the file, with no object made of it.
    """

    cdef readonly int fd
    cdef object _file, _line_of, _now
    cdef bint _is_json, _has_failed
    cdef long long _look_at_ns

    def __init__(self, file, line_of, now):
        self._file, self._line_of = file, line_of
        self._now = None if now is time.time else now
        self._is_json = line_of is json_line
        self.fd = -1

    def enter(self, environ, Passage passage not None, /):
        """Note when a request came."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        if self._now is None:
            passage.started_at = seconds_of(CLOCK_REALTIME)
        else:
            passage.started_at = self._now()

    def at_end(self, Passage passage not None, /):
        """Write a line."""
        self.do_end(passage)

    cdef int do_end(self, Passage passage) except -1:
        cdef char line[MOST_OF_A_LINE + 1]
        cdef long long now_ns = passage.began_ns + passage.took_us * 1000
        cdef Py_ssize_t size = write_line(line, passage) if self._is_json else 0
        cdef bytes other
        try:
            if now_ns >= self._look_at_ns:
                self.fd = self._file.look()
                self._look_at_ns = now_ns + 1_000_000_000
            if size:
                line[size] = 10
                append(self.fd, line, size + 1)
            else:
                other = f"{self._line_of(passage)}\n".encode("latin-1", "replace")
                append(self.fd, other, len(other))
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                self._file.failed(error)
            self._has_failed = True
        return 0


cdef int append(int fd, const char* line, Py_ssize_t size) except -1:
    """Write *line* at once, as os.write does: a file may let others wait, who go on meanwhile, if there are any."""
    cdef Py_ssize_t done
    cdef int code = 0
    while True:
        if is_alone():
            done = write(fd, line, size)
            code = errno
        else:
            with nogil:
                done = write(fd, line, size)
                code = errno
        if done >= 0:
            return 0
        if code != EINTR:
            raise OSError(code, os.strerror(code))
        PyErr_CheckSignals()


cdef bint is_alone() noexcept:
    """Tell whether no other thread of Python could go on: to let go of its lock takes 1.5 us behind an application."""
    cdef PyInterpreterState* only = PyInterpreterState_Head()
    return PyInterpreterState_Next(only) == NULL and PyThreadState_Next(PyInterpreterState_ThreadHead(only)) == NULL
