"""The compiled twin of `wsgistack.cache.shortcut.Shortcut`, which most requests of a site pay for."""

from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.ref cimport Py_INCREF, PyObject
from cpython.set cimport PySet_Contains
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM

from wsgistack.cache import shortcut
from wsgistack.cache.personal import Personal
from wsgistack.cache.found import Place
from wsgistack.environ cimport get
from wsgistack.memos import size_of

__all__ = ["Shortcut"]

cdef object _Personal = Personal, _Place = Place
cdef Py_ssize_t OF_A_PLACE = len(shortcut.OF_A_PLACE)


cdef class Shortcut:
    """Verdicts by environ; see shortcut."""

    cdef frozenset _telling, _of_kind
    cdef tuple _names
    cdef dict _verdicts
    cdef object _judge, _nobody, _owners
    cdef bint _learns

    def __init__(self, telling, judge=None, *, nobody=None, owners=None, of_kind=(), keyed="", learns=True):
        cookies = () if judge is None else ("HTTP_COOKIE",)
        self._telling = frozenset(telling) - {keyed, *cookies}
        self._judge, self._nobody, self._owners = judge, nobody, owners or {}
        self._of_kind = frozenset(of_kind) - {keyed, *cookies}
        self._names = (*shortcut.OF_A_PLACE, keyed, *self._of_kind)
        self._learns = learns
        self._verdicts = {}

    def read(self, environ):
        """Return what is known of a request by its variables; see shortcut."""
        cdef object kind = None, asked
        cdef PyObject* found
        method = environ["REQUEST_METHOD"]
        if method != "GET" and method != "HEAD":
            return None
        if self._judge is not None:
            cookies = get(environ, "HTTP_COOKIE")
            if cookies is not None:
                whose = self._judge(cookies)
                if type(whose) is _Personal:
                    return whose
                if whose is not self._nobody:
                    kind = whose.cookie
        told = self._told(environ)
        if told is not None:
            return self._owners.get(told) if told else None
        if not self._learns or method != "GET":
            return None
        asked = self._asked(environ, kind)
        found = PyDict_GetItemWithError(self._verdicts, asked)
        return asked if found == NULL else <object>found

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
