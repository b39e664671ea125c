"""The compiled twin of `wsgistack.chore`: the same chores, in a quarter of the time.

Ten components of Python are more code than a processor keeps at hand, so each of them takes longer
behind the others than alone.
"""

from datetime import UTC, datetime
from hashlib import sha1
from json.encoder import encode_basestring_ascii

from wsgistack import forks
from wsgistack.codings import UNCHANGED, VARY, combined, varies

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.math cimport floor
from wsgistack.passage_cy cimport Passage

__all__ = [
    "Belief", "Bills", "Door", "Encodings", "Owners", "Quotas", "Shares", "Tags", "json_line",
]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    const unsigned char* PyUnicode_1BYTE_DATA(object)
    Py_ssize_t PyUnicode_FindChar(object, Py_UCS4, Py_ssize_t, Py_ssize_t, int) except -2

cdef Py_ssize_t LONGEST = 1500
cdef tuple MILLISECONDS = tuple([f".{number:03}+00:00" for number in range(1000)])
cdef tuple OF_COOKIE = ("Vary", "Cookie")
cdef long long _second = -1    # of which _second_text is
cdef str _second_text = ""


cdef inline object get(environ, name):
    cdef PyObject* found
    if type(environ) is not dict:
        return environ.get(name)
    found = PyDict_GetItemWithError(environ, name)
    return None if found == NULL else <object>found


cdef object inner(value):
    """Return a text as JSON has it, without its quotes; most need no escape."""
    cdef const unsigned char* data
    cdef Py_ssize_t at
    if type(value) is str and PyUnicode_IS_COMPACT_ASCII(value):
        data = PyUnicode_1BYTE_DATA(value)
        for at in range(len(<str>value)):
            if not 32 <= data[at] < 127 or data[at] == 34 or data[at] == 92:
                break
        else:
            return value
    quoted = encode_basestring_ascii(value)
    return quoted[1 : len(quoted) - 1]


cdef inline object cut(value):
    return value if len(value) <= LONGEST else value[:LONGEST]


cdef object time_of(double at):
    global _second, _second_text
    cdef long long second = <long long>floor(at)
    if second != _second:
        _second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = second
    return _second_text + <str>MILLISECONDS[<Py_ssize_t>((at - second) * 1000)]


cdef object target_of(environ):
    raw = get(environ, "RAW_URI") or get(environ, "REQUEST_URI") or ""
    if not raw:
        query = get(environ, "QUERY_STRING")
        raw = (get(environ, "SCRIPT_NAME") or "") + (get(environ, "PATH_INFO") or "")
        if query:
            raw = f"{raw}?{query}"
    return raw if len(raw) <= LONGEST else raw[:LONGEST] + "..."


cdef inline object optional(environ, name, before):
    """Return what a line says of a variable, "" where it is not there."""
    value = get(environ, name)
    if not value:
        return ""
    return f'{before}{inner(cut(value if type(value) is str else str(value)))}"'


def json_line(Passage end not None):
    """Return a line of the access log for a response that is over; see chore."""
    environ = end.environ
    client = inner(get(environ, "REMOTE_ADDR") or "unknown")
    method = inner(get(environ, "REQUEST_METHOD") or "")
    target = inner(target_of(environ))
    version = inner(get(environ, "SERVER_PROTOCOL") or "")
    referer = inner(cut(get(environ, "HTTP_REFERER") or ""))
    agent = inner(cut(get(environ, "HTTP_USER_AGENT") or ""))
    user = optional(environ, "REMOTE_USER", ',"user":"')
    request_id = optional(environ, "wsgistack.request_id", ',"request_id":"')
    trace = optional(environ, "HTTP_TRACEPARENT", ',"traceparent":"')
    bucket = optional(environ, "wsgistack.bucket", ',"bucket":"')
    cached = f',"cache":"{inner(end.cache_status)}"' if end.cache_status else ""
    return (
        f'{{"time":"{time_of(end.started_at)}","client":"{client}","method":"{method}","target":"{target}",'
        f'"version":"{version}","status":{end.status},"bytes":{end.sent},"referer":"{referer}",'
        f'"user_agent":"{agent}"{user}{request_id}{trace}{bucket}{cached},"total_us":{end.took_us}}}'
    )


