"""From a snapshot's limits (Limit.as_wire) to what the workers decide by."""

from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from wsgistack.balancer.plane.configure cimport fill_cidr, own_text
from wsgistack.balancer.plane.gates cimport (
    KEY_NAME,
    LEVELS,
    MARK_NETWORK,
    MAX_LIMITS,
    MAX_MARKS,
    MAX_PATHS,
    MAX_RATES,
    Gate,
    GateLimit,
    GateRate,
    LevelMark,
    Text,
    Throttle,
)
from wsgistack.balancer.plane.limit_kernels cimport limit_fill
from wsgistack.balancer.plane.networks cimport Cidr, Ranges
from wsgistack.balancer.plane.throttle cimport throttle_fill
from wsgistack.balancer.plane.wire cimport (
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PATCH,
    M_POST,
    M_PUT,
    M_TRACE,
)

from wsgistack.balancer.throttle import EVENTS

cdef extern from "<regex.h>" nogil:
    ctypedef struct regex_t:
        pass
    enum:
        REG_EXTENDED
        REG_NOSUB
    int regcomp(regex_t* regex, const char* pattern, int flags)
    void regfree(regex_t* regex)

MARKS = ("path", "field", "network")           # MarkBy
KEYS = ("ip", "header", "service", "global")   # KeyBy
METHODS = {"GET": M_GET, "HEAD": M_HEAD, "POST": M_POST, "PUT": M_PUT, "DELETE": M_DELETE,
           "OPTIONS": M_OPTIONS, "TRACE": M_TRACE, "PATCH": M_PATCH}
LONGEST_PAGE = 400               # of gate_answer's page, without the seconds


cdef int fill_text(Text* text, str given) except -1:
    cdef bytes raw = given.encode()
    text.p = own_text(raw)
    text.n = len(raw)
    return 0


cdef int fill_rate(GateRate* rate, dict spec) except -1:
    if len(spec["page"]) + len(spec["page_end"]) > LONGEST_PAGE:
        raise ValueError(f"a page of {len(spec['page'])} bytes")
    limit_fill(&rate.rate, spec["numbers"])
    rate.id = spec["id"]
    rate.code = spec["code"]
    fill_text(&rate.policy, spec["policy"])
    fill_text(&rate.prefix, spec["prefix"])
    fill_text(&rate.status, spec["status"])
    fill_text(&rate.problem, spec["problem"])
    fill_text(&rate.page, spec["page"])
    fill_text(&rate.page_end, spec["page_end"])
    return 0


cdef int fill_marks(GateLimit* limit, int level, list marks) except -1:
    cdef LevelMark* mark
    if len(marks) > MAX_MARKS:
        raise ValueError(f"{len(marks)} marks of a level")
    limit.marks[level] = <LevelMark*>calloc(len(marks) + 1, sizeof(LevelMark))
    if limit.marks[level] == NULL:
        raise MemoryError
    for i, (by, name, text) in enumerate(marks):
        mark = &limit.marks[level][<int>i]
        limit.n_marks[level] = i + 1
        mark.by = MARKS.index(by)
        if mark.by == MARK_NETWORK:
            fill_cidr(&mark.network, text)
            continue
        fill_text(&mark.name, name)
        fill_text(&mark.text, text)
    return 0


cdef int fill_limit(GateLimit* limit, dict spec, bint dry_run) except -1:
    cdef int i
    cdef bytes name = spec["name"].encode()
    if len(name) >= KEY_NAME or len(spec["rates"]) > MAX_RATES:
        raise ValueError(f"{len(spec['rates'])} rates by {spec['name']!r}")
    limit.slot = spec["slot"]
    limit.by = KEYS.index(spec["by"])
    memcpy(limit.name, <const char*>name, len(name))
    limit.name_len = len(name)
    fill_text(&limit.meter, spec["meter"])
    limit.dry_run = dry_run or spec["dry_run"]
    limit.tells = spec["tells"]
    limit.bans = spec["bans"]
    limit.count_refused = spec["count_refused"]
    limit.methods = sum([1 << METHODS[word] for word in spec["methods"]])
    if len(spec["path"]) > MAX_PATHS:
        raise ValueError(f"{len(spec['path'])} paths")
    for i, glob in enumerate(spec["path"]):
        limit.n_paths = i + 1
        fill_text(&limit.paths[i], glob)
    limit.ipv4_bits = 96 + spec["ipv4_prefix"]
    limit.ipv6_bits = spec["ipv6_prefix"]
    limit.exempt = <Cidr*>calloc(len(spec["exempt"]) + 1, sizeof(Cidr))
    if limit.exempt == NULL:
        raise MemoryError
    for i, text in enumerate(spec["exempt"]):
        fill_cidr(&limit.exempt[i], text)
    limit.n_exempt = len(spec["exempt"])
    limit.sheds = bool(spec["levels"])
    if limit.sheds and (len(spec["levels"]) != LEVELS or len(spec["rates"]) != 1 + LEVELS):
        raise ValueError(f"{len(spec['levels'])} levels, {len(spec['rates'])} rates")
    for i, marks in enumerate(spec["levels"]):
        fill_marks(limit, i, marks)
    for i, rate in enumerate(spec["rates"]):
        limit.n_rates = i + 1
        fill_rate(&limit.rates[i], rate)
    return 0


