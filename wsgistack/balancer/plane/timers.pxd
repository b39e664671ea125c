# A timer wheel: setting, moving and cancelling a deadline are O(1) and usually free.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    TICK_MS = 50                 # resolution
    WHEEL_SLOTS = 1024           # later deadlines (over 51 s) come round again


cdef struct Timer:
    Timer* next                  # NULL: not in the wheel
    Timer* prev
    uint64_t at_ms               # when it fires; firing early is allowed, its owner then sets it again
    void* owner


cdef struct Wheel:
    Timer slots[WHEEL_SLOTS]     # list heads
    uint64_t tick                # last tick that ran
    uint32_t count

cdef void wheel_init(Wheel* w, uint64_t now_ms) noexcept nogil
# Make sure that t fires not later than at_ms; one that fires earlier already stays as it is.
cdef void timer_at_most(Wheel* w, Timer* t, uint64_t at_ms) noexcept nogil
cdef void timer_cancel(Wheel* w, Timer* t) noexcept nogil
# Call fire(owner) for each timer due; a fired timer is out of the wheel when fire runs.
cdef void wheel_run(Wheel* w, uint64_t now_ms, void (*fire)(void* owner) noexcept nogil) noexcept nogil
