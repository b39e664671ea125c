"""What compiled modules do with Python's own objects by the shortest way: it is not at hand behind an application."""

from cpython.ref cimport Py_DECREF, PyObject

cdef extern from "Python.h":
    ctypedef struct PyMethodDef:
        const char* ml_name

    ctypedef struct PyTypeObject:
        PyMethodDef* tp_methods

    object PyCFunction_New(PyMethodDef*, object)
    PyObject* PyList_GET_ITEM(list, Py_ssize_t)
    void Py_SET_SIZE(list, Py_ssize_t)


cdef inline PyMethodDef* method_of(type kind, bytes name) except NULL:
    """Return what a compiled type calls *name*: PyCFunction_New binds it without looking for it."""
    cdef PyMethodDef* found = (<PyTypeObject*>kind).tp_methods
    while found.ml_name != NULL:
        if <bytes>found.ml_name == name:
            return found
        found += 1
    raise AttributeError(name)


cdef inline object popped(list some):
    """Return the last of *some*, which are not none, and drop it there; list.pop also gives memory back."""
    cdef Py_ssize_t last = len(some) - 1
    found = <object>PyList_GET_ITEM(some, last)
    Py_SET_SIZE(some, last)
    Py_DECREF(found)
    return found


cdef inline int close_body(body) except -1:
    if type(body) is list or type(body) is tuple:
        return 0
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return 0
