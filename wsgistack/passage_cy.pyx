"""The compiled twin of `wsgistack.passage`: the same frame, in a quarter of the time.

Every request of a stack pays for it: what is the machine's own clock is read without a call of Python,
and what asks for nothing is passed on as it came.
"""

import time
from itertools import chain
from types import BuiltinMethodType

from wsgistack.passage import LATER, complain
from wsgistack.wsgi import EARLY, answer_early

cimport cython
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from wsgistack.environ cimport code_of, get
from wsgistack.objects cimport PyCFunction_New, PyMethodDef, close_body, method_of

__all__ = ["Front", "Fused", "Passage", "Steps"]

cdef object OVER = object()
cdef Py_ssize_t MOST_NAMES = 512
cdef dict _lower = {}   # of names of fields, which are few
cdef list _statuses = [str(code) for code in range(1000)]
cdef PyMethodDef* START_RESPONSE
cdef PyMethodDef* WRITE_BLOCK


cdef class Step:
    """What of a component is compiled: Steps calls it as C does, with what Python calls `enter`, `at_end`, …

    Who derives from it writes what it does into `do_enter`, `do_end`, …, and a method of Python around that.  A subclass in Python that has an `enter` or `at_end` of its own is called by that one.
    """

    cdef object do_enter(self, environ, Passage passage):
        """Take a request; see passage.Step.enter."""

    cdef int do_end(self, Passage passage) except -1:
        """Hear that the response is over."""
        return 0

    cdef object do_settle(self, Passage passage, rest):
        """See the whole response before its head is sent."""
        return rest

    cdef int do_shape(self, Passage passage) except -1:
        """Change the head that is to be sent."""
        return 0

    cdef object do_mark(self, Passage passage, about):
        """Return what Cache-Status says of a response."""


@cython.final
cdef class Plain(Step):
    """A step one of whose methods is Python's."""

    cdef readonly object asked

    def __init__(self, asked):
        self.asked = asked

    cdef object do_enter(self, environ, Passage passage):
        return self.asked(environ, passage)

    cdef int do_end(self, Passage passage) except -1:
        self.asked(passage)
        return 0

    cdef object do_settle(self, Passage passage, rest):
        return self.asked(passage, rest)

    cdef int do_shape(self, Passage passage) except -1:
        self.asked(passage)
        return 0

    cdef object do_mark(self, Passage passage, about):
        return self.asked(passage, about)


cdef Step step_of(method, str name):
    """Return the step of which *method* is the one of that name."""
    if type(method) is BuiltinMethodType and method.__name__ == name and isinstance(method.__self__, Step):
        return method.__self__
    return Plain(method)


cdef object asked_of(Step step, str name):
    """Return what `step_of` got."""
    return step if step is None else (<Plain>step).asked if type(step) is Plain else getattr(step, name)


cdef tuple steps_of(ends):
    return tuple([step_of(end, "at_end") for end in ends])


