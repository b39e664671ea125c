"""The Python face of the plane's small parts, for tests: buffers, the timer wheel, and lists of networks."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from wsgistack.balancer.plane.buf cimport Buf, buf_append, buf_consume, buf_data, buf_len, buf_release, buf_reserve
from wsgistack.balancer.plane.networks cimport Ranges, ranges_hold
from wsgistack.balancer.plane.timers cimport Timer, Wheel, timer_at_most, timer_cancel, wheel_init, wheel_run

__all__ = ["Buffer", "TimerWheel", "ranges_hold_address"]

cdef enum:
    TIMERS = 64

cdef int fired[TIMERS]
cdef int n_fired = 0


cdef class Buffer:
    """One Buf; `moves` counts how often its memory became another."""

    cdef Buf buf
    cdef readonly int moves

    def __dealloc__(self):
        buf_release(&self.buf)

    cdef int note(self, const char* before, int result) except -1:
        if result != 0:
            raise MemoryError
        self.moves += self.buf.p != before
        return 0

    def append(self, bytes data) -> None:
        cdef const char* before = self.buf.p
        self.note(before, buf_append(&self.buf, data, len(data)))

    def reserve(self, uint32_t n) -> None:
        cdef const char* before = self.buf.p
        self.note(before, buf_reserve(&self.buf, n))

    def consume(self, uint32_t n) -> None:
        if n > buf_len(&self.buf):
            raise ValueError(f"{n} of {buf_len(&self.buf)} bytes")
        buf_consume(&self.buf, n)

    def release(self) -> None:
        buf_release(&self.buf)

    @property
    def data(self) -> bytes:
        return buf_data(&self.buf)[:buf_len(&self.buf)] if self.buf.p != NULL else b""

    @property
    def capacity(self) -> int:
        return self.buf.cap


cdef void note_fired(void* owner) noexcept nogil:
    global n_fired
    fired[n_fired] = <int><size_t>owner
    n_fired += 1


cdef class TimerWheel:
    """A wheel with timers 0 to 63; `run` returns those that fired, in order."""

    cdef Wheel* wheel
    cdef Timer timers[TIMERS]

    def __cinit__(self, uint64_t now_ms):
        self.wheel = <Wheel*>calloc(1, sizeof(Wheel))
        if self.wheel == NULL:
            raise MemoryError
        wheel_init(self.wheel, now_ms)
        for number in range(TIMERS):
            self.timers[<int>number].owner = <void*><size_t>number

    def __dealloc__(self):
        free(self.wheel)

    def at_most(self, int number, uint64_t at_ms) -> None:
        timer_at_most(self.wheel, &self.timers[number], at_ms)

    def cancel(self, int number) -> None:
        timer_cancel(self.wheel, &self.timers[number])

    def run(self, uint64_t now_ms) -> list:
        global n_fired
        n_fired = 0
        wheel_run(self.wheel, now_ms, note_fired)
        return [fired[i] for i in range(n_fired)]

    @property
    def count(self) -> int:
        return self.wheel.count


def ranges_hold_address(ends: bytes, address: bytes) -> bool:
    """Tell whether the 16 bytes of an address lie in one of the ranges, see networks.pxd."""
    cdef Ranges ranges
    ranges.n = len(ends) // 32
    ranges.ends = <const uint8_t*><const char*>ends
    return bool(ranges_hold(&ranges, <const uint8_t*><const char*>address))
