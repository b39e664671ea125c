"""The compiled twins of what most requests of a site pay for in `wsgistack.cache.shortcut`."""

import time

from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.ref cimport Py_INCREF, PyObject
from cpython.set cimport PySet_Contains
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from posix.time cimport CLOCK_MONOTONIC

from wsgistack.cache import shortcut
from wsgistack.cache.found import Place
from wsgistack.cache.personal import IGNORED, KEY, Personal
from wsgistack.cache.storing import TELLING
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.environ cimport code_of, get, put, seconds_of
from wsgistack.memos import size_of
from wsgistack.passage import LATER
from wsgistack.passage_cy cimport Passage, Step

__all__ = ["Passing", "Shortcut"]

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_FindChar(object, Py_UCS4, Py_ssize_t, Py_ssize_t, int) except -2

cdef object _Personal = Personal, _Place = Place, _OfKind = shortcut.OfKind, _Voice = Voice
cdef object _ignored = IGNORED, _key = KEY, VOICE = ENVIRON_KEY, NOTHING_SAID = shortcut.NOTHING_SAID
cdef frozenset _telling = TELLING
cdef tuple OF_THE_REQUEST = shortcut.OF_THE_REQUEST
cdef Py_ssize_t OF_A_PLACE = len(shortcut.OF_A_PLACE), MOST_KINDS = 256, LONGEST = 256


cdef class Shortcut:
    """Verdicts by environ; see shortcut."""

    cdef frozenset _telling, _of_kind
    cdef tuple _names
    cdef dict _verdicts, _kinds, _keyed
    cdef object _judge, _nobody, _owners
    cdef bint _learns

    def __init__(
        self, telling, judge=None, *, kinds=None, nobody=None, owners=None, of_kind=(), keyed="", learns=True
    ):
        cookies = () if judge is None else ("HTTP_COOKIE",)
        self._telling = frozenset(telling) - {keyed, *cookies}
        self._judge, self._nobody, self._owners = judge, nobody, owners or {}
        self._kinds = {} if kinds is None else kinds
        self._of_kind = frozenset(of_kind) - {keyed, *cookies}
        self._names = (*shortcut.OF_A_PLACE, keyed, *self._of_kind)
        self._learns = learns
        self._verdicts, self._keyed = {}, {}

    def read(self, environ):
        """Return what is known of a request by its variables; see shortcut."""
        return self.find(environ)

    cdef object find(self, environ):
        cdef object kind = None, asked
        cdef PyObject* found
        method = environ["REQUEST_METHOD"]
        if method != "GET" and method != "HEAD":
            return None
        if self._judge is not None:
            cookies = get(environ, "HTTP_COOKIE")
            if cookies is not None:
                whose = self._owner_of(cookies)
                if whose is None:
                    whose = self._judge(cookies)
                if type(whose) is _Personal:
                    return whose
                if whose is not self._nobody:
                    kind = (<tuple>whose)[1]    # its `cookie`
        told = self._told(environ)
        if told is not None:
            return self._owners.get(told) if told else None
        if not self._learns or method != "GET":
            return None
        asked = self._asked(environ, kind)
        found = PyDict_GetItemWithError(self._verdicts, asked)
        return asked if found == NULL else <object>found

    cdef object _owner_of(self, value):
        """Return whose cookies are that are written as browsers do, None where that is not clear."""
        cdef str cookies = value if type(value) is str else str(value)
        cdef Py_ssize_t at = 0, end, stop, keyed = -1, keyed_to = 0, size = len(cookies)
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
            if type(<object>kind) is _Personal:
                return <object>kind
            stop = PyUnicode_FindChar(cookies, 59, end, size, 1)     # ";"
            if <object>kind is _key and keyed < 0:
                keyed, keyed_to = at, size if stop < 0 else stop
            elif <object>kind is not _ignored:
                return None
            if stop < 0:
                return self._nobody if keyed < 0 else self._kind_of(cookies[keyed:keyed_to])
            if stop + 1 >= size or cookies[stop + 1] != " ":
                return None
            at = stop + 2
        return None

    cdef object _kind_of(self, str cookie):
        """Return whose it is if the only one of *key_cookies* tells: visitors are many, and such kinds are few."""
        cdef PyObject* found = PyDict_GetItemWithError(self._keyed, cookie)
        if found != NULL:
            return <object>found
        whose = self._judge(cookie)
        if type(whose) is not _Personal and len(cookie) <= LONGEST:
            if len(self._keyed) >= MOST_KINDS:  # what they say comes from clients
                self._keyed.clear()
            self._keyed[cookie] = whose
        return whose

    cdef object _told(self, environ):
        """Return which variable tells more than a kind if it is all that tells, "" for several; None for nothing."""
        cdef PyObject* name
        cdef PyObject* other = NULL
        cdef Py_ssize_t at = 0, count = 0
        cdef dict names = environ if type(environ) is dict else dict(environ)
        while PyDict_Next(names, &at, &name, NULL):
            if PySet_Contains(self._telling, <object>name):
                count += 1
                if not PySet_Contains(self._of_kind, <object>name):
                    other = name
        if other == NULL:
            return None
        return <object>other if count == 1 else ""

    cdef object _asked(self, environ, kind):
        cdef Py_ssize_t at, count = len(self._names)
        cdef tuple asked = PyTuple_New(count + 1)
        Py_INCREF(kind)
        PyTuple_SET_ITEM(asked, 0, kind)
        for at in range(count):
            value = get(environ, <object>self._names[at])
            Py_INCREF(value)
            PyTuple_SET_ITEM(asked, at + 1, value)
        return asked

    def learn(self, tuple asked, found, anonymous=None):
        """Remember what was *found* for *asked*, unless that is long; see shortcut."""
        cdef tuple kind = (asked[0], *asked[OF_A_PLACE + 2:])
        if isinstance(found, _Place) and anonymous is not None and kind.count(None) < len(kind):
            found = shortcut.OfKind(found, anonymous)
        if size_of(asked) <= shortcut.LONGEST_ASKED:
            if len(self._verdicts) >= shortcut.MOST_PLACES:
                self._verdicts.clear()
            self._verdicts[asked] = found


