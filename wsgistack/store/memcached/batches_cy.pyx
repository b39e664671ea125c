"""The compiled twin of `wsgistack.store.memcached.batches`: the same groups and the same values."""

from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM

__all__ = ["collect", "find_refused", "sort_names", "sort_values"]

cdef bytes STORED = b"HD"


cdef inline PyObject* find_owner(object wire, dict known) except? NULL:
    # The node of a key that goes as it is, or NULL.
    if <PyObject*>PyTuple_GET_ITEM(wire, 1) != <PyObject*>None:
        return NULL
    return PyDict_GetItemWithError(known, <object>PyTuple_GET_ITEM(wire, 0))


cdef tuple find_group(dict groups, object node):
    cdef PyObject* found = PyDict_GetItemWithError(groups, node)
    if found != NULL:
        return <tuple>found
    group = ([], [])
    groups[node] = group
    return group


def sort_names(list names, dict made, dict known) -> tuple:
    """See the plain twin."""
    cdef dict groups = {}
    cdef list others = []
    cdef list group_names = None
    cdef list group_keys = None
    cdef tuple group
    cdef PyObject* last = NULL
    cdef PyObject* wire
    cdef PyObject* node
    for name in names:
        wire = PyDict_GetItemWithError(made, name)
        node = NULL if wire == NULL else find_owner(<object>wire, known)
        if node == NULL:
            others.append(name)
            continue
        if node != last:
            group = find_group(groups, <object>node)
            group_names = <list>group[0]
            group_keys = <list>group[1]
            last = node
        group_names.append(name)
        group_keys.append(<object>PyTuple_GET_ITEM(<object>wire, 0))
    return groups, others


def sort_values(dict values, dict made, dict known, Py_ssize_t plain_below, object flags):
    """See the plain twin."""
    cdef dict groups = {}
    cdef list group_names = None
    cdef list group_items = None
    cdef tuple group
    cdef PyObject* last = NULL
    cdef PyObject* wire
    cdef PyObject* node
    for name, value in values.items():
        wire = PyDict_GetItemWithError(made, name)
        if wire == NULL or not PyBytes_CheckExact(value):
            return None
        node = find_owner(<object>wire, known)
        if node == NULL or not 0 < PyBytes_GET_SIZE(value) < plain_below:
            return None
        if node != last:
            group = find_group(groups, <object>node)
            group_names = <list>group[0]
            group_items = <list>group[1]
            last = node
        group_names.append(name)
        group_items.append((<object>PyTuple_GET_ITEM(<object>wire, 0), value, flags))
    return groups


def collect(list names, list items, dict values, list odd) -> int:
    """See the plain twin."""
    cdef Py_ssize_t count = PyList_GET_SIZE(names)
    cdef Py_ssize_t index
    cdef Py_ssize_t hits = 0
    cdef object item
    if PyList_GET_SIZE(items) != count:
        raise ValueError("there is not one item for each name")
    for index in range(count):
        item = <object>PyList_GET_ITEM(items, index)
        if item is None:
            continue
        hits += 1
        if PyBytes_CheckExact(item):
            values[<object>PyList_GET_ITEM(names, index)] = item
        else:
            odd.append((<object>PyList_GET_ITEM(names, index), item))
    return hits


def find_refused(list names, object answer) -> list:
    """See the plain twin."""
    if type(answer) is not list:
        return list(names)
    cdef list replies = answer
    cdef list refused = []
    cdef Py_ssize_t count = PyList_GET_SIZE(names)
    cdef Py_ssize_t index
    cdef object reply
    if PyList_GET_SIZE(replies) != count:
        raise ValueError("there is not one reply for each name")
    for index in range(count):
        reply = <object>PyList_GET_ITEM(replies, index)
        if reply is None or <object>PyTuple_GET_ITEM(reply, 0) != STORED:
            refused.append(<object>PyList_GET_ITEM(names, index))
    return refused
