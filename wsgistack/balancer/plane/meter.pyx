"""Metering in a worker: who asked how often, by limit, key, class of status and hour.

A row of seven counts lies in a file that is mapped (ratelimit/rows.py), so that counting is an
addition: no system call, and what was counted stays when the process is killed.  Python makes a row
once for each limit, key and hour.  A request holds its rows from its decision to its end, and is
counted in the hour in which it ends.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from wsgistack.balancer.plane.board cimport TOP_KEYS, LimitCount, TopKey
from wsgistack.balancer.plane.core cimport Client, Core
from wsgistack.balancer.plane.exchange cimport MOST_METERED, Exchange
from wsgistack.balancer.plane.gates cimport KEY_BYTES, AskerKey, GateLimit
from wsgistack.balancer.plane.octets cimport same_word
from wsgistack.balancer.plane.wire cimport Field, Head

from wsgistack.balancer.metering import Book

cdef enum:
    PLACES = 1 << 18             # of the table; Plane.open_meter: 100,000 keys, as ratelimit/meter.py
    RETRY_MS = 1000              # after no row could be made
    HOUR_S = 3600

cdef struct Row:
    uint64_t hash
    uint64_t epoch               # of the table: of another one the counts are not mapped any more
    uint64_t* counts             # in the order of rows.COLUMNS
    uint32_t slot                # of the limit
    uint32_t refs                # the table, and requests
    void* place                  # (rule, key)

cdef struct Meter:
    void* book                   # a metering.Book
    uint64_t hour
    uint64_t epoch
    uint64_t retry_ms
    uint32_t n
    uint32_t most
    Row* rows[PLACES]            # by hash, then the next free place


cdef uint64_t epochs = 0         # tables that there were, over all hours and folders


cdef inline Row** find_place(Meter* m, uint64_t hash) noexcept nogil:
    cdef uint32_t at = <uint32_t>(hash >> 20) & (PLACES - 1)
    while m.rows[at] != NULL and m.rows[at].hash != hash:
        at = (at + 1) & (PLACES - 1)
    return &m.rows[at]


cdef inline void unref(Row* row) noexcept nogil:
    row.refs -= 1
    if row.refs == 0:
        free_row(row)


cdef void free_row(Row* row) noexcept with gil:
    Py_DECREF(<object>row.place)
    free(row)


cdef void begin_hour(Meter* m, uint64_t hour) noexcept nogil:
    global epochs
    cdef uint32_t i
    if m.n:
        for i in range(PLACES):
            if m.rows[i] != NULL:
                unref(m.rows[i])
        memset(m.rows, 0, sizeof(m.rows))
    epochs += 1
    m.n = 0
    m.hour = hour
    m.epoch = epochs


cdef inline Meter* this_hour(Core* core) noexcept nogil:
    cdef Meter* m = <Meter*>core.meter
    if core.epoch_s // HOUR_S > m.hour:      # never back: the clock may be set
        begin_hour(m, core.epoch_s // HOUR_S)
    return m


# -- rows ----------------------------------------------------------------------------------

cdef Row* make_row(Core* core, Meter* m, Row** place, uint64_t hash, uint32_t slot, object what) noexcept:
    cdef Py_buffer buf
    cdef Row* row = <Row*>calloc(1, sizeof(Row))
    try:
        if row == NULL:
            raise MemoryError
        counts = (<object>m.book).add(m.hour, *what)
        PyObject_GetBuffer(counts, &buf, PyBUF_WRITABLE)
        row.counts = <uint64_t*>buf.buf
        PyBuffer_Release(&buf)   # the book keeps it mapped until the hour is over
    except Exception as error:
        free(row)
        m.retry_ms = core.now_ms + RETRY_MS
        (<object>m.book).tell(error)
        return NULL
    row.hash, row.epoch, row.slot, row.refs, row.place = hash, m.epoch, slot, 1, <void*>what
    Py_INCREF(what)
    place[0] = row
    m.n += 1
    return row


cdef bytes field_of(const GateLimit* limit, const Head* h, const char* p):
    cdef const Field* f
    cdef uint32_t i
    values = []
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.name_len == limit.name_len and same_word(<const unsigned char*>p + f.name, limit.name, f.name_len) and f.value_len:
            values.append((p + f.value)[:f.value_len])
    return b", ".join(values)


cdef Row* new_row(Client* c, Meter* m, Row** place, const GateLimit* limit, const AskerKey* key, uint64_t hash,
                  const Head* h, const char* p) noexcept with gil:
    text = (<const char*>key.text)[:key.n]
    rule = limit.meter.p[:limit.meter.n].decode()
    credential = field_of(limit, h, p) if text[:1] == b"h" else b""
    what = (rule, (<object>m.book).key(text, c.service.name.decode(), credential, limit.ipv6_bits))
    return make_row(c.ep.core, m, place, hash, limit.slot, what)


cdef Row* others_row(Core* core, Meter* m, const GateLimit* limit) noexcept with gil:
    cdef uint64_t hash = ~limit.rates[0].id
    cdef Row** place = find_place(m, hash)
    if place[0] != NULL:
        return place[0]
    return make_row(core, m, place, hash, limit.slot, (limit.meter.p[:limit.meter.n].decode(), (<object>m.book).OTHERS))


cdef Row* row_again(Core* core, Meter* m, const Row* old) noexcept with gil:
    # Of a request that began in another hour.
    cdef Row** place = find_place(m, old.hash)
    if place[0] != NULL:
        return place[0]
    return make_row(core, m, place, old.hash, old.slot, <object>old.place)


# -- heavy hitters -------------------------------------------------------------------------

cdef void count_top(TopKey* top, const AskerKey* key) noexcept nogil:
    # Space-Saving (Metwally, Agrawal, El Abbadi 2005): who is new takes the place of the rarest, and its count.
    cdef uint32_t i, rarest = 0
    for i in range(TOP_KEYS):
        if top[i].hash == key.hash:
            top[i].count += 1
            return
        if top[i].count < top[rarest].count:
            rarest = i
    top[rarest].hash = key.hash
    top[rarest].count += 1
    top[rarest].n = key.n
    for i in range(KEY_BYTES):
        top[rarest].text[i] = key.text[i]


# -- one request ---------------------------------------------------------------------------

cdef void meter_begin(Client* c, const GateLimit* limit, const AskerKey* keys, int n, const Head* h, const char* p) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Meter* m = this_hour(core)
    cdef LimitCount* counts = &core.board.mine.limits[limit.slot]
    cdef Exchange* ex = c.ex
    cdef Row** place
    cdef Row* row
    cdef uint64_t hash
    cdef int k
    for k in range(n):
        hash = keys[k].hash ^ limit.rates[0].id
        place = find_place(m, hash)
        row = place[0]
        if row == NULL and m.retry_ms > core.now_ms:
            pass
        elif row == NULL and m.n >= m.most:
            count_top(counts.heavy, &keys[k])
            row = others_row(core, m, limit)
        elif row == NULL:
            row = new_row(c, m, place, limit, &keys[k], hash, h, p)
        if row == NULL or ex.n_metered == MOST_METERED:
            counts.unmetered += 1
            continue
        row.refs += 1
        ex.metered[ex.n_metered] = row
        ex.n_metered += 1


cdef void meter_refused(Core* core, Exchange* ex, const GateLimit* limit, const AskerKey* key, int column) noexcept nogil:
    # Under the row of that key alone; where it has none, under (others).
    cdef Row* row
    cdef uint64_t hash = key.hash ^ limit.rates[0].id
    cdef int i
    for i in range(ex.n_metered):
        row = <Row*>ex.metered[i]
        if row.epoch == (<Meter*>core.meter).epoch and (row.hash == hash or row.hash == ~limit.rates[0].id):
            row.counts[column] += 1
            return


cdef void meter_end(Core* core, Exchange* ex) noexcept nogil:
    # A client that left before the response began was told nothing, and is not counted.
    cdef int i, column = ex.status // 100 - 1
    cdef Meter* m = this_hour(core) if core.meter != NULL else NULL
    cdef Row* row
    cdef Row* now
    for i in range(ex.n_metered):
        row = <Row*>ex.metered[i]
        if m != NULL and ex.status:
            now = row if row.epoch == m.epoch else row_again(core, m, row)
            if now != NULL:
                now.counts[column if 0 <= column < 5 else 4] += 1
            else:
                core.board.mine.limits[row.slot].unmetered += 1
        unref(row)
    ex.n_metered = 0


# -- the plane's -----------------------------------------------------------------------------

cdef int meter_open(Core* core, str folder, object tell, uint32_t most) except -1:
    cdef Meter* m
    book = Book(folder, tell) if folder else None
    meter_close(core)
    if book is None:
        return 0
    m = <Meter*>calloc(1, sizeof(Meter))
    if m == NULL:
        raise MemoryError
    m.most = most if most < PLACES // 2 else PLACES // 2
    m.book = <void*>book
    Py_INCREF(book)
    begin_hour(m, 0)
    core.meter = m
    return 0


cdef void meter_close(Core* core) noexcept:
    cdef Meter* m = <Meter*>core.meter
    if m == NULL:
        return
    begin_hour(m, m.hour)
    core.meter = NULL
    Py_DECREF(<object>m.book)
    free(m)
