# The limits of a service, as its workers hold them: made by gate_build.pyx, asked by gate.pyx.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from wsgistack.balancer.plane.limit_kernels cimport LimitRate, LimitState
from wsgistack.balancer.plane.limit_units cimport Lease
from wsgistack.balancer.plane.networks cimport Cidr, Ranges

cdef enum:
    MAX_LIMITS = 4               # of a service, see balancer/limits.py
    MAX_RATES = 5                # of a limit, its bans included
    MAX_KEYS = 2                 # of a limit: a credential, and whose it is
    MAX_CLAIMS = 40
    MAX_PATHS = 8                # of a limit, see balancer/limit_settings.py
    KEY_BYTES = 17               # a kind, and an address or a hash
    KEY_NAME = 64
    LEVELS = 3                   # of priority, see balancer/shedding.py
    MAX_MARKS = 8                # that make a request one of a level


cdef enum KeyBy:                 # in the order of KEYS in gate_build.pyx
    BY_IP = 0
    BY_HEADER
    BY_SERVICE
    BY_ALL


cdef struct Text:                # ready bytes
    char* p
    uint32_t n


cdef enum MarkBy:                # in the order of MARKS in gate_build.pyx
    MARK_PATH = 0
    MARK_FIELD
    MARK_NETWORK


cdef struct LevelMark:           # what makes a request critical, or sheddable
    uint8_t by
    Text text                    # a glob of paths, or of a field's value
    Text name                    # of the field, lower case
    Cidr network


cdef enum:                 # in the order of the rates of a limit that sheds, behind its ban
    SHEDDABLE = 0
    NORMAL
    CRITICAL


cdef struct GateRate:
    LimitRate rate
    uint64_t id                  # of its states in the table
    Text policy                  # its item of RateLimit-Policy
    Text prefix                  # how its item of RateLimit begins
    Text status                  # of a refusal: the status line
    uint16_t code                # and its number
    Text problem                 # the bodies
    Text page
    Text page_end                # the page is followed by when to try again, and by this


cdef struct GateLimit:
    uint32_t slot                # of the scoreboard
    uint8_t by                   # KeyBy
    uint8_t dry_run
    uint8_t tells                # clients what is left
    uint8_t bans                 # it shuts out who is refused too often
    uint8_t count_refused
    uint8_t n_rates
    uint8_t sheds                # a request claims the rates from its level on
    uint8_t n_marks[LEVELS]
    LevelMark* marks[LEVELS]
    uint16_t methods             # a bit for each MethodId; 0: all
    uint8_t n_paths              # 0: all
    Text paths[MAX_PATHS]        # globs
    uint8_t ipv4_bits            # of the 128
    uint8_t ipv6_bits
    Text meter                   # the limit's name in its rows; nothing: it is not metered
    char name[KEY_NAME]          # of the field, lower case
    uint32_t name_len
    uint32_t n_exempt
    Cidr* exempt
    GateRate rates[MAX_RATES]    # the first one is the ban


cdef struct Throttle:            # Perlbal's plugin, see throttle.pyx
    int64_t threshold_us
    int64_t initial_us
    int64_t longest_us
    int64_t ban_us
    int64_t ban_after            # violations; 0: never
    uint32_t events              # that are logged: bits of events.ThrottleEvent
    void* path_regex             # regex_t; NULL: all
    void* method_regex
    GateLimit limit              # its rates: what has the states, and refuses the banned; the delayed requests


cdef struct Gate:
    uint32_t n
    uint8_t watches              # log_only: nobody is refused
    uint8_t about_all            # its limits are about everybody, not only about who is on the deny list
    uint8_t denies               # who is on it
    Ranges allow
    Ranges deny
    void* kept[2]                # the bytes in which these lie
    Throttle* throttle           # NULL: nobody is delayed
    GateLimit limits[MAX_LIMITS]


cdef struct AskerKey:            # whom a limit counts a request by
    uint8_t n
    uint8_t text[KEY_BYTES]
    uint64_t hash


cdef struct Claim:               # one rate under one key
    const GateLimit* limit
    const GateRate* rate
    const AskerKey* key
    uint8_t level                # of the request, where its limit sheds
    LimitState state             # after the decision
    int64_t at                   # of its stamps, see limit_units.pxd
    Lease lease                  # what it took


cdef struct Claims:
    uint32_t n
    int refused                  # which of them has no room; -1: the request may pass
    int64_t wait_us              # until it would have; LIMIT_NEVER
    Claim claims[MAX_CLAIMS]