cdef class Passing(Step):
    """Lets requests pass the cache; see shortcut."""

    cdef Shortcut _shortcut
    cdef object _told, _otherwise, _lately, _clock
    cdef dict _alone, _fields
    cdef bint _is_usual

    def __init__(self, Shortcut shortcut not None, told, lately, otherwise):
        self._shortcut, self._told, self._otherwise = shortcut, told, otherwise
        self._lately, self._fields = lately, {}
        if lately is not None:
            self._alone, self._is_usual = lately.alone, lately.is_usual
            self._clock = None if lately.clock is time.monotonic else lately.clock

    def enter(self, environ, Passage passage not None, /):
        """Let a request pass, or have it answered otherwise."""
        return self.do_enter(environ, passage)

    cdef object do_enter(self, environ, Passage passage):
        cdef object verdict = self._shortcut.find(environ), place
        if type(verdict) is _Personal:
            put(environ, VOICE, _Voice())
            passage.note(self._field_of((<tuple>verdict)[0]))   # its `why`, without the way to an attribute
            return None
        place = verdict.place if type(verdict) is _OfKind else verdict
        if self._lately is None or type(place) is not _Place or not self._is_known_to_be_none(place):
            return self._otherwise(environ, verdict)
        put(environ, VOICE, _Voice())
        passage._marker, passage._about = self, place
        passage.more(LATER)
        return None

    cdef bint _is_known_to_be_none(self, place) except -1:
        cdef PyObject* found = PyDict_GetItemWithError(self._alone, (<tuple>place.key)[0])
        cdef tuple alone
        if found == NULL:
            return False
        alone = <tuple>found    # a reference of its own: another thread may drop it while a clock is asked
        return alone[1] and alone[0] > (seconds_of(CLOCK_MONOTONIC) if self._clock is None else self._clock())

    cdef tuple _field_of(self, why):
        cdef PyObject* found = PyDict_GetItemWithError(self._fields, why)
        if found != NULL:
            return <tuple>found
        if len(self._fields) >= shortcut.MOST_REASONS:  # their names come from clients
            self._fields.clear()
        field = self._fields[why] = "Cache-Status", self._told(why)
        return field

    def mark(self, Passage passage not None, place):
        """Return what Cache-Status says of a response; see shortcut."""
        return self.do_mark(passage, place)

    cdef object do_mark(self, Passage passage, place):
        cdef dict said
        voice = get(passage.environ, VOICE)
        if not isinstance(voice, _Voice):
            voice = _Voice()
        said = voice.__dict__
        if (
            self._is_usual
            and code_of(passage.head) == 200
            and (not said or len(said) == 1 and said.get("has_made_tag") is True)
            and len(passage.fields) == len(passage.headers)
            and tells_nothing(passage.fields, bool(said))
            and get(passage.environ, OF_THE_REQUEST[0]) is None
            and get(passage.environ, OF_THE_REQUEST[1]) is None
        ):
            said["too_late_for"] = place.target
            return NOTHING_SAID
        return self._lately.closely(passage, place, voice)


cdef bint tells_nothing(dict fields, bint has_made_tag) except -1:
    """Tell whether nothing of a response is about its storing."""
    cdef PyObject* name
    cdef PyObject* value
    cdef Py_ssize_t at = 0
    while PyDict_Next(fields, &at, &name, &value):
        if PySet_Contains(_telling, <object>name):
            return False
        if <object>name == "etag" and not has_made_tag:
            return False
        if <object>name == "vary" and "*" in <object>value:
            return False
    return True
