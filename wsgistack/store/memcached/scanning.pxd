# Words, numbers and rows of the replies of memcached, in C: nothing in here raises but for want of memory.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject* type, Py_ssize_t count)

cdef enum:
    NO_NUMBER = 1
    TOO_LARGE = 2


cdef inline bint is_word(const char* word, Py_ssize_t size, const char* wanted, Py_ssize_t wanted_size) noexcept:
    return size == wanted_size and memcmp(word, wanted, size) == 0


cdef inline Py_ssize_t word_end(const char* line, Py_ssize_t at, Py_ssize_t length) noexcept:
    # Where the word that begins at `at` ends; `at` may lie behind the line.
    cdef Py_ssize_t end = at
    while end < length and line[end] != 32:
        end += 1
    return end


cdef inline int split(const char* line, Py_ssize_t length, const char** words, Py_ssize_t* sizes, int most) noexcept:
    # The words between single spaces; their number, or most + 1 if there are more.
    cdef int count = 0
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t end
    while True:
        if count == most:
            return most + 1
        end = word_end(line, at, length)
        words[count] = line + at
        sizes[count] = end - at
        count += 1
        if end >= length:
            return count
        at = end + 1


cdef inline int parse_number(const char* text, Py_ssize_t size, uint64_t most, uint64_t* value) noexcept:
    # The number that the text is, of 1 to 20 digits and at most `most`; 0, or what is wrong with it.
    cdef Py_ssize_t i
    cdef uint64_t digit
    cdef bint is_large = False
    if not 0 < size <= 20:
        return NO_NUMBER
    value[0] = 0
    for i in range(size):
        if not 48 <= text[i] <= 57:
            return NO_NUMBER
        digit = <uint64_t>(text[i] - 48)
        if value[0] > (0xFFFFFFFFFFFFFFFFU - digit) // 10:
            is_large = True
        value[0] = value[0] * 10 + digit
    return TOO_LARGE if is_large or value[0] > most else 0


cdef inline void put(object row, Py_ssize_t index, object value) noexcept:
    # Into a named tuple that is being made: a third of the time that its class takes.
    Py_INCREF(value)
    PyTuple_SET_ITEM(row, index, value)


cdef inline object make_row(object kind, object first, object second, object third):
    # A named tuple of three.
    cdef object row = PyType_GenericAlloc(<PyTypeObject*>kind, 3)
    put(row, 0, first)
    put(row, 1, second)
    put(row, 2, third)
    return row
