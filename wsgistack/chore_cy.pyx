"""The compiled twin of `wsgistack.chore`: the same chores, in a quarter of the time.

Ten components of Python are more code than a processor keeps at hand, so each of them takes longer
behind the others than alone.
"""

from hashlib import sha1

from wsgistack import forks
from wsgistack.codings import UNCHANGED, VARY, combined, varies

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t
from wsgistack.blake2b cimport BLAKE2B_MOST, Blake2b, blake2b_add, blake2b_begin, blake2b_end
from wsgistack.environ cimport get
from wsgistack.passage_cy cimport Passage, Step

__all__ = ["Encodings", "Owners", "Shares", "Tags"]

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t, Py_UCS4)
    unsigned char* PyUnicode_1BYTE_DATA(object)
    Py_ssize_t PyUnicode_FindChar(object, Py_UCS4, Py_ssize_t, Py_ssize_t, int) except -2

cdef Py_ssize_t MOST_QUICK = 8192
cdef uint8_t* PERSON = b"wsgistack etag\0\0"    # 16 bytes
cdef tuple OF_COOKIE = ("Vary", "Cookie")


cdef class Tags(Step):
    """Makes ETags of short bodies, and tells who has the current one already; see chore."""

    cdef object _most_bytes, _is_known, _is_file, _voice, _of_content

    def __init__(self, most_bytes, *, is_known, is_file, voice, of_content):
        self._most_bytes, self._is_known, self._is_file = most_bytes, is_known, is_file
        self._voice, self._of_content = voice, of_content

    def enter(self, environ, Passage passage not None, /):
        """Ask for the whole response, where conditions may be about it."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            passage._settler = self

    def settle(self, Passage passage not None, rest, /):
        """Make an ETag of a body that is known to be short; let the head be that of a 304 where that is due."""
        return self.do_settle(passage, rest)

    cdef object do_settle(self, Passage passage, rest):
        if passage.head[:3] != "200":
            return rest
        environ = passage.environ
        if (
            "etag" not in passage.fields and get(environ, "REQUEST_METHOD") == "GET"
            and is_short(self, passage, rest)
        ):
            rest = rest if isinstance(rest, (list, tuple)) else list(rest)
            if not passage._is_held:    # written through meanwhile
                return rest
            self._make(passage, rest)
        if ("HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ) and self._is_known(passage):
            passage.head = "304 Not Modified"
            passage.headers = [
                (name, value) for name, value in passage.headers if name.lower() not in self._of_content
            ]
            return []
        return rest

    cdef int _make(self, Passage passage, rest) except -1:
        tag = tag_of(rest)
        passage.fields["etag"] = tag
        passage.headers.append(("ETag", tag))
        voice = get(passage.environ, "wsgistack.cache")
        if type(voice) is self._voice:
            voice.has_made_tag = True


cdef str tag_of(blocks):
    """Return the ETag of a body; see chore."""
    cdef Blake2b hash
    cdef uint8_t digest[BLAKE2B_MOST]
    cdef unsigned char* text
    cdef Py_ssize_t at
    cdef uint8_t half
    whole = blocks[0] if len(blocks) == 1 else None
    if type(whole) is not bytes:
        whole = b"".join(blocks)
    if len(<bytes>whole) > MOST_QUICK:
        return f'"{sha1(whole, usedforsecurity=False).hexdigest()[:32]}"'
    blake2b_begin(&hash, NULL, 16, PERSON)
    blake2b_add(&hash, <const uint8_t*>PyBytes_AS_STRING(whole), len(<bytes>whole))
    blake2b_end(&hash, digest)
    tag = PyUnicode_New(34, 127)
    text = PyUnicode_1BYTE_DATA(tag)
    text[0] = text[33] = 34    # a quote
    for at in range(32):
        half = digest[at >> 1] >> (0 if at & 1 else 4) & 15
        text[at + 1] = half + (48 if half < 10 else 87)
    return <str>tag


cdef bint is_short(Tags tags, Passage passage, rest) except -1:
    cdef dict fields = passage.fields
    cdef Py_ssize_t size = 0
    if "content-range" in fields or "no-store" in fields.get("cache-control", "").lower():
        return False
    if isinstance(rest, (list, tuple)):
        for block in rest:
            size += len(block)
        return size <= tags._most_bytes
    length = fields.get("content-length", "")
    if not length.isdecimal() or int(length) > tags._most_bytes:
        return False
    return not tags._is_file(passage.environ, rest)


cdef class Encodings(Step):
    """Decides whether a response is compressed; see chore."""

    cdef object _least_bytes, _is_text, _choose, _compress

    def __init__(self, least_bytes, *, is_text, choose, compress):
        self._least_bytes, self._is_text = least_bytes, is_text
        self._choose, self._compress = choose, compress

    def enter(self, environ, Passage passage not None, /):
        """Ask for the head."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        passage._shaper = self

    def shape(self, Passage passage not None, /):
        """Decide, now that the head is known."""
        self.do_shape(passage)

    cdef int do_shape(self, Passage passage) except -1:
        cdef dict fields = passage.fields
        if not self._is_text(fields.get("content-type", "")) or not self._wants(passage):
            return 0
        if "vary" not in fields or not varies(passage.headers):
            passage.headers.append(VARY)
        if get(passage.environ, "REQUEST_METHOD") != "HEAD":
            coding = self._choose(get(passage.environ, "HTTP_ACCEPT_ENCODING"))
            if coding != "identity":
                self._compress(passage, coding)
        return 0

    cdef bint _wants(self, Passage passage) except -1:
        """Tell whether a response of that head, of one of the types, is compressed at all."""
        cdef dict fields = passage.fields
        status = passage.head
        if status[:3] in UNCHANGED or status[:1] in "13":
            return False
        if "content-encoding" in fields or "content-range" in fields:
            return False
        length = fields.get("content-length", "")
        if length.isdecimal() and int(length) < self._least_bytes:
            return False
        return "cache-control" not in fields or "no-transform" not in combined(
            passage.headers, "cache-control"
        )