cdef class Belief:
    """Corrects who asks, for `trust`; see chore."""

    cdef tuple _fields
    cdef object _learn, _identity_of

    def __init__(self, fields, learn, identity_of):
        self._fields, self._learn, self._identity_of = tuple(fields), learn, identity_of

    def enter(self, environ, passage=None, /):
        """Correct the environ."""
        cdef tuple fields = self._fields
        peer = get(environ, "REMOTE_ADDR") or ""
        environ["wsgistack.peer"] = peer
        if len(fields) == 3:
            told = self._learn(
                peer, get(environ, fields[0]), get(environ, fields[1]), get(environ, fields[2])
            )
        else:
            told = self._learn(peer, *[get(environ, name) for name in fields])
        for variable in self._identity_of(tuple(environ)):
            del environ[variable]
        if told is not None:
            environ.update(told)
            if "HTTP_X_FORWARDED_PROTO" not in told:
                environ["HTTP_X_FORWARDED_PROTO"] = environ["wsgi.url_scheme"]
            if told["REMOTE_ADDR"] != peer:
                environ.pop("REMOTE_HOST", None)
                environ.pop("REMOTE_PORT", None)


cdef class Tags:
    """Makes ETags of short bodies, and tells who has the current one already; see chore."""

    cdef object _most_bytes, _is_known, _is_file, _voice, _of_content

    def __init__(self, most_bytes, *, is_known, is_file, voice, of_content):
        self._most_bytes, self._is_known, self._is_file = most_bytes, is_known, is_file
        self._voice, self._of_content = voice, of_content

    def enter(self, environ, Passage passage not None, /):
        """Ask for the whole response, where conditions may be about it."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            passage.settle = self.settle

    def settle(self, Passage passage not None, rest, /):
        """Make an ETag of a body that is known to be short; let the head be that of a 304 where that is due."""
        if passage.head[:3] != "200":
            return rest
        environ = passage.environ
        if (
            "etag" not in passage.fields and environ["REQUEST_METHOD"] == "GET"
            and self._is_short(passage, rest)
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
        whole = rest[0] if len(rest) == 1 else b"".join(rest)
        tag = f'"{sha1(whole, usedforsecurity=False).hexdigest()[:32]}"'
        passage.fields["etag"] = tag
        passage.headers.append(("ETag", tag))
        voice = get(passage.environ, "wsgistack.cache")
        if type(voice) is self._voice:
            voice.has_made_tag = True

    cdef bint _is_short(self, Passage passage, rest) except -1:
        cdef dict fields = passage.fields
        cdef Py_ssize_t size = 0
        if "content-range" in fields or "no-store" in fields.get("cache-control", "").lower():
            return False
        if isinstance(rest, (list, tuple)):
            for block in rest:
                size += len(block)
            return size <= self._most_bytes
        length = fields.get("content-length", "")
        if not length.isdecimal() or int(length) > self._most_bytes:
            return False
        return not self._is_file(passage.environ, rest)


cdef class Encodings:
    """Decides whether a response is compressed; see chore."""

    cdef object _least_bytes, _is_text, _choose, _compress

    def __init__(self, least_bytes, *, is_text, choose, compress):
        self._least_bytes, self._is_text = least_bytes, is_text
        self._choose, self._compress = choose, compress

    def enter(self, environ, Passage passage not None, /):
        """Ask for the head."""
        passage.shape = self.shape

    def shape(self, Passage passage not None, /):
        """Decide, now that the head is known."""
        cdef dict fields = passage.fields
        if not self._is_text(fields.get("content-type", "")) or not self._wants(passage):
            return
        if "vary" not in fields or not varies(passage.headers):
            passage.headers.append(VARY)
        if get(passage.environ, "REQUEST_METHOD") != "HEAD":
            coding = self._choose(get(passage.environ, "HTTP_ACCEPT_ENCODING"))
            if coding != "identity":
                self._compress(passage, coding)

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


cdef class Door:
    """Lets requests pass but those for a page of one's own; see chore."""

    cdef object _path, _ask
    cdef bint _is_known

    def __init__(self, path, ask):
        self._path, self._ask = path, ask

    def enter(self, environ, passage, /):
        """Return the page for who asks for it and may have it."""
        if self._is_known and get(environ, "PATH_INFO") != self._path:
            return None
        self._is_known = True
        return self._ask(environ, passage)


