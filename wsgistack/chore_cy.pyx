"""The compiled twin of `wsgistack.chore`: the same chores, in a quarter of the time.

Ten components of Python are more code than a processor keeps at hand, so each of them takes longer
behind the others than alone.
"""

from hashlib import sha1

from wsgistack import chore, forks
from wsgistack.codings import UNCHANGED, VARY, is_final, varies

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_Copy, PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t
from wsgistack.blake2b cimport BLAKE2B_MOST, Blake2b, blake2b_add, blake2b_begin, blake2b_end
from wsgistack.environ cimport code_of, get, get_text, known, put
from wsgistack.objects cimport popped
from wsgistack.passage_cy cimport Passage, Step

__all__ = ["Encodings", "Names", "Shares", "Tags"]

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t, Py_UCS4)
    unsigned char* PyUnicode_1BYTE_DATA(object)
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)

cdef long long MOST = 2**62
cdef Py_ssize_t MOST_REASONS = 256
cdef Py_ssize_t MOST_QUICK = 8192
cdef uint8_t* PERSON = b"wsgistack etag\0\0"    # 16 bytes
cdef dict _varying = {}, _final = {}
cdef tuple OF_COOKIE = ("Vary", "Cookie")


cdef long long number_of(text) except -2:
    """Return what digits say, MOST for more, -1 where they are none."""
    cdef long long number = 0
    cdef Py_ssize_t at
    cdef Py_UCS4 digit
    if type(text) is str and 0 < len(<str>text) < 19:
        for at in range(len(<str>text)):
            digit = PyUnicode_READ_CHAR(text, at)
            if not 48 <= digit < 58:
                break
            number = number * 10 + <int>digit - 48
        else:
            return number
    return min(int(text), MOST) if text and text.isdecimal() else -1


