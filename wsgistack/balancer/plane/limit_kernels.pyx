"""How a limit counts: the compiled twins of ratelimit/algorithms/ and ratelimit/bans.py.

All is integer arithmetic in microseconds; where a product may pass 64 bits it is made in 128.
A state of zeros is none.  gcra keeps its arrival time as whole microseconds and a rest, so that
each word can be written alone: whoever dies between two writes leaves less than a microsecond wrong.
A ban packs four numbers into two words: times and end of its window, refusals and end of the ban.
exact and concurrent have no state of that size: limit_units.pyx.
"""

from libc.stdint cimport int64_t

from wsgistack.ratelimit.algorithms.calendar import window_end
from wsgistack.ratelimit.decision import NEAR

cdef extern from *:
    ctypedef long long wide "__int128"

KINDS = ("gcra", "fixed", "sliding", "calendar", "ban", "exact", "concurrent")    # LimitKind
CALENDARS: list[tuple[str, str]] = []    # (unit, zone) of all calendars that some rate ever had here

cdef enum:
    TIME_BITS = 54               # microseconds: 570 years
    MOST_TIMES = 500

cdef int64_t TIME_MASK = (<int64_t>1 << TIME_BITS) - 1
BAN_MOST_REFUSALS = 500


# -- gcra ----------------------------------------------------------------------------------

cdef inline void gcra_step(const LimitRate* r, const LimitState* s, int64_t now, int64_t* a, int64_t* b) noexcept nogil:
    a[0] = now if s.a < now else s.a
    b[0] = (0 if s.a < now else s.b) + r.step_rest
    a[0] += r.step_us
    if b[0] >= r.amount:
        b[0] -= r.amount
        a[0] += 1


cdef inline void gcra_put(LimitState* s, int64_t a, int64_t b) noexcept nogil:
    s.a = a
    s.b = b
    s.ends_us = a + (b > 0)


