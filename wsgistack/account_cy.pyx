"""The compiled twin of `wsgistack.account`: the same accounts, in a quarter of the time.

Between two requests an application has everything of ours out of the processor's caches.  So what counts
here is how many lines of code and of memory a request touches: what is asked of Python's objects is asked
once, and what is an object of ours is read as C does.
"""

import time

from wsgistack.http.identity import NAMES, PREFIXES, tells_identity
from wsgistack.memos import Memo

from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next, PyDict_Update
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport PyObject
from libc.math cimport INFINITY
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME
from wsgistack.clock_cy cimport SteadyClock
from wsgistack.environ cimport get, known, put, seconds_of
from wsgistack.passage_cy cimport Passage, Step
from wsgistack.ratelimit.taking_cy cimport Steps as Bound
from wsgistack.ratelimit.telling_cy cimport Teller

__all__ = ["Belief", "Bills", "Decided", "Deciding", "Door", "Hour", "Notes", "Quotas"]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    const unsigned char* PyUnicode_1BYTE_DATA(object)
    ctypedef struct PyTypeObject:
        object (*tp_new)(PyTypeObject*, PyObject*, PyObject*)

cdef enum:
    MOST_NOTES = 256
    MOST_VARIABLES = 512        # that are known for what they are
    LONGEST_VARIABLE = 64       # characters of one of them
    MOST_TOLD = 4096            # see account
    LONGEST_TOLD = 256

cdef tuple NOTHING = ()
cdef dict _variables = {}       # of fields, by name: whether proxies tell by it who asks
cdef unsigned short _starts[64]
cdef int _start_count = 0


cdef inline unsigned short start_of(const unsigned char* name) noexcept:
    """Return the first two characters of a field's name as one number, in small letters, with "-" for "_"."""
    cdef unsigned short first = name[0], second = name[1]
    first = first | 32 if 65 <= first <= 90 else 45 if first == 95 else first
    second = second | 32 if 65 <= second <= 90 else 45 if second == 95 else second
    return first << 8 | second


for _name in sorted({name[:2] for name in (*NAMES, *PREFIXES, "forwarded")}):
    _starts[_start_count] = start_of(_name.encode())
    _start_count += 1


cdef class Belief(Step):
    """Corrects who asks, for `trust`; see account."""

    cdef tuple _fields
    cdef object _remember

    def __init__(self, fields, learn):
        self._fields = tuple(fields)
        self._remember = Memo(lambda asked: learn(*asked), MOST_TOLD, longest=LONGEST_TOLD)

    def enter(self, environ, passage=None, /):
        """Correct the environ."""
        self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        cdef tuple fields = self._fields
        peer = get(environ, "REMOTE_ADDR") or ""
        put(environ, "wsgistack.peer", peer)
        if len(fields) == 3:
            asked = (peer, get(environ, fields[0]), get(environ, fields[1]), get(environ, fields[2]))
        else:
            asked = (peer, *[get(environ, name) for name in fields])
        told = known(self._remember, asked)
        forget_identity(environ, told)
        if told is not None:
            if type(environ) is dict:
                PyDict_Update(environ, told)
            else:
                environ.update(told)
            if "HTTP_X_FORWARDED_PROTO" not in <dict>told:
                put(environ, "HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"])
            if (<dict>told)["REMOTE_ADDR"] != peer:
                forget_peer(environ)


cdef int forget_peer(environ) except -1:
    if "REMOTE_HOST" in environ:
        del environ["REMOTE_HOST"]
    if "REMOTE_PORT" in environ:
        del environ["REMOTE_PORT"]
    return 0


cdef int forget_identity(environ, told) except -1:
    """Drop all variables by which proxies tell who asks, but those that *told* replaces anyway."""
    cdef list found = None
    cdef PyObject *key
    cdef Py_ssize_t at = 0
    if type(environ) is dict:
        while PyDict_Next(environ, &at, &key, NULL):
            if may_tell(<object>key) and tells(<object>key) and (told is None or <object>key not in told):
                if found is None:
                    found = []
                found.append(<object>key)
    else:
        found = [name for name in environ if tells(name)]
    if found is not None:
        for name in found:
            del environ[name]
    return 0