# -- Perlbal's Throttle ----------------------------------------------------------------------

cdef void* make_regex(str pattern) except? NULL:
    cdef regex_t* regex
    if not pattern:
        return NULL
    regex = <regex_t*>calloc(1, sizeof(regex_t))
    if regex == NULL:
        raise MemoryError
    if regcomp(regex, pattern.encode(), REG_EXTENDED | REG_NOSUB) != 0:
        free(regex)
        raise ValueError(f"{pattern!r} is no pattern")
    return regex


cdef Throttle* make_throttle(dict spec) except NULL:
    cdef Throttle* r = <Throttle*>calloc(1, sizeof(Throttle))
    if r == NULL:
        raise MemoryError
    try:
        throttle_fill(r, spec)
        r.events = sum([1 << EVENTS.index(word) for word in spec["events"]])
        fill_limit(&r.limit, spec["limit"], False)
        r.path_regex = make_regex(spec["path"])
        r.method_regex = make_regex(spec["method"])
    except BaseException:
        free_throttle(r)
        raise
    return r


cdef void free_throttle(Throttle* r) noexcept:
    if r == NULL:
        return
    free_limit(&r.limit)
    for regex in (<size_t>r.path_regex, <size_t>r.method_regex):
        if regex:
            regfree(<regex_t*><size_t>regex)
            free(<void*><size_t>regex)
    free(r)


# -- all of a service -------------------------------------------------------------------------

cdef void fill_list(Gate* gate, int i, Ranges* ranges, bytes ends):
    Py_INCREF(ends)
    gate.kept[i] = <void*>ends
    ranges.ends = <const uint8_t*><const char*>ends
    ranges.n = len(ends) // 32


cdef Gate* make_gate(list limits, dict settings, bytes allow, bytes deny, dict throttle) except NULL:
    cdef Gate* gate = <Gate*>calloc(1, sizeof(Gate))
    cdef int i
    if gate == NULL:
        raise MemoryError
    try:
        if len(limits) > MAX_LIMITS:
            raise ValueError(f"{len(limits)} limits, at most {MAX_LIMITS} fit")
        for i, spec in enumerate(limits):
            gate.n = i + 1
            fill_limit(&gate.limits[i], spec, settings["log_only"])
        if throttle is not None:
            gate.throttle = make_throttle(throttle)
        fill_list(gate, 0, &gate.allow, allow)
        fill_list(gate, 1, &gate.deny, deny)
        gate.watches = settings["log_only"]
        gate.about_all = settings["default_action"] == "throttle"
        gate.denies = settings["blacklist_action"] == "deny"
    except BaseException:
        free_gate(gate)
        raise
    return gate


cdef void free_marks(GateLimit* limit) noexcept:
    cdef int i, j
    for i in range(LEVELS):
        for j in range(limit.n_marks[i]):
            free(limit.marks[i][j].name.p)
            free(limit.marks[i][j].text.p)
        free(limit.marks[i])


cdef void free_limit(GateLimit* limit) noexcept:
    cdef GateRate* rate
    cdef unsigned int i
    for i in range(limit.n_rates):
        rate = &limit.rates[i]
        free(rate.policy.p)
        free(rate.prefix.p)
        free(rate.status.p)
        free(rate.problem.p)
        free(rate.page.p)
        free(rate.page_end.p)
    for i in range(limit.n_paths):
        free(limit.paths[i].p)
    free(limit.exempt)
    free(limit.meter.p)
    free_marks(limit)


cdef void free_gate(Gate* gate) noexcept:
    cdef unsigned int i
    if gate == NULL:
        return
    for i in range(gate.n):
        free_limit(&gate.limits[i])
    free_throttle(gate.throttle)
    for i in range(2):
        Py_XDECREF(<PyObject*>gate.kept[i])
    free(gate)
