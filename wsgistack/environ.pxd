"""What compiled components look up: variables in an environ, which is a dict wherever a server keeps to PEP 3333,
the machine's clocks, and the digits of a status, without a call of Python.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from posix.time cimport clock_gettime, clockid_t, timespec

cdef extern from "Python.h":
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)


cdef extern from *:
    """
    #ifdef __GNUC__
    #define WSGISTACK_APART __attribute__((noinline, unused))
    #else
    #define WSGISTACK_APART
    #endif

    /* Not inline: each place from which a function of Python's is called is one more branch that a processor
       cannot foresee behind an application. */
    static WSGISTACK_APART PyObject* wsgistack_get(PyObject* environ, PyObject* name) {
        PyObject* found;
        if (!PyDict_CheckExact(environ))
            return PyObject_CallMethod(environ, "get", "O", name);
        found = PyDict_GetItemWithError(environ, name);
        if (found == NULL) {
            if (PyErr_Occurred() != NULL) return NULL;
            found = Py_None;
        }
        Py_INCREF(found);
        return found;
    }

    static WSGISTACK_APART int wsgistack_put(PyObject* environ, PyObject* name, PyObject* value) {
        return PyDict_CheckExact(environ)
            ? PyDict_SetItem(environ, name, value) : PyObject_SetItem(environ, name, value);
    }
    """
    object get "wsgistack_get"(object environ, object name)
    int put "wsgistack_put"(object environ, object name, object value) except -1


cdef inline str get_text(environ, name):
    """None for what is no text: an application may have left anything there."""
    value = get(environ, name)
    return value if type(value) is str else None


cdef inline object known(memo, key):
    """What *memo* says of *key*: a Memo is a dict, and a call of it takes five functions of Python to get there."""
    cdef PyObject* found
    if isinstance(memo, dict):
        found = PyDict_GetItemWithError(memo, key)
        if found != NULL:
            return <object>found
    return memo(key)


cdef inline double seconds_of(clockid_t clock) noexcept:
    cdef timespec at
    clock_gettime(clock, &at)
    return at.tv_sec + at.tv_nsec * 1e-9


cdef inline int code_of(head):
    """Return the three digits of a status, -1 where it does not begin so."""
    cdef int code = 0, at
    cdef Py_UCS4 digit
    if not isinstance(head, str) or len(<str>head) < 3:
        return -1
    for at in range(3):
        digit = PyUnicode_READ_CHAR(head, at)
        if not 48 <= digit < 58:
            return -1
        code = code * 10 + <int>digit - 48
    return code