cdef class Names(Step):
    """Names requests; see chore."""

    cdef object _is_plain, _make
    cdef list _made
    cdef bint _accepts, _responds

    def __init__(self, accepts, responds, *, is_plain, list made, make):
        self._accepts, self._responds = accepts, responds
        self._is_plain, self._made, self._make = is_plain, made, make

    def enter(self, environ, Passage passage not None, /):
        """Name the request."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        given = get(environ, "HTTP_X_REQUEST_ID") if self._accepts else None
        if given is None or not self._is_plain(given):
            given = popped(self._made) if self._made else self._make()
        put(environ, "HTTP_X_REQUEST_ID", given)
        put(environ, "wsgistack.request_id", given)
        if self._responds:
            passage.request_id = given


cdef class Tags(Step):
    """Makes ETags of short bodies, and tells who has the current one already; see chore."""

    cdef long long _most_bytes
    cdef object _is_known, _voice, _of_content

    def __init__(self, most_bytes, *, is_known, voice, of_content):
        self._most_bytes, self._is_known = min(most_bytes, MOST), is_known
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
        if code_of(passage.head) != 200:
            return rest
        environ = passage.environ
        if (
            "etag" not in passage.fields and get_text(environ, "REQUEST_METHOD") == "GET"
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
    cdef long long length, size = 0
    if "content-range" in fields or "cache-control" in fields and "no-store" in fields["cache-control"].lower():
        return False
    if isinstance(rest, (list, tuple)):
        for block in rest:
            size += len(block)
        return size <= tags._most_bytes
    length = number_of(fields.get("content-length", ""))
    if length < 0 or length > tags._most_bytes:
        return False
    wrapper = get(passage.environ, "wsgi.file_wrapper")
    return not (isinstance(wrapper, type) and isinstance(rest, wrapper))


cdef class Encodings(Step):
    """Decides whether a response is compressed; see chore."""

    cdef long long _least_bytes
    cdef object _is_text, _choose, _compress

    def __init__(self, least_bytes, *, is_text, choose, compress):
        self._least_bytes, self._is_text = min(least_bytes, MOST), is_text
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
        if not known(self._is_text, fields.get("content-type", "")) or not self._wants(passage):
            return 0
        if "vary" not in fields or not tells(passage.headers, "vary", varies, _varying):
            passage.headers.append(VARY)
        if get_text(passage.environ, "REQUEST_METHOD") != "HEAD":
            coding = known(self._choose, get_text(passage.environ, "HTTP_ACCEPT_ENCODING"))
            if coding != "identity":
                self._compress(passage, coding)
        return 0

    cdef bint _wants(self, Passage passage) except -1:
        """Tell whether a response of that head, of one of the types, is compressed at all."""
        cdef dict fields = passage.fields
        cdef int code = code_of(passage.head)
        cdef long long length
        if code in (204, 205, 206) or 100 <= code < 200 or 300 <= code < 400:
            return False
        if code < 0 and (passage.head[:3] in UNCHANGED or passage.head[:1] in "13"):
            return False
        if "content-encoding" in fields or "content-range" in fields:
            return False
        length = number_of(fields.get("content-length", ""))
        if 0 <= length < self._least_bytes:
            return False
        return "cache-control" not in fields or not tells(passage.headers, "cache-control", is_final, _final)


cdef bint tells(list headers, str name, judge, dict known) except -1:
    """Return what *judge* says of the fields of that name, *known*: of a lone one by its value."""
    only = None
    for key, value in headers:
        if len(key) == len(name) and key.lower() == name:
            if only is not None:
                return judge(headers)
            only = value
    found = known.get(only)
    if found is None:
        if len(known) >= MOST_REASONS:
            known.clear()
        found = known[only] = judge(headers)
    return found


cdef class Counter:
    """Counts the requests of one bucket."""

    cdef long long count


cdef class Shown:
    """What the cookies of a visitor come to."""

    cdef dict buckets
    cdef tuple counters
    cdef str bucket, cookies


cdef class Memory:
    """What texts come to, kept until as many others came."""

    cdef dict _young, _old
    cdef Py_ssize_t _most

    def __cinit__(self, Py_ssize_t most):
        self._young, self._old, self._most = {}, {}, most

    cdef object get(self, key):
        cdef PyObject* found = PyDict_GetItemWithError(self._young, key)
        if found != NULL:
            return <object>found
        value = self._old.pop(key, None)
        if value is not None:
            self.put(key, value)
        return value

    cdef int put(self, key, value) except -1:
        if len(self._young) >= self._most:
            self._young, self._old = {}, self._young
        self._young[key] = value
        return 0


cdef class Shares(Step):
    """Finds the buckets of visitors, and counts them; see chore.  No lock: nothing else runs meanwhile."""

    cdef object _read, _find, _by, _greet, __weakref__
    cdef dict _counters, _fresh     # of new visitors who show nothing else, by what is told of their buckets
    cdef Memory _memory

    def __init__(self, read, find, by, greet):
        self._read, self._find, self._by, self._greet = read, find, by or None, greet
        self._counters, self._fresh, self._memory = {}, {}, Memory(chore.REMEMBERED // 2)
        forks.register(self)

    @property
    def counts(self):
        """How often each bucket was asked for."""
        return {pair: (<Counter>one).count for pair, one in self._counters.items() if (<Counter>one).count}

    def enter(self, environ, Passage passage not None, /):
        """Find the visitor's buckets."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        cdef Shown shown
        cookies = get(environ, "HTTP_COOKIE") or ""
        named = None if self._by is None else get(environ, self._by)
        visitor = f"by {named}" if named else ""
        key = (visitor, cookies) if visitor else cookies
        shown = self._memory.get(key)
        if shown is None:
            shown = self._look(environ, passage, cookies, visitor, key)
        passage.more(OF_COOKIE)
        put(environ, "wsgistack.buckets", PyDict_Copy(shown.buckets))
        put(environ, "wsgistack.bucket", shown.bucket)
        put(environ, "HTTP_COOKIE", shown.cookies)
        for one in shown.counters:
            (<Counter>one).count += 1

    cdef Shown _look(self, environ, Passage passage, cookies, visitor, key):
        cdef Shown shown
        cdef PyObject* fresh
        found, before = self._read(cookies)
        visitor = visitor or found
        buckets, label = self._find(visitor or self._greet(environ, passage))
        fresh = NULL if visitor or before else PyDict_GetItemWithError(self._fresh, label)
        if fresh != NULL:
            return <Shown>fresh
        shown = Shown.__new__(Shown)
        shown.buckets, shown.bucket, shown.cookies = dict(buckets), buckets[0][1], f"{before}{label}"
        shown.counters = tuple([self._counters.setdefault(pair, Counter.__new__(Counter)) for pair in buckets])
        if visitor and len(cookies) + len(visitor) <= chore.LONGEST_REMEMBERED:
            self._memory.put(key, shown)
        elif not (visitor or before) and len(self._fresh) < MOST_REASONS:
            self._fresh[label] = shown
        return shown

    def forked(self):
        """Count anew: what was counted so far are the parent's requests."""
        for one in self._counters.values():
            (<Counter>one).count = 0
