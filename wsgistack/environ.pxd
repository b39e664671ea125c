"""What compiled components look up in an environ, which is a dict wherever a server keeps to PEP 3333."""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject


cdef inline object get(environ, name):
    cdef PyObject* found
    if type(environ) is not dict:
        return environ.get(name)
    found = PyDict_GetItemWithError(environ, name)
    return None if found == NULL else <object>found