@cython.freelist(16)
cdef class Passage:
    """One request on its way through steps, and the body of its response; see passage."""

    def __init__(self, environ, start_response, ends, clock):
        self._begin(environ, start_response, steps_of(ends), clock, clock is time.perf_counter_ns)

    @property
    def settle(self):
        """What sees the whole response before its head is sent."""
        return asked_of(self._settler, "settle")

    @settle.setter
    def settle(self, method):
        self._settler = None if method is None else step_of(method, "settle")

    @property
    def shape(self):
        """What changes the head that is to be sent."""
        return asked_of(self._shaper, "shape")

    @shape.setter
    def shape(self, method):
        self._shaper = None if method is None else step_of(method, "shape")

    cdef int _begin(self, environ, start_response, tuple ends, clock, bint is_own) except -1:
        self.environ = environ
        self._start_response = start_response
        self._ends, self._is_open = ends, True
        self.request_id = self.cache_status = self._cached = ""
        self.status = "500"
        self.clock = None if is_own else clock
        self.began_ns = self._now_ns() if ends else 0
        return 0

    cdef long long _now_ns(self) except? -1:
        cdef timespec at
        if self.clock is not None:
            return self.clock()
        clock_gettime(CLOCK_MONOTONIC, &at)
        return <long long>at.tv_sec * 1_000_000_000 + at.tv_nsec

    def add(self, list fields):
        """Let the response have *fields* too, before those of steps further outside."""
        self.more(fields)

    cdef int more(self, fields) except -1:
        """Add some fields, a list, or one, a tuple."""
        if self._added is None:
            self._added = [fields]
        else:
            self._added.append(fields)
        return 0

    def mark(self, tuple field):
        """Let it have *field*, its Cache-Status, too."""
        self.note(field)

    cdef int note(self, tuple field) except -1:
        self._cached = field[1]
        return self.more(field)

    def mark_by(self, marker, about):
        """Let it have such a field whose value *marker* makes of the head; see passage."""
        self._marker, self._about = step_of(marker, "mark"), about
        self.more(LATER)

    def start_response(self, status, headers, exc_info=None, /):
        """Take what the application says; see passage."""
        cdef dict fields = {}
        if self._is_held and exc_info is None:
            raise AssertionError("start_response was called twice")
        if self._is_sent and (exc_info is None or self.sent):  # the server raises: what was sent stands
            return self._start_response(status, headers, *(() if exc_info is None else (exc_info,)))
        self.head, self.headers = status, list(headers)
        for name, value in self.headers:
            fields[lower(name)] = value
        self.fields = fields
        if self._settler is not None and not self._is_sent:
            self._is_held = True
            return PyCFunction_New(WRITE_BLOCK, self)
        self._send(exc_info)
        return self._write if self.recoding is None and not self._ends else PyCFunction_New(WRITE_BLOCK, self)

    cdef int _send(self, exc_info) except -1:
        cdef int code
        self._is_held, self._is_sent = False, True
        if self._marker is not None:
            self._cached = self._marker.do_mark(self, self._about)
        if self._shaper is not None and not self._is_away:
            self.recoding = None
            self._shaper.do_shape(self)
        code = code_of(self.head)
        self.status = "500" if code < 100 else _statuses[code]
        self.cache_status = self._cached or self.fields.get("cache-status", "")
        if self._added is not None:
            for added in reversed(self._added):
                if type(added) is tuple:
                    self.headers.append(added if added is not LATER else (LATER[0], self._cached))
                else:
                    self.headers.extend(<list>added)
        if self.request_id and "x-request-id" not in self.fields:
            self.headers.append(("X-Request-Id", self.request_id))
        if exc_info is None:    # some servers take no None
            self._write = self._start_response(self.head, self.headers)
        else:
            self._write = self._start_response(self.head, self.headers, exc_info)
        return 0

    def _write_block(self, data):
        if self._is_held:   # too late to settle anything
            self._send(None)
        if self.recoding is not None and data:
            data = self.recoding.take(data)
        self.sent += len(data)
        return self._write(data)

    @property
    def is_held(self):
        """Whether the head can still be settled: nothing was written."""
        return self._is_held

    def watch(self, body):
        """Return what the server gets for *body*: the very same where nobody wants anything else."""
        return self._watch(body)

    cdef object _watch(self, body):
        cdef object rest = body
        self._body = body
        if self._is_held:
            try:
                rest = self._settle(body)
            except:
                close_body(body)    # the server never gets it
                raise
        if (
            self._ends or self.recoding is not None or rest is not body
            or not self._is_sent and (self._settler is not None or self._shaper is not None)
        ):
            self._rest = rest
            return self
        self._is_away = True
        return body

    cdef object _settle(self, rest):
        if self._settler is not None:   # else who asked for it took that back
            rest = self._settler.do_settle(self, rest)
        if self._is_held:
            self._send(None)
        return rest

    def __iter__(self):
        """Go on by one step for each step of the body; who asks again goes on where the first one is."""
        if not self._is_begun:
            self._is_begun, self._is_late = True, not self._is_sent
            self._blocks = iter(self._rest)
        return self

    def __next__(self):
        cdef object block, blocks = self._blocks
        if blocks is None:
            raise StopIteration
        self._blocks = None     # unless all of this goes well
        block = self._begin_late(blocks) if self._is_late else next(blocks, OVER)
        if self._blocks is not None:    # those that were settled
            blocks, self._blocks = self._blocks, None
        if block is OVER:
            blocks, block = None, b"" if self.recoding is None else self.recoding.last()
            if not block:
                raise StopIteration
        elif self.recoding is not None and block:
            block = self.recoding.take(block)
        self.sent += len(block)
        self._blocks = blocks
        return block

    cdef object _begin_late(self, blocks):
        """Go on until the application has called start_response, and settle then."""
        block = next(blocks, OVER)
        if not self._is_held:
            return block
        self._is_late = False
        rest = iter(self._settle([] if block is OVER else chain((block,), blocks)))
        block = next(rest, OVER)
        self._blocks = rest
        return block

    def close(self):
        """Close the body and tell the steps, the innermost first; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            try:
                close_body(self._body)
            finally:
                self._tell(self._ends)

    cdef int _fail(self, tuple ends) except -1:
        self._is_open = False
        return self._tell(ends)

    cdef int _tell(self, tuple ends) except -1:
        cdef Py_ssize_t told = 0, count = len(ends)
        if count:
            self.took_us = (self._now_ns() - self.began_ns) // 1000
        try:
            while told < count:
                told += 1
                try:
                    (<Step>ends[told - 1]).do_end(self)
                except Exception:
                    complain(ends[told - 1])
        finally:
            if told < count:    # one of them was ended itself
                self._tell(ends[told:])


START_RESPONSE, WRITE_BLOCK = method_of(Passage, b"start_response"), method_of(Passage, b"_write_block")


cdef inline object lower(name):
    cdef object found = _lower.get(name)
    if found is None:
        found = name.lower()
        if len(_lower) < MOST_NAMES and len(name) < 64:
            _lower[name] = found
    return found


cdef class Steps:
    """What goes through *steps*, the outermost first, to an application; see passage."""

    cdef tuple _enters, _inner_ends, _ends
    cdef object _clock
    cdef bint _is_own

    def __init__(self, steps, *, clock=time.perf_counter_ns):
        self._enters = tuple([step_of(step.enter, "enter") for step in steps])
        # Of each those outside of it, who are told of a response that comes from this step.
        self._inner_ends = tuple([ends_of(steps[:count]) for count in range(len(steps))])
        self._ends = ends_of(steps)
        self._clock = clock
        self._is_own = clock is time.perf_counter_ns

    def run(self, app, environ, start_response):
        """Answer a request as *app* does, and as the steps want it."""
        return self.answer(app, environ, start_response)

    cdef object answer(self, app, environ, start_response):
        cdef Passage passage = Passage.__new__(Passage)
        cdef Py_ssize_t at, entered = 0, count = len(self._enters)
        passage._begin(environ, start_response, self._ends, self._clock, self._is_own)
        try:
            for at in range(count):
                instead = (<Step>self._enters[at]).do_enter(environ, passage)
                if instead is not None:
                    passage._ends = <tuple>self._inner_ends[at]
                    return passage._watch(instead(PyCFunction_New(START_RESPONSE, passage)))
                entered += 1
            return passage._watch(app(environ, PyCFunction_New(START_RESPONSE, passage)))
        except:
            passage._fail(self._ends if entered == count else <tuple>self._inner_ends[entered])
            raise


cdef class Fused:
    """Several steps around an application; see passage."""

    cdef readonly tuple steps
    cdef Steps _frame
    cdef object _app

    def __init__(self, steps, app):
        self.steps, self._frame, self._app = tuple(steps), Steps(steps), app

    def __call__(self, environ, start_response, /):
        """Answer a request."""
        return self._frame.answer(self._app, environ, start_response)


cdef class Front:
    """What a server calls; see passage."""

    cdef object _outermost

    def __init__(self, outermost):
        self._outermost = outermost

    def __call__(self, environ, start_response, /):
        """Answer a request."""
        server = get(environ, "SERVER_SOFTWARE")
        if server is not None and server in EARLY:
            environ["wsgi.multiprocess"] = True
            return answer_early(self._outermost, environ, start_response)
        if type(self._outermost) is Fused:
            return (<Fused>self._outermost)._frame.answer(
                (<Fused>self._outermost)._app, environ, start_response
            )
        return self._outermost(environ, start_response)


cdef tuple ends_of(steps):
    return steps_of([step.at_end for step in reversed(steps) if step.at_end is not None])
