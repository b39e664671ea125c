# The compiled twins of ratelimit/algorithms/ and ratelimit/bans.py; a contract test compares them.

from libc.stdint cimport int64_t, uint8_t


cdef extern from *:
    const int64_t FOREVER "INT64_MAX"    # the end of what lasts until somebody ends it


cdef enum LimitKind:             # in the order of KINDS
    LIMIT_GCRA = 0
    LIMIT_FIXED
    LIMIT_SLIDING
    LIMIT_CALENDAR
    LIMIT_BAN
    LIMIT_EXACT                  # from here on each unit has a place of its own: limit_units.pyx
    LIMIT_CONCURRENT

cdef enum:
    LIMIT_NEVER = -1             # a wait that does not help: algorithms.NEVER


cdef struct LimitRate:           # one rate, or a ban, with its numbers looked up once
    uint8_t kind
    int64_t amount               # of a ban: refusals
    int64_t window_us
    int64_t burst
    int64_t cost                 # of a request; of a ban a refusal costs 1
    int64_t full_us              # gcra: how far the arrival time may lie ahead, in us and 1/amount us
    int64_t full_rest
    int64_t step_us              # gcra: by how much a request moves it
    int64_t step_rest
    int64_t length_us            # ban: the first one, and the longest
    int64_t longest_us
    int64_t near_left            # who has no more than this left is near: decision.NEAR of what may come at once
    int64_t near_us              # gcra: and whose arrival time lies further ahead than this
    int64_t near_rest
    int calendar                 # which of CALENDARS
    int64_t end_us               # calendar: when the window at hand ends, as states have it
    int64_t end_wall_us          # and as clocks on the wall do
    int64_t offset_us            # between the two when this was found


cdef struct LimitState:          # of one key; from ends_us on it is as good as none
    int64_t ends_us
    int64_t a                    # gcra: arrival time in us; fixed, calendar: used; sliding: used before; ban: see there
    int64_t b                    # gcra: its rest in 1/amount us; sliding: used
                                 # exact and concurrent, while a request is decided: units left, us until there are more


# Know the window at hand of a calendar's rate; before the next two. *offset_us*: the wall's clock minus *now*.
cdef void limit_turn(const LimitRate* r, int64_t now, int64_t offset_us) noexcept nogil
# Return 0 and change the state when a request may pass, else how many us it has to wait.
cdef int64_t limit_decide(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil
# Count a request (of a ban: a refusal) whatever the limit says.
cdef void limit_charge(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil
# Return how many units may pass now, and in how many us there are more (0: all are there).
cdef int64_t limit_quota(const LimitRate* r, const LimitState* s, int64_t now, int64_t* more_us) noexcept nogil
# Tell whether a state after a decision has near_left units or less left.
cdef int limit_is_near(const LimitRate* r, const LimitState* s, int64_t now) noexcept nogil
# Read the numbers that a snapshot tells of a rate: see balancer/limits.py.
cdef int limit_fill(LimitRate* r, dict numbers) except -1