cdef int64_t gcra_decide(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    cdef int64_t a, b, over_us, over_rest
    gcra_step(r, s, now, &a, &b)
    over_us = a - now - r.full_us
    over_rest = b - r.full_rest
    if over_us < 0 or (over_us == 0 and over_rest <= 0):
        gcra_put(s, a, b)
        return 0
    return over_us + (over_rest > 0) if r.cost <= r.burst else LIMIT_NEVER


cdef int64_t gcra_quota(const LimitRate* r, const LimitState* s, int64_t now, int64_t* more_us) noexcept nogil:
    cdef wide ahead = <wide>(s.a - now) * r.amount + s.b
    cdef wide full = <wide>r.burst * r.window_us
    cdef wide left, missing
    if s.ends_us <= now or ahead <= 0:
        more_us[0] = 0
        return r.burst
    left = (full - ahead) // r.window_us if full > ahead else 0
    missing = (left + 1) * r.window_us + ahead - full
    more_us[0] = <int64_t>((missing + r.amount - 1) // r.amount)
    return <int64_t>left


# -- fixed, and windows of the calendar ----------------------------------------------------

cdef void find_window(LimitRate* r, int64_t now, int64_t offset_us) noexcept with gil:
    # Once in a window, and when the clock was set: time zones are Python's.
    try:
        unit, zone = CALENDARS[r.calendar]
        r.end_wall_us = window_end(unit, zone, now + offset_us)
    except Exception:            # a zone that this machine has lost
        r.end_wall_us = now + offset_us + r.window_us
    r.offset_us = offset_us
    r.end_us = r.end_wall_us - offset_us


cdef void limit_turn(const LimitRate* r, int64_t now, int64_t offset_us) noexcept nogil:
    if r.kind == LIMIT_CALENDAR and (now + offset_us >= r.end_wall_us or offset_us != r.offset_us):
        find_window(<LimitRate*>r, now, offset_us)


cdef inline int64_t fixed_end(const LimitRate* r, int64_t now) noexcept nogil:
    return r.end_us if r.kind == LIMIT_CALENDAR else now + r.window_us


cdef int64_t fixed_decide(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    if r.cost > r.amount:
        return LIMIT_NEVER
    if s.ends_us <= now:
        s.a = r.cost
        s.ends_us = fixed_end(r, now)
        return 0
    if s.a + r.cost > r.amount:
        return s.ends_us - now
    s.a += r.cost
    return 0


cdef void fixed_charge(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    if s.ends_us <= now:
        s.a = 0
        s.ends_us = fixed_end(r, now)
    s.a += r.cost


cdef int64_t fixed_quota(const LimitRate* r, const LimitState* s, int64_t now, int64_t* more_us) noexcept nogil:
    if s.ends_us <= now or s.a == 0:
        more_us[0] = 0
        return r.amount
    more_us[0] = s.ends_us - now
    return r.amount - s.a if r.amount > s.a else 0


# -- sliding -------------------------------------------------------------------------------

cdef inline int64_t sliding_turn(const LimitRate* r, const LimitState* s, int64_t now, int64_t* before, int64_t* used) noexcept nogil:
    # Return the index of the window that counts, and what was used in the one before and in it.
    cdef int64_t index = now // r.window_us
    cdef int64_t kept = s.ends_us // r.window_us - 2
    before[0] = 0
    used[0] = 0
    if s.ends_us == 0 or kept < index - 1:
        return index
    if kept >= index:
        before[0] = s.a
        used[0] = s.b
        return kept
    before[0] = s.b
    return index


cdef inline void sliding_put(const LimitRate* r, LimitState* s, int64_t index, int64_t before, int64_t used) noexcept nogil:
    s.a = before
    s.b = used
    s.ends_us = (index + 2) * r.window_us


cdef inline int64_t sliding_fading(const LimitRate* r, int64_t passed) noexcept nogil:
    # Return how much of the window before still counts; *passed* is below 0 where another worker opened this
    # one, whose turn of the loop began a moment later.
    return r.window_us - passed if passed > 0 else r.window_us


cdef int64_t sliding_wait(const LimitRate* r, int64_t before, int64_t used, int64_t cost, int64_t passed) noexcept nogil:
    cdef int64_t window = r.window_us, room = r.amount - cost, wait
    if used <= room and before:
        wait = window - <int64_t>(<wide>(room - used) * window // before) - passed
        return wait if wait > 1 else 1
    if not used:
        return window - passed if window - passed > 1 else 1
    wait = window - <int64_t>(<wide>room * window // used)
    wait = window - passed + (wait if wait > 0 else 0)
    return wait if wait else 1


cdef int64_t sliding_decide(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    cdef int64_t before, used
    cdef int64_t index = sliding_turn(r, s, now, &before, &used)
    cdef int64_t passed = now - index * r.window_us
    cdef wide counted = <wide>before * sliding_fading(r, passed) + <wide>(used + r.cost) * r.window_us
    if counted <= <wide>r.amount * r.window_us:
        sliding_put(r, s, index, before, used + r.cost)
        return 0
    if r.cost > r.amount:
        return LIMIT_NEVER
    return sliding_wait(r, before, used, r.cost, passed)


cdef void sliding_charge(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    cdef int64_t before, used
    cdef int64_t index = sliding_turn(r, s, now, &before, &used)
    sliding_put(r, s, index, before, used + r.cost)


cdef int64_t sliding_quota(const LimitRate* r, const LimitState* s, int64_t now, int64_t* more_us) noexcept nogil:
    cdef int64_t before, used, left
    cdef int64_t passed = now - sliding_turn(r, s, now, &before, &used) * r.window_us
    cdef wide room = <wide>(r.amount - used) * r.window_us - <wide>before * sliding_fading(r, passed)
    left = <int64_t>(room // r.window_us) if room > 0 else 0
    more_us[0] = sliding_wait(r, before, used, left + 1, passed) if left < r.amount else 0
    return left


# -- bans ----------------------------------------------------------------------------------

cdef inline int64_t ban_until(const LimitState* s) noexcept nogil:
    return s.b & TIME_MASK


cdef void ban_charge(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    cdef int64_t end = s.a & TIME_MASK, times = s.a >> TIME_BITS
    cdef int64_t until = ban_until(s), refusals = s.b >> TIME_BITS
    cdef wide length
    if until > now:
        return
    if until and until + r.longest_us <= now:
        times = 0
    if end <= now:
        end = now + r.window_us
        refusals = 0
    refusals += 1
    if refusals >= r.amount:
        length = <wide>r.length_us << (times if times < 40 else 40)
        until = now + (<int64_t>length if length < r.longest_us else r.longest_us)
        refusals = 0
        times = times + 1 if times < MOST_TIMES else times
    s.a = times << TIME_BITS | end
    s.b = refusals << TIME_BITS | until
    s.ends_us = until + r.longest_us if until and until + r.longest_us > end else end


# -- all of them ---------------------------------------------------------------------------

cdef int64_t limit_decide(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    if r.kind == LIMIT_GCRA:
        return gcra_decide(r, s, now)
    if r.kind == LIMIT_FIXED or r.kind == LIMIT_CALENDAR:
        return fixed_decide(r, s, now)
    if r.kind == LIMIT_SLIDING:
        return sliding_decide(r, s, now)
    return ban_until(s) - now if ban_until(s) > now else 0


cdef void limit_charge(const LimitRate* r, LimitState* s, int64_t now) noexcept nogil:
    cdef int64_t a, b
    if r.kind == LIMIT_GCRA:
        gcra_step(r, s, now, &a, &b)
        gcra_put(s, a, b)
    elif r.kind == LIMIT_FIXED or r.kind == LIMIT_CALENDAR:
        fixed_charge(r, s, now)
    elif r.kind == LIMIT_SLIDING:
        sliding_charge(r, s, now)
    else:
        ban_charge(r, s, now)


cdef int64_t limit_quota(const LimitRate* r, const LimitState* s, int64_t now, int64_t* more_us) noexcept nogil:
    if r.kind == LIMIT_GCRA:
        return gcra_quota(r, s, now, more_us)
    if r.kind == LIMIT_FIXED or r.kind == LIMIT_CALENDAR:
        return fixed_quota(r, s, now, more_us)
    if r.kind == LIMIT_SLIDING:
        return sliding_quota(r, s, now, more_us)
    if r.kind > LIMIT_BAN:
        more_us[0] = s.b
        return s.a
    more_us[0] = ban_until(s) - now if ban_until(s) > now else 0
    return 0


cdef int limit_is_near(const LimitRate* r, const LimitState* s, int64_t now) noexcept nogil:
    # What limit_quota says of the units left, without its divisions: each request that passes is asked.
    cdef int64_t before, used, passed
    cdef wide room
    if r.kind == LIMIT_GCRA:
        return s.a - now > r.near_us or (s.a - now == r.near_us and s.b > r.near_rest)
    if r.kind == LIMIT_FIXED or r.kind == LIMIT_CALENDAR:
        return s.ends_us > now and r.amount - s.a <= r.near_left
    if r.kind == LIMIT_SLIDING:
        passed = now - sliding_turn(r, s, now, &before, &used) * r.window_us
        room = <wide>(r.amount - used) * r.window_us - <wide>before * sliding_fading(r, passed)
        return room < <wide>(r.near_left + 1) * r.window_us
    return r.kind != LIMIT_BAN and s.a <= r.near_left


cdef int limit_fill(LimitRate* r, dict numbers) except -1:
    r.kind = KINDS.index(numbers["kind"])
    r.amount = numbers["amount"]
    r.window_us = numbers["window_us"]
    r.burst = numbers["burst"]
    r.cost = numbers["cost"]
    r.length_us = numbers["length_us"]
    r.longest_us = numbers["longest_us"]
    r.near_left = numbers["burst"] // NEAR
    if numbers["calendar"]:
        calendar = tuple(numbers["calendar"])
        if calendar not in CALENDARS:
            CALENDARS.append(calendar)
        r.calendar = CALENDARS.index(calendar)
    r.full_us, r.full_rest = divmod(numbers["burst"] * numbers["window_us"], numbers["amount"])
    r.near_us, r.near_rest = divmod((numbers["burst"] - r.near_left - 1) * numbers["window_us"], numbers["amount"])
    r.step_us, r.step_rest = divmod(numbers["cost"] * numbers["window_us"], numbers["amount"])
    return 0


# -- the face for tests --------------------------------------------------------------------

cdef class Kernel:
    """One rate with the state of one key, driven from Python; *numbers*: see LimitRate."""

    cdef LimitRate rate
    cdef LimitState state

    def __init__(self, numbers: dict):
        limit_fill(&self.rate, numbers)
        self.state.ends_us = self.state.a = self.state.b = 0

    def decide(self, now: int) -> int:
        """Return 0 if a request may pass, else its wait."""
        limit_turn(&self.rate, now, 0)
        return limit_decide(&self.rate, &self.state, now)

    def charge(self, now: int) -> None:
        """Count one whatever the limit says."""
        limit_turn(&self.rate, now, 0)
        limit_charge(&self.rate, &self.state, now)

    def quota(self, now: int) -> tuple:
        """Return (units left, microseconds until there are more)."""
        cdef int64_t more_us = 0
        left = limit_quota(&self.rate, &self.state, now, &more_us)
        return left, more_us

    def is_near(self, now: int) -> bool:
        """Tell whether little is left."""
        return bool(limit_is_near(&self.rate, &self.state, now))

    @property
    def words(self) -> tuple:
        """The state as it lies in memory: (ends_us, a, b)."""
        return self.state.ends_us, self.state.a, self.state.b
