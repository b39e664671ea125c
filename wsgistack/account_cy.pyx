"""The compiled twin of `wsgistack.account`: the same accounts, in a quarter of the time."""

from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.math cimport floor
from wsgistack.environ cimport get
from wsgistack.passage_cy cimport Passage

__all__ = ["Belief", "Bills", "Door", "Quotas", "json_line"]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    const unsigned char* PyUnicode_1BYTE_DATA(object)

cdef Py_ssize_t LONGEST = 1500
cdef tuple MILLISECONDS = tuple([f".{number:03}+00:00" for number in range(1000)])
cdef long long _second = -1    # of which _second_text is
cdef str _second_text = ""


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
    """Return a line of the access log for a response that is over; see account."""
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
    """Corrects who asks, for `trust`; see account."""

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


cdef class Door:
    """Lets requests pass but those for a page of one's own; see account."""

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
    """Counts responses by the client's address; see account.

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
    """Counts requests by who holds the connection, and tells what is left; see account."""

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
