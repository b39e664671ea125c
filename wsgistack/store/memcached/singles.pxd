# Which answers need nothing more; see singles.py.

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.tuple cimport PyTuple_GET_ITEM


cdef inline bytes find_plain(object answer, object Reply, Py_ssize_t most):
    # The value that is all there is to say, or None.
    if type(answer) is not list:
        return None
    reply = <object>PyList_GET_ITEM(answer, 0)
    if type(reply) is not Reply:
        return None
    value = <object>PyTuple_GET_ITEM(reply, 1)
    if value is None or <object>PyTuple_GET_ITEM(reply, 0) != b"VA":
        return None
    if <object>PyTuple_GET_ITEM(reply, 2) or <object>PyTuple_GET_ITEM(reply, 5):
        return None
    return <bytes>value if 0 < PyBytes_GET_SIZE(value) <= most else None