cdef bint may_tell(name) noexcept:
    """Tell whether a variable begins as one by which proxies tell who asks: few do."""
    cdef const unsigned char* data
    cdef unsigned short start
    cdef int at
    if type(name) is not str or not PyUnicode_IS_COMPACT_ASCII(name):
        return True
    data = PyUnicode_1BYTE_DATA(name)
    if len(<str>name) < 7 or data[4] != 95 or data[0] != 72 or data[1] != 84 or data[2] != 84 or data[3] != 80:
        return False
    start = start_of(data + 5)
    for at in range(_start_count):
        if _starts[at] == start:
            return True
    return False


cdef bint tells(name) except -1:
    cdef PyObject* known = PyDict_GetItemWithError(_variables, name)
    if known != NULL:
        return <object>known is True
    found = name.startswith("HTTP_") and tells_identity(name)
    if len(_variables) < MOST_VARIABLES and len(name) <= LONGEST_VARIABLE:
        _variables[name] = found
    return found


cdef class Door(Step):
    """Lets requests pass but those for a page of one's own; see account."""

    cdef str _path
    cdef object _ask
    cdef bint _is_known

    def __init__(self, path, ask):
        self._path, self._ask = path, ask

    def enter(self, environ, Passage passage, /):
        """Return the page for who asks for it and may have it."""
        return self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        path = get(environ, "PATH_INFO")
        if self._is_known and (self._path != <str>path if type(path) is str else self._path != path):
            return None
        self._is_known = True
        return self._ask(environ, passage)


cdef class Notes(Step):
    """Keeps what is to be counted of responses later, many at once; see account."""

    cdef public double bring_at
    cdef list _kept
    cdef object _settle, _monotonic

    def __init__(self, settle, monotonic):
        self._kept, self._settle = [], settle
        self._monotonic = None if monotonic is time.monotonic else monotonic
        self.bring_at = INFINITY

    def at_end(self, Passage passage not None, /):
        """Keep what is known of a response."""
        self.do_end(passage)

    cdef int do_end(self, Passage passage) except -1:
        environ = passage.environ
        self._add((
            get(environ, "REQUEST_METHOD") or "", passage.status, passage.took_us, passage.sent,
            passage.cache_status, get(environ, "wsgistack.buckets"),
        ))
        return 0

    def add(self, what):
        """Keep *what*, and settle what is due."""
        self._add(what)

    cdef int _add(self, what) except -1:
        self._kept.append(what)
        if PyList_GET_SIZE(self._kept) >= MOST_NOTES or self.bring_at < INFINITY and self._is_due():
            self._settle()
        return 0

    cdef bint _is_due(self) except -1:
        if self._monotonic is None:
            return seconds_of(CLOCK_MONOTONIC) >= self.bring_at
        return self._monotonic() >= self.bring_at

    def take(self):
        """Return what was kept, the first first, and keep it no longer."""
        cdef list fresh = []    # first: it may set off a collection, and what that runs may take them too
        kept, self._kept = self._kept, fresh
        return kept


cdef class Hour:
    """The rows of the hour that ends at *until_us*; see account."""

    cdef public dict rows
    cdef public long long until_us


cdef class Bills(Step):
    """Counts responses by the client's address; see account.

    A row that is there is counted in without the meter's lock: nothing else runs meanwhile.
    """

    cdef Hour _meter
    cdef object _find, _otherwise, _now

    def __init__(self, Hour meter, find, otherwise, now):
        self._meter, self._find, self._otherwise = meter, find, otherwise
        self._now = None if now is time.time else now

    def at_end(self, Passage passage not None, /):
        """Count a response."""
        self.do_end(passage)

    cdef int do_end(self, Passage passage) except -1:
        cdef const unsigned char* data
        cdef PyObject* found
        cdef long long now_us
        decision = get(passage.environ, "wsgistack.ratelimit")
        if decision is not None and is_refusal(decision):
            self._otherwise(passage)
            return 0
        about = known(self._find, get(passage.environ, "REMOTE_ADDR") or "")
        status = passage.status
        if self._now is None:
            now_us = <long long>(seconds_of(CLOCK_REALTIME) * 1_000_000)
        else:
            now_us = <long long>(self._now() * 1_000_000)
        if type(status) is str and len(<str>status) == 3 and PyUnicode_IS_COMPACT_ASCII(status):
            data = PyUnicode_1BYTE_DATA(status)
            if (
                49 <= data[0] <= 53 and 48 <= data[1] <= 57 and 48 <= data[2] <= 57
                and now_us < self._meter.until_us and len(<tuple>about) == 1
            ):
                found = PyDict_GetItemWithError(self._meter.rows, (<tuple>about)[0])
                if found != NULL and type(<object>found) is list:
                    (<list>found)[data[0] - 49] += 1
                    return 0
        self._meter.count(now_us, about, int(status))
        return 0


