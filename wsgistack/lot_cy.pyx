"""The compiled twin of `wsgistack.lot`: the same tokens, marks and buckets, for a third of the work.

What is hashed is keyed, so that the block of the key is hashed once for all; a visitor's buckets are found among
those that were told before, as there are few.
"""

from wsgistack import forks
from wsgistack.lot import as_bytes, draw, label_of
from wsgistack.splits import MARK_CHARACTERS, TOKEN_BYTES, mark_of

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy
from wsgistack.blake2b cimport BLAKE2B_KEY, BLAKE2B_MOST, Blake2b, blake2b_add, blake2b_begin, blake2b_end
from wsgistack.environ cimport get
from wsgistack.objects cimport popped
from wsgistack.passage_cy cimport Passage

__all__ = ["Lots"]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    object PyUnicode_New(Py_ssize_t, Py_UCS4)
    unsigned char* PyUnicode_1BYTE_DATA(object)

cdef enum:
    MARK = 24               # splits.MARK_CHARACTERS
    MOST_FOUND = 4096       # combinations of buckets: few, unless somebody has very many splits

assert MARK_CHARACTERS == MARK
cdef bytes PERSON = b"visitor".ljust(16, b"\0")


cdef class Lot:
    """One split, whose hash is begun."""

    cdef Blake2b begun
    cdef tuple ends, pairs      # of its buckets; those that they are told by, and that of nobody's


cdef class Lots:
    """Draws visitors and finds their buckets; see lot."""

    cdef Blake2b _begun         # of the mark
    cdef list _lots, _drawn
    cdef dict _found            # what buckets come to, by their numbers
    cdef str _cookie, _prefix, _rest, _secure
    cdef bytes _key
    cdef object __weakref__

    def __init__(self, bytes key, splits, str cookie, str rest):
        cdef Lot lot
        cdef bytes person
        if len(key) != BLAKE2B_KEY:
            raise ValueError(f"key: {len(key)} bytes, not {BLAKE2B_KEY}")
        self._prefix = f"{cookie}="
        if not (self._prefix.isascii() and rest.isascii()):
            raise ValueError(f"{cookie!r}, {rest!r}: not ASCII")
        self._key, self._cookie, self._rest, self._secure = key, cookie, rest, f"{rest}; Secure"
        self._lots, self._drawn, self._found = [], [], {}
        blake2b_begin(&self._begun, <const uint8_t*>key, BLAKE2B_MOST, <const uint8_t*>PERSON)
        for split in splits:
            lot = Lot.__new__(Lot)
            person = split.person
            lot.ends = tuple([end for _, end in split.buckets])
            lot.pairs = tuple([(split.name, name) for name, _ in split.buckets] + [(split.name, "")])
            blake2b_begin(&lot.begun, <const uint8_t*>key, 4, <const uint8_t*>person)
            self._lots.append(lot)
        forks.register(self)

    def greet(self, environ, Passage passage not None, /):
        """Return a new visitor, who is told by a cookie."""
        visitor = popped(self._drawn) if self._drawn else draw(self._drawn)
        cdef str rest = self._secure if get(environ, "wsgi.url_scheme") == "https" else self._rest
        cdef Py_ssize_t named = len(self._prefix), drawn = len(<str>visitor), left = len(rest)
        cdef unsigned char* text
        value = PyUnicode_New(named + drawn + 1 + MARK + left, 127)
        text = PyUnicode_1BYTE_DATA(value)
        memcpy(text, PyUnicode_1BYTE_DATA(self._prefix), named)
        text += named
        memcpy(text, PyUnicode_1BYTE_DATA(visitor), drawn)
        put_mark(self, text, drawn, text + drawn + 1)
        text[drawn] = 46        # "."
        memcpy(text + drawn + 1 + MARK, PyUnicode_1BYTE_DATA(rest), left)
        passage.more(("Set-Cookie", value))
        return visitor

    def mark_of(self, str visitor not None, /):
        """Return what the cookie says beside the visitor's token."""
        if not visitor or not PyUnicode_IS_COMPACT_ASCII(visitor):
            return mark_of(self._key, visitor)
        mark = PyUnicode_New(MARK, 127)
        put_mark(self, PyUnicode_1BYTE_DATA(visitor), len(visitor), PyUnicode_1BYTE_DATA(mark))
        return mark

    def find(self, str visitor not None, /):
        """Return the visitor's bucket of each split, and the cookie that tells them."""
        cdef Lot lot
        cdef bytes named = None
        cdef const uint8_t* data
        cdef Py_ssize_t size, at
        cdef PyObject* found
        cdef list places = []
        if PyUnicode_IS_COMPACT_ASCII(visitor):
            data, size = PyUnicode_1BYTE_DATA(visitor), len(visitor)
        else:
            named = as_bytes(visitor)
            data, size = <const uint8_t*>PyBytes_AS_STRING(named), len(named)
        if not size:
            raise ValueError("a visitor without a name")
        for lot in self._lots:
            at = place_of(lot, data, size)
            places.append(at)
        key = places[0] if len(places) == 1 else tuple(places)
        found = PyDict_GetItemWithError(self._found, key)
        if found != NULL:
            return <object>found
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        buckets = tuple([(<Lot>one).pairs[place] for one, place in zip(self._lots, places)])
        told = self._found[key] = buckets, f"{self._cookie}={label_of([bucket for _, bucket in buckets])}"
        return told

    def forked(self):
        """Forget what was drawn in advance: the parent gives it too."""
        self._drawn.clear()


cdef int put_mark(Lots lots, const uint8_t* visitor, Py_ssize_t size, unsigned char* mark) except -1:
    cdef Blake2b hash
    cdef uint8_t digest[BLAKE2B_MOST]
    cdef uint8_t half
    cdef int at
    memcpy(&hash, &lots._begun, sizeof(Blake2b))
    blake2b_add(&hash, visitor, size)
    blake2b_end(&hash, digest)
    for at in range(MARK):
        half = digest[at >> 1] >> (0 if at & 1 else 4) & 15
        mark[at] = half + (48 if half < 10 else 87)
    return 0


cdef Py_ssize_t place_of(Lot lot, const uint8_t* visitor, Py_ssize_t size) except -1:
    """Return the number of the first bucket that ends beyond where the visitor stands, else that of nobody's."""
    cdef Blake2b hash
    cdef uint8_t digest[BLAKE2B_MOST]
    cdef uint64_t stands
    cdef Py_ssize_t at, count = len(lot.ends)
    memcpy(&hash, &lot.begun, sizeof(Blake2b))
    blake2b_add(&hash, visitor, size)
    blake2b_end(&hash, digest)
    stands = <uint64_t>digest[0] << 24 | <uint64_t>digest[1] << 16 | <uint64_t>digest[2] << 8 | digest[3]
    for at in range(count):
        if stands < <uint64_t>lot.ends[at]:
            return at
    return count
