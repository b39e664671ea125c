"""The compiled twin of `wsgistack.store.memcached.batches`: the same groups, the same requests and the same values."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM
from cpython.unicode cimport PyUnicode_AsEncodedString, PyUnicode_CheckExact, PyUnicode_DecodeUTF8
from libc.stdio cimport snprintf

from wsgistack.store.memcached.calls_cy cimport Call, make_bare
from wsgistack.store.memcached.storing_cy cimport write_lines
from wsgistack.store.codec import NUMBER as _NUMBER, TEXT as _TEXT
from wsgistack.store.memcached.calls import BULK_BYTES as _BULK_BYTES, QUIET as _QUIET
from wsgistack.store.memcached.requests import next_brief as _next_brief

__all__ = ["collect", "find_refused", "read_known", "sort_names", "store_known"]

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    SEEN = 64  # nodes that are found without a look into a dict
    MOST_DIGITS = 18  # of a number that is read here

cdef object next_brief = _next_brief
cdef bytes STORED = b"HD"
cdef str QUIET = _QUIET
cdef str STORE_MANY = "store_many"
cdef object TEXT = _TEXT
cdef object NUMBER = _NUMBER
cdef object NO_FLAGS = 0
cdef Py_ssize_t BULK_BYTES = _BULK_BYTES


cdef class Group:
    # What goes to one node.

    cdef object node
    cdef list names
    cdef list keys
    cdef list items  # (key, value, flags), of values


cdef struct Place:
    PyObject* node
    PyObject* group


cdef class Groups:
    # One for each node, in the order in which they were met.

    cdef list all
    cdef dict by_node
    cdef Place seen[SEEN]

    def __cinit__(self):
        self.all = []
        self.by_node = {}

    cdef inline Group find(self, PyObject* node):
        cdef Place* place = &self.seen[(<size_t>node >> 5) % SEEN]
        if place.node == node:
            return <Group>place.group
        return self.look(place, node)

    cdef Group look(self, Place* place, PyObject* node):
        cdef Group group
        cdef PyObject* found = PyDict_GetItemWithError(self.by_node, <object>node)
        if found != NULL:
            group = <Group>found
        else:
            group = Group.__new__(Group)
            group.node = <object>node
            group.names = []
            group.keys = []
            group.items = []
            self.by_node[<object>node] = group
            self.all.append(group)
        place.node = node
        place.group = <PyObject*>group
        return group

    cdef bint are_up(self) except -1:
        for group in self.all:
            if not (<Group>group).node.may_read:
                return False
        return True


cdef inline PyObject* find_owner(object wire, dict known) except? NULL:
    # The node of a key that goes as it is, or NULL.
    if <PyObject*>PyTuple_GET_ITEM(wire, 1) != <PyObject*>None:
        return NULL
    return PyDict_GetItemWithError(known, <object>PyTuple_GET_ITEM(wire, 0))


cdef Groups sort(list names, dict made, dict known, list others):
    # Those that are not simple go to others; without it, they make it None.
    cdef Groups groups = Groups()
    cdef Group group = None
    cdef PyObject* last = NULL
    cdef PyObject* wire
    cdef PyObject* node
    for name in names:
        wire = PyDict_GetItemWithError(made, name)
        node = NULL if wire == NULL else find_owner(<object>wire, known)
        if node == NULL:
            if others is None:
                return None
            others.append(name)
            continue
        if node != last:
            group = groups.find(node)
            last = node
        group.names.append(name)
        group.keys.append(<object>PyTuple_GET_ITEM(<object>wire, 0))
    return groups


def sort_names(list names, dict made, dict known) -> tuple:
    """See the plain twin."""
    cdef list others = []
    cdef Groups groups = sort(names, made, known, others)
    return {(<Group>group).node: ((<Group>group).names, (<Group>group).keys) for group in groups.all}, others


def read_known(object cluster, list names, dict made) -> tuple | None:
    """See the plain twin."""
    cdef Groups groups = sort(names, made, <dict>cluster.snapshot[2], None)
    cdef list pairs = []
    cdef list odd = []
    cdef dict values = {}
    cdef Py_ssize_t index, hits
    cdef Group group
    cdef Call call
    if groups is None or not groups.are_up():
        return None
    for one in groups.all:
        group = <Group>one
        pairs.append((group.node, make_bare(group.keys)))
    if pairs:
        cluster.run(pairs)
    for index in range(PyList_GET_SIZE(pairs)):
        group = <Group>PyList_GET_ITEM(groups.all, index)
        call = <Call>PyTuple_GET_ITEM(<object>PyList_GET_ITEM(pairs, index), 1)
        if type(call.answer) is list:
            hits = collect_items(group.names, <list>call.answer, values, odd, True)
            counters = group.node.counters
            counters.hits += hits
            counters.misses += call.count - hits
    return values, odd


def collect(list names, list items, dict values, list odd) -> int:
    """See the plain twin."""
    return collect_items(names, items, values, odd, False)


cdef Py_ssize_t collect_items(list names, list items, dict values, list odd, bint reads_text) except -1:
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
        value = item
        if not PyBytes_CheckExact(item):
            value = read_text(item) if reads_text else None
        if value is None:
            odd.append((<object>PyList_GET_ITEM(names, index), item))
        else:
            values[<object>PyList_GET_ITEM(names, index)] = value
    return hits


cdef object read_text(object item):
    # The text or the number that an item is; None where whoever knows all values has to look.
    cdef bytes body = <bytes>PyTuple_GET_ITEM(item, 0)
    cdef const char* text = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    flags = <object>PyTuple_GET_ITEM(item, 1)
    if flags == TEXT:
        try:
            return PyUnicode_DecodeUTF8(text, size, b"surrogatepass")
        except UnicodeDecodeError:
            return None
    return read_number(text, size) if flags == NUMBER else None


cdef object read_number(const char* text, Py_ssize_t size):
    cdef long long number = 0
    cdef Py_ssize_t first = 1 if size and text[0] == b"-" else 0
    cdef Py_ssize_t at
    if not 0 < size - first <= MOST_DIGITS:
        return None
    for at in range(first, size):
        if not 48 <= text[at] <= 57:
            return None
        number = number * 10 + text[at] - 48
    return -number if first else number


cdef bytes find_body(object value, PyObject** flags):
    # What the codec says of bytes, text and numbers, with the flags, which are borrowed; else None.
    cdef int overflow = 0
    cdef long long number
    cdef char digits[24]
    if PyBytes_CheckExact(value):
        flags[0] = <PyObject*>NO_FLAGS
        return <bytes>value if PyBytes_GET_SIZE(value) else None
    if PyUnicode_CheckExact(value):
        flags[0] = <PyObject*>TEXT
        return PyUnicode_AsEncodedString(value, b"utf-8", b"surrogatepass")
    if PyLong_CheckExact(value):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        flags[0] = <PyObject*>NUMBER
        if not overflow:
            return PyBytes_FromStringAndSize(digits, snprintf(digits, sizeof(digits), "%lld", number))
    return None


cdef Groups sort_values(dict values, dict made, dict known, Py_ssize_t plain_below, object flags):
    # None where one of them is not simple.
    cdef Groups groups = Groups()
    cdef Group group = None
    cdef PyObject* last = NULL
    cdef PyObject* wire
    cdef PyObject* node
    cdef PyObject* its_flags = NULL
    cdef bytes body, key
    for name, value in values.items():
        wire = PyDict_GetItemWithError(made, name)
        node = NULL if wire == NULL else find_owner(<object>wire, known)
        if node == NULL:
            return None
        body = find_body(value, &its_flags)
        if body is None or PyBytes_GET_SIZE(body) >= plain_below:
            return None
        if node != last:
            group = groups.find(node)
            last = node
        key = <bytes>PyTuple_GET_ITEM(<object>wire, 0)
        group.names.append(name)
        group.keys.append(key)
        group.items.append((key, body, <object>its_flags if flags is None else flags))
    return groups


cdef Call make_store(Group group, object ttl):
    # What `requests.store_many` gives.
    cdef Call call = Call.__new__(Call)
    cdef Py_ssize_t count = PyList_GET_SIZE(group.keys)
    call.opaque = next_brief()
    call.payload = write_lines(group.items, ttl, call.opaque, True)
    call.kind = QUIET
    call.verb = STORE_MANY
    call.words = (group.items, ttl)
    call.keys = group.keys
    call.count = count
    call.is_fatal = True
    call.is_bulk = PyBytes_GET_SIZE(call.payload) > 4 * BULK_BYTES
    return call


def store_known(object do, dict values, dict made, Py_ssize_t plain_below, object flags, object ttl):
    """See the plain twin."""
    cluster = do.cluster
    cdef Groups groups = sort_values(values, made, <dict>cluster.snapshot[2], plain_below, flags)
    cdef list pairs = []
    cdef list failed = []
    cdef Py_ssize_t index
    cdef Group group
    if groups is None or cluster.policy == "replicate" or not groups.are_up():
        return None
    for one in groups.all:
        group = <Group>one
        pairs.append((group.node, make_store(group, ttl)))
    if pairs:
        do.run_clearly(pairs)
    for index in range(PyList_GET_SIZE(pairs)):
        group = <Group>PyList_GET_ITEM(groups.all, index)
        answer = (<Call>PyTuple_GET_ITEM(<object>PyList_GET_ITEM(pairs, index), 1)).answer
        if answer is not None:
            group.node.counters.writes += PyList_GET_SIZE(group.names)
        add_refused(group.names, answer, failed)
    return failed


def find_refused(list names, object answer) -> list:
    """See the plain twin."""
    cdef list refused = []
    add_refused(names, answer, refused)
    return refused


cdef int add_refused(list names, object answer, list refused) except -1:
    cdef Py_ssize_t count = PyList_GET_SIZE(names)
    cdef Py_ssize_t index
    if type(answer) is not list:
        refused.extend(names)
        return 0
    if PyList_GET_SIZE(answer) != count:
        raise ValueError("there is not one reply for each name")
    for index in range(count):
        reply = <object>PyList_GET_ITEM(answer, index)
        if reply is None or <object>PyTuple_GET_ITEM(reply, 0) != STORED:
            refused.append(<object>PyList_GET_ITEM(names, index))
    return 0