cdef class Decided:
    """What was decided about one request; see account."""

    cdef public object refused, wait_us, would_refuse
    cdef public object _limiter, _claims, _now, _states, _taken, _missed

    def __init__(self, limiter, claims, now, states, refused=None, wait_us=0):
        self._limiter, self._claims, self._now, self._states = limiter, claims, now, states
        self.refused, self.wait_us = refused, wait_us
        self.would_refuse = self._missed = NOTHING


cdef bint is_refusal(decision) except -1:
    """Tell whether a limit refused, or would have."""
    if isinstance(decision, Decided):
        return (<Decided>decision).refused is not None or bool((<Decided>decision).would_refuse)
    return decision.refused is not None or bool(decision.would_refuse)


cdef class Deciding:
    """What a limiter decides by; see account."""

    cdef public object table, shut
    cdef object _now, _bound
    cdef SteadyClock _clock     # whose `read` is *now*, else None
    cdef Bound _steps           # whose `decide` is *bound*, else None

    @property
    def now(self):
        """Microseconds since the epoch that never go back."""
        return self._now

    @now.setter
    def now(self, now):
        clock = getattr(now, "__self__", None)
        self._clock = clock if type(clock) is SteadyClock and now.__name__ == "read" else None
        self._now = now

    @property
    def bound(self):
        """What decides for a key that all claims of a request have; None where there is more to it."""
        return self._bound

    @bound.setter
    def bound(self, bound):
        steps = getattr(bound, "__self__", None)
        self._steps = steps if type(steps) is Bound else None
        self._bound = bound


cdef class Quotas(Step):
    """Counts requests by who holds the connection, and tells what is left; see account."""

    cdef public bint is_at_rest
    cdef Deciding _limiter
    cdef object _claims_of, _decided, _teller, _form, _prepare, _refuse

    def __init__(self, Deciding limiter not None, claims_of, type decided, teller, form, *, prepare, refuse):
        if not issubclass(decided, Decided):
            raise TypeError(f"decided: {decided!r} is no Decided")
        self._limiter, self._claims_of, self._decided = limiter, claims_of, decided
        self._teller, self._form, self._prepare, self._refuse = teller, form, prepare, refuse

    def enter(self, environ, Passage passage not None, /):
        """Count a request; return the refusal, if it is one."""
        return self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        cdef Deciding limiter = self._limiter
        cdef Bound steps
        if not self.is_at_rest:
            self._prepare(environ)
        claims = known(self._claims_of, get(environ, "REMOTE_ADDR") or "")
        now = limiter._now() if limiter._clock is None else limiter._clock.now()
        steps = limiter._steps
        if steps is not None:
            tat = steps.quickly(<bytes>(<tuple>(<tuple>claims)[0])[1], now)
            if tat is not None:
                self._pass(environ, passage, claims, now, [tat])
                return None
        return self._decide(environ, passage, claims, now)

    cdef object _decide(self, environ, Passage passage, claims, now):
        limiter, bound = self._limiter, self._limiter._bound
        if bound is None:
            if now >= limiter.shut.look_at:
                decision = limiter.find_shut(claims, now)
                if decision is not None:
                    environ["wsgistack.ratelimit"] = decision
                    return self._refuse(environ, decision)
            index, wait, states = limiter.table.decide(claims, now)
        else:
            index, wait, states = bound(claims[0][1], now)
        if index < 0:
            self._pass(environ, passage, claims, now, states)
            return None
        decision = environ["wsgistack.ratelimit"] = limiter.refuse(claims, now, index, wait, states)
        return self._refuse(environ, decision)

    cdef int _pass(self, environ, Passage passage, claims, now, states) except -1:
        cdef PyTypeObject* kind = <PyTypeObject*>self._decided
        cdef Decided decision = kind.tp_new(kind, <PyObject*>NOTHING, NULL)
        decision._limiter, decision._claims, decision._now = self._limiter, claims, now
        decision._states, decision.wait_us, decision.would_refuse, decision._missed = states, 0, NOTHING, NOTHING
        if type(self._teller) is Teller:
            passage.more((<Teller>self._teller).told(states, now))
        else:
            passage.more(self._form(decision) if self._teller is None else self._teller.fields(states, now))
        put(environ, "wsgistack.ratelimit", decision)
        return 0