cdef class Bills:
    """Counts responses by the client's address; see chore.

    A row that is there is counted in without the meter's lock: nothing else runs meanwhile.
    """

    cdef object _meter, _find, _otherwise, _now

    def __init__(self, meter, find, otherwise, now):
        self._meter, self._find, self._otherwise, self._now = meter, find, otherwise, now

    def at_end(self, Passage passage not None, /):
        """Count a response."""
        decision = get(passage.environ, "wsgistack.ratelimit")
        if decision is not None and (decision.refused is not None or decision.would_refuse):
            self._otherwise(passage)
            return
        about = self._find(get(passage.environ, "REMOTE_ADDR") or "")
        self._count(int(self._now() * 1_000_000), about, int(passage.status))

    cdef int _count(self, long long now_us, tuple about, long status) except -1:
        cdef PyObject* found
        if len(about) == 1 and 100 <= status < 600 and now_us < <long long>self._meter.until_us:
            found = PyDict_GetItemWithError(self._meter.rows, about[0])
            if found != NULL and type(<object>found) is list:
                (<list>found)[status // 100 - 1] += 1
                return 0
        self._meter.count(now_us, about, status)


cdef class Quotas:
    """Counts requests by who holds the connection, and tells what is left; see chore."""

    cdef object _limiter, _claims_of, _decided, _teller, _form

    def __init__(self, limiter, claims_of, decided, teller, form):
        self._limiter, self._claims_of, self._decided = limiter, claims_of, decided
        self._teller, self._form = teller, form

    def hit(self, environ, Passage passage not None, /):
        """Count one request; return what was decided, which the environ has too."""
        limiter = self._limiter
        claims = self._claims_of(get(environ, "REMOTE_ADDR") or "")
        now = limiter.now()
        bound = limiter.bound
        if bound is None:
            if now >= limiter.shut.look_at:
                decision = limiter.find_shut(claims, now)
                if decision is not None:
                    environ["wsgistack.ratelimit"] = decision
                    return decision
            index, wait, states = limiter.table.decide(claims, now)
        else:
            index, wait, states = bound(claims[0][1], now)
        if index >= 0:
            decision = limiter.refuse(claims, now, index, wait, states)
        else:
            decision = self._decided(limiter, claims, now, states)
            teller = self._teller
            passage.more(self._form(decision) if teller is None else teller.fields(states, now))
        environ["wsgistack.ratelimit"] = decision
        return decision


cdef class Shares:
    """Finds the buckets of visitors, and counts them; see chore.  No lock: nothing else runs meanwhile."""

    cdef readonly dict counts
    cdef object _read, _find, _by, _greet, __weakref__

    def __init__(self, read, find, by, greet):
        self.counts = {}
        self._read, self._find, self._by, self._greet = read, find, by, greet
        forks.register(self)

    def enter(self, environ, Passage passage not None, /):
        """Find the visitor's buckets."""
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


cdef class Owners:
    """Lets requests pass that are somebody's own by a cookie; see chore."""

    cdef dict _kinds
    cdef object _personal, _voice, _told, _otherwise

    def __init__(self, kinds, personal, voice, told, otherwise):
        self._kinds, self._personal, self._voice = kinds, personal, voice
        self._told, self._otherwise = told, otherwise

    def enter(self, environ, Passage passage not None, /):
        """Let a request pass, or look closer."""
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
