"""What compiled components look up: variables in an environ, which is a dict wherever a server keeps to PEP 3333,
the machine's clocks, and the digits of a status, without a call of Python.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from posix.time cimport clock_gettime, clockid_t, timespec


cdef inline object get(environ, name):
    cdef PyObject* found
    if type(environ) is not dict:
        return environ.get(name)
    found = PyDict_GetItemWithError(environ, name)
    return None if found == NULL else <object>found


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


cdef inline object digits_of(status):
    """Return a status of three digits, "500" for what is none."""
    cdef str text = status if type(status) is str else ""
    return text if len(text) == 3 and "1" <= text[0] <= "9" and "0" <= text[1] <= "9" and "0" <= text[2] <= "9" else "500"
