# Words, numbers and rows of the replies of memcached, in C: nothing in here raises but for want of memory.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject* type, Py_ssize_t count)

cdef extern from *:
    # Since Python 3.14 a tuple keeps its hash, -1 for none; of memory that is all 0 it would be 0.
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define wsgistack_forget_hash(row) (((PyTupleObject *)(row))->ob_hash = -1)
    #else
    #define wsgistack_forget_hash(row) ((void)(row))
    #endif
    """
    void wsgistack_forget_hash(object row) noexcept

cdef enum:
    NO_NUMBER = 1
    TOO_LARGE = 2
    MOST_DIGITS = 8  # of the size of a value in the usual form


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


cdef inline object new_row(object kind, Py_ssize_t count):
    # A named tuple that is to be filled.
    cdef object row = PyType_GenericAlloc(<PyTypeObject*>kind, count)
    wsgistack_forget_hash(row)
    return row


cdef inline object make_row(object kind, object first, object second, object third):
    # A named tuple of three.
    cdef object row = new_row(kind, 3)
    put(row, 0, first)
    put(row, 1, second)
    put(row, 2, third)
    return row


cdef inline Py_ssize_t scan_bare(
    const char* data, Py_ssize_t size, Py_ssize_t position, list keys, list items
) except -1:
    # Append the values that are there whole, without flags, in the usual form, one for each key; return
    # the position behind them.  All else is for who reads line by line.
    cdef Py_ssize_t index = PyList_GET_SIZE(items)
    cdef Py_ssize_t at, end, key_size, length
    cdef const char* key
    while index < PyList_GET_SIZE(keys):
        key = PyBytes_AS_STRING(<object>PyList_GET_ITEM(keys, index))
        key_size = PyBytes_GET_SIZE(<object>PyList_GET_ITEM(keys, index))
        at = position + 6 + key_size + 3
        if at + MOST_DIGITS + 2 > size or memcmp(data + position, b"VALUE ", 6) != 0:
            break
        if memcmp(data + position + 6, key, key_size) != 0 or memcmp(data + at - 3, b" 0 ", 3) != 0:
            break
        end = at + MOST_DIGITS
        length = 0
        while at < end and 48 <= data[at] <= 57:
            length = length * 10 + data[at] - 48
            at += 1
        if length == 0 or data[at] != 13 or data[at + 1] != 10:
            break
        at += 2
        if at + length + 2 > size or data[at + length] != 13 or data[at + length + 1] != 10:
            break
        items.append(PyBytes_FromStringAndSize(data + at, length))
        index += 1
        position = at + length + 2
    return position