cdef class Shares(Step):
    """Finds the buckets of visitors, and counts them; see chore.  No lock: nothing else runs meanwhile."""

    cdef readonly dict counts
    cdef object _read, _find, _by, _greet, __weakref__

    def __init__(self, read, find, by, greet):
        self.counts = {}
        self._read, self._find, self._by, self._greet = read, find, by, greet
        forks.register(self)

    def enter(self, environ, Passage passage not None, /):
        """Find the visitor's buckets."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        cdef PyObject* found
        visitor, shown = self._read(get(environ, "HTTP_COOKIE") or "")
        named = get(environ, self._by) if self._by else None
        if named:
            visitor = f"by {named}"
        elif not visitor:
            visitor = self._greet(environ, passage)
        passage.add([OF_COOKIE])
        buckets, label = self._find(visitor)
        environ["wsgistack.buckets"] = dict(buckets)
        environ["wsgistack.bucket"] = buckets[0][1]
        environ["HTTP_COOKIE"] = f"{shown}{label}"
        for pair in <tuple>buckets:
            found = PyDict_GetItemWithError(self.counts, pair)
            self.counts[pair] = 1 if found == NULL else <object>found + 1

    def forked(self):
        """Count anew: what was counted so far are the parent's requests."""
        self.counts = {}


cdef class Owners(Step):
    """Lets requests pass that are somebody's own by a cookie; see chore."""

    cdef dict _kinds
    cdef object _personal, _voice, _told, _otherwise

    def __init__(self, kinds, personal, voice, told, otherwise):
        self._kinds, self._personal, self._voice = kinds, personal, voice
        self._told, self._otherwise = told, otherwise

    def enter(self, environ, Passage passage not None, /):
        """Let a request pass, or look closer."""
        return self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        why = self._owner_of(get(environ, "HTTP_COOKIE") or "")
        if why is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._otherwise(environ, passage)
        environ["wsgistack.cache"] = self._voice()
        passage.mark(("Cache-Status", self._told(why)))

    cdef object _owner_of(self, value):
        """Return why cookies that are written as browsers do are somebody's, None where that is not clear."""
        cdef str cookies = value if type(value) is str else str(value)
        cdef Py_ssize_t at = 0, end, size = len(cookies)
        cdef PyObject* kind
        if PyUnicode_FindChar(cookies, 44, 0, size, 1) >= 0:     # ","
            return None
        while at < size:
            end = PyUnicode_FindChar(cookies, 61, at, size, 1)   # "="
            if end < 0:
                return None
            kind = PyDict_GetItemWithError(self._kinds, cookies[at:end])
            if kind == NULL:
                return None
            if type(<object>kind) is self._personal:
                return (<object>kind).why
            if <object>kind != "ignored":
                return None
            at = PyUnicode_FindChar(cookies, 59, end, size, 1)   # ";"
            if at < 0 or at + 1 >= size or cookies[at + 1] != " ":
                return None
            at += 2
        return None
