"""The compiled twin of `wsgistack.store.memcached.replies`: the same answers and the same faults.

tests/house/test_twins.py runs one suite over both; what the classes promise is said there.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp

from wsgistack.store.memcached.scanning cimport NO_NUMBER, TOO_LARGE, is_word
from wsgistack.store.memcached.scanning cimport make_row, new_row, parse_number, put, scan_bare, split, word_end

from wsgistack.store.memcached.replies import LARGEST_VALUE as _LARGEST_VALUE
from wsgistack.store.memcached.replies import LONGEST_LINE as _LONGEST_LINE
from wsgistack.store.memcached.replies import Item, Reply

__all__ = ["Replies"]

cdef enum:
    VALUES = 1
    LINES = 2
    STATS = 3
    QUIET = 4
    BARE = 5

cdef Py_ssize_t LONGEST_LINE = _LONGEST_LINE
cdef uint64_t LARGEST_VALUE = _LARGEST_VALUE
cdef uint64_t LARGEST_FLAGS = 0xFFFFFFFFU
cdef uint64_t LARGEST_CAS = 0xFFFFFFFFFFFFFFFFU
cdef tuple META_CODES = (b"HD", b"EN", b"NS", b"EX", b"NF", b"VA")
cdef dict PLAIN = {code: Reply(code) for code in META_CODES}
cdef bytes NO_MARKS = b""
cdef object DONE = PLAIN[b"HD"]
cdef tuple TEXT_CODES = (b"MN", b"OK", b"VERSION", b"RESET")
cdef tuple STATISTICS = (b"STAT ", b"ITEM ", b"PREFIX ")
cdef tuple ERROR_CODES = (b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")


class _Fault(Exception):
    """The bytes are not an answer to what was asked."""


cdef class Expected:
    def __cinit__(self, int kind, list keys, Py_ssize_t count, uint64_t opaque, bint is_fatal):
        self.kind = kind
        self.keys = keys
        self.count = count
        self.opaque = opaque
        self.is_fatal = is_fatal
        self.done = 0
        if kind == STATS:
            self.stats = {}
        else:
            self.items = []


cdef class Replies:
    """The reader of one connection."""

    def __init__(self) -> None:
        self.fault = None
        self._expected = deque()
        self._parts = []
        self._size = 0
        self._needed = 1

    def __len__(self) -> int:
        return len(self._expected)

    def expect_values(self, list keys) -> None:
        self._expected.append(Expected(VALUES, keys, len(keys), 0, True))

    def expect_bare(self, list keys) -> None:
        self.add_bare(keys)

    cdef int add_bare(self, list keys) except -1:
        self._expected.append(Expected(BARE, keys, PyList_GET_SIZE(keys), 0, True))
        return 0

    def expect_lines(self, Py_ssize_t count, uint64_t opaque, bint is_fatal) -> None:
        self.add_lines(count, opaque, is_fatal)

    cdef int add_lines(self, Py_ssize_t count, uint64_t opaque, bint is_fatal) except -1:
        self._expected.append(Expected(LINES, None, count, opaque, is_fatal))
        return 0

    def expect_quiet(self, Py_ssize_t count, uint64_t opaque) -> None:
        self._expected.append(Expected(QUIET, None, count, opaque, True))

    def expect_stats(self) -> None:
        self._expected.append(Expected(STATS, None, 0, 0, False))

    def receive(self, bytes data) -> list:
        return self.scan(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef list scan(self, const char* data, Py_ssize_t size):
        # The answers that `size` more bytes complete.
        if self.fault is not None:
            return []
        cdef bytes joined
        self._size += size
        if self._parts or self._size < self._needed:
            self._parts.append(PyBytes_FromStringAndSize(data, size))
            if self._size < self._needed:
                return []
            joined = b"".join(self._parts)
            data = PyBytes_AS_STRING(joined)
            size = PyBytes_GET_SIZE(joined)
            self._parts = []
        self._answers = []
        self._needed = 0
        self._position = 0
        try:
            while self._position < size and self._needed == 0:
                self.step(data, size)
        except _Fault as fault:
            self.fault = str(fault)
        self._size = size - self._position
        if self._size:
            self._parts.append(PyBytes_FromStringAndSize(data + self._position, self._size))
        if self._needed == 0:
            self._needed = 1
        answers = self._answers
        self._answers = None
        return answers

    cdef int step(self, const char* data, Py_ssize_t size) except -1:
        # Read one line, and its value; _position moves behind, or _needed says what is missing.
        cdef Expected expected
        if self._expected:
            expected = self._expected[0]
            if expected.kind == BARE:
                self._position = scan_bare(data, size, self._position, expected.keys, expected.items)
                if self._position == size:
                    return 0
        cdef Py_ssize_t position = self._position
        cdef Py_ssize_t room = size - position
        cdef Py_ssize_t within = room if room < LONGEST_LINE else LONGEST_LINE
        cdef const char* found = <const char*>memchr(data + position, 10, within)
        if found == NULL:
            if room >= LONGEST_LINE:
                raise _Fault("a line without an end")
            self._needed = room + 1
            return 0
        cdef Py_ssize_t end = found - data
        if not self._expected:
            raise _Fault(f"an answer that nobody asked for: {data[position : end + 1][:40]!r}")
        if end == position or data[end - 1] != 13:
            raise _Fault("a line that ends without CR")
        expected = self._expected[0]
        cdef const char* line = data + position
        cdef Py_ssize_t length = end - 1 - position
        if expected.kind == LINES:
            return self.read_line(data, size, end + 1, line, length, expected)
        if expected.kind == VALUES or expected.kind == BARE:
            return self.read_value(data, size, end + 1, line, length, expected)
        if expected.kind == QUIET:
            return self.read_quiet(end + 1, line, length, expected)
        return self.read_stat(end + 1, line, length, expected)

    cdef int finish(self, object answer) except -1:
        self._expected.popleft()
        self._answers.append(answer)
        return 0

    cdef object body(self, const char* data, Py_ssize_t size, Py_ssize_t start, Py_ssize_t length):
        # The value of `length` that begins at `start`, or None if it is not all there.
        if size < start + length + 2:
            self._needed = start + length + 2 - self._position
            return None
        if data[start + length] != 13 or data[start + length + 1] != 10:
            raise _Fault("a value that is longer than said")
        return PyBytes_FromStringAndSize(data + start, length)

    cdef object read_error(self, const char* line, Py_ssize_t length, Expected expected):
        code, _, words = PyBytes_FromStringAndSize(line, length).partition(b" ")
        if code not in ERROR_CODES:
            return None
        if expected.is_fatal and code != b"SERVER_ERROR":
            raise _Fault(f"the server did not understand: {line[:length][:80]!r}")
        return Reply(code, words)

    cdef int read_value(
        self, const char* data, Py_ssize_t size, Py_ssize_t start, const char* line, Py_ssize_t length,
        Expected expected,
    ) except -1:
        cdef list items = expected.items
        cdef Py_ssize_t count = expected.count
        if length == 3 and memcmp(line, b"END", 3) == 0:
            while len(items) < count:
                items.append(None)
            self.finish(items)
            self._position = start
            return 0
        cdef const char* words[5]
        cdef Py_ssize_t sizes[5]
        cdef int number_of_words = split(line, length, words, sizes, 5)
        if not (4 <= number_of_words <= 5 and is_word(words[0], sizes[0], b"VALUE", 5)):
            error = self.read_error(line, length, expected)
            if error is None:
                raise _Fault(f"not an answer to get: {line[:length][:40]!r}")
            self.finish(error)
            self._position = start
            return 0
        cdef uint64_t flags = number(words[2], sizes[2], LARGEST_FLAGS)
        cdef uint64_t value_length = number(words[3], sizes[3], LARGEST_VALUE)
        cdef uint64_t cas = 0
        if number_of_words == 5:
            cas = number(words[4], sizes[4], LARGEST_CAS)
        value = self.body(data, size, start, <Py_ssize_t>value_length)
        if value is None:
            return 0
        cdef Py_ssize_t index = len(items)
        cdef bytes key
        while index < count:
            key = expected.keys[index]
            if PyBytes_GET_SIZE(key) == sizes[1] and memcmp(PyBytes_AS_STRING(key), words[1], sizes[1]) == 0:
                break
            items.append(None)
            index += 1
        if index == count:
            raise _Fault(f"a value of a key that was not asked for: {words[1][:sizes[1]][:40]!r}")
        if expected.kind == BARE and flags == 0 and cas == 0 and value_length:
            items.append(value)
        else:
            items.append(make_row(Item, value, flags, cas))
        self._position = start + <Py_ssize_t>value_length + 2
        return 0

    cdef int read_line(
        self, const char* data, Py_ssize_t size, Py_ssize_t start, const char* line, Py_ssize_t length,
        Expected expected,
    ) except -1:
        cdef const char* space = <const char*>memchr(line, 32, length)
        cdef Py_ssize_t code_length = length if space == NULL else space - line
        cdef bytes code = find_meta(line, code_length)
        cdef Py_ssize_t at = code_length + 1
        cdef Py_ssize_t end
        cdef uint64_t value_length, opaque
        value = None
        if code is not None:
            if line[0] == b"V":
                end = word_end(line, at, length)
                value_length = number(line + at, end - at, LARGEST_VALUE)
                value = self.body(data, size, start, <Py_ssize_t>value_length)
                if value is None:
                    return 0
                start += <Py_ssize_t>value_length + 2
                at = end + 1
            opaque = expected.opaque + <uint64_t>expected.done if expected.opaque else 0
            reply = read_tokens(code, value, line, at, length, opaque)
        else:
            reply = self.read_text(line, length, code_length, expected)
        expected.items.append(reply)
        expected.done += 1
        if expected.done == expected.count:
            self.finish(expected.items)
        self._position = start
        return 0

    cdef object read_text(
        self, const char* line, Py_ssize_t length, Py_ssize_t code_length, Expected expected
    ):
        cdef bytes code = line[:code_length]
        if code in TEXT_CODES:
            if expected.opaque:
                raise _Fault(f"{code!r} where a numbered line was expected")
            return Reply(code, line[code_length + 1 : length] if code_length < length else b"")
        error = self.read_error(line, length, expected)
        if error is None:
            raise _Fault(f"not an answer: {line[:length][:40]!r}")
        return error

    cdef int read_quiet(self, Py_ssize_t start, const char* line, Py_ssize_t length, Expected expected) except -1:
        cdef list items = expected.items
        cdef Py_ssize_t done = PyList_GET_SIZE(items)
        cdef bytes code
        cdef uint64_t met
        self._position = start
        if length == 2 and memcmp(line, b"MN", 2) == 0:
            items.extend([DONE] * (expected.count - done))
            self.finish(items if expected.refusal is None else expected.refusal)
            return 0
        cdef Py_ssize_t code_length = word_end(line, 0, length)
        code = find_meta(line, code_length)
        if code is None or line[0] == b"V":
            expected.refusal = self.read_error(line, length, expected)
            if expected.refusal is None:
                raise _Fault(f"not an answer to quiet requests: {line[:length][:40]!r}")
            return 0
        met = find_opaque(line, code_length + 1, length)
        if not expected.opaque + <uint64_t>done <= met < expected.opaque + <uint64_t>expected.count:
            raise _Fault(f"an answer to another request: {met}")
        items.extend([DONE] * (<Py_ssize_t>(met - expected.opaque) - done))
        items.append(PLAIN[code])
        return 0

    cdef int read_stat(self, Py_ssize_t start, const char* line, Py_ssize_t length, Expected expected) except -1:
        cdef bytes text = line[:length]
        if text.startswith(STATISTICS):
            name, _, value = text.partition(b" ")[2].partition(b" ")
            expected.stats[name] = value
        elif text in (b"END", b"RESET", b"OK"):
            self.finish(expected.stats)
        else:
            error = self.read_error(line, length, expected)
            if error is None:
                raise _Fault(f"not an answer to stats: {text[:40]!r}")
            self.finish(error)
        self._position = start
        return 0


cdef uint64_t find_opaque(const char* line, Py_ssize_t at, Py_ssize_t length) except? 0xFFFFFFFFFFFFFFFFU:
    # The last number among the words from `at` on, 0 if there is none.
    cdef uint64_t met = 0
    cdef Py_ssize_t end
    while at <= length:
        end = word_end(line, at, length)
        if end > at and line[at] == b"O":
            met = number(line + at + 1, end - at - 1, LARGEST_CAS)
        at = end + 1
    return met


cdef inline bytes find_meta(const char* line, Py_ssize_t length):
    if length != 2:
        return None
    for code in META_CODES:
        if memcmp(line, PyBytes_AS_STRING(code), 2) == 0:
            return code
    return None


cdef uint64_t number(const char* text, Py_ssize_t size, uint64_t most) except? 0xFFFFFFFFFFFFFFFFU:
    # The number that the text is, of 1 to 20 digits and at most `most`.
    cdef uint64_t value = 0
    cdef int fault = parse_number(text, size, most, &value)
    if fault == NO_NUMBER:
        raise _Fault(f"not a number: {text[:size if size > 0 else 0][:40]!r}")
    if fault == TOO_LARGE:
        raise _Fault(f"a number that is too large: {int(text[:size])}")
    return value


cdef object read_tokens(
    bytes code, object value, const char* line, Py_ssize_t at, Py_ssize_t length, uint64_t opaque
):
    cdef uint64_t flags = 0
    cdef uint64_t cas = 0
    cdef uint64_t met = 0
    cdef long long ttl = -2
    cdef int won = 0
    cdef int stale = 0
    cdef int taken = 0
    cdef Py_ssize_t end
    cdef Py_ssize_t size
    cdef char letter
    while at <= length:
        end = word_end(line, at, length)
        size = end - at
        letter = line[at] if size > 0 else 0
        if letter == b"O":
            met = number(line + at + 1, size - 1, LARGEST_CAS)
        elif letter == b"f":
            flags = number(line + at + 1, size - 1, LARGEST_FLAGS)
        elif letter == b"c":
            cas = number(line + at + 1, size - 1, LARGEST_CAS)
        elif letter == b"t":
            if is_word(line + at + 1, size - 1, b"-1", 2):
                ttl = -1
            else:
                ttl = <long long>number(line + at + 1, size - 1, LARGEST_FLAGS)
        elif size == 1:
            if letter == b"W":
                won = 1
            elif letter == b"X":
                stale = 1
            elif letter == b"Z":
                taken = 1
        at = end + 1
    if met != opaque:
        raise _Fault(f"an answer to another request: {met} instead of {opaque}")
    if value is None and flags == 0 and cas == 0 and ttl == -2 and not (won or stale or taken):
        return PLAIN[code]
    cdef bytes marks = NO_MARKS
    if won or stale or taken:
        marks = (b"W" if won else b"") + (b"X" if stale else b"") + (b"Z" if taken else b"")
    cdef object reply = new_row(Reply, 6)
    put(reply, 0, code)
    put(reply, 1, value)
    put(reply, 2, flags)
    put(reply, 3, cas)
    put(reply, 4, ttl)
    put(reply, 5, marks)
    return reply
