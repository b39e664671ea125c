"""A timer wheel whose owners recompute.

A connection has many deadlines (idle, head, body, write, whole request) but one timer.
The timer promises only to fire *not later* than asked; its owner then looks at its own
time stamps, acts on what is due, and asks again.  So a request that begins and ends
within its limits never touches the wheel.  (Varghese and Lauck 1987, scheme 6.)
"""

from libc.stdint cimport uint64_t


cdef void wheel_init(Wheel* w, uint64_t now_ms) noexcept nogil:
    cdef int i
    for i in range(WHEEL_SLOTS):
        w.slots[i].next = &w.slots[i]
        w.slots[i].prev = &w.slots[i]
    w.tick = now_ms // TICK_MS
    w.count = 0


cdef void timer_at_most(Wheel* w, Timer* t, uint64_t at_ms) noexcept nogil:
    cdef uint64_t tick
    cdef Timer* head
    if t.next != NULL:
        if t.at_ms <= at_ms:
            return
        timer_cancel(w, t)
    t.at_ms = at_ms
    tick = at_ms // TICK_MS + 1
    if tick <= w.tick:
        tick = w.tick + 1
    elif tick > w.tick + WHEEL_SLOTS - 1:
        tick = w.tick + WHEEL_SLOTS - 1
    head = &w.slots[tick % WHEEL_SLOTS]
    t.prev = head.prev
    t.next = head
    head.prev.next = t
    head.prev = t
    w.count += 1


cdef void timer_cancel(Wheel* w, Timer* t) noexcept nogil:
    if t.next == NULL:
        return
    t.prev.next = t.next
    t.next.prev = t.prev
    t.next = NULL
    t.prev = NULL
    w.count -= 1


cdef void wheel_run(Wheel* w, uint64_t now_ms, void (*fire)(void* owner) noexcept nogil) noexcept nogil:
    cdef uint64_t target = now_ms // TICK_MS
    cdef Timer* head
    cdef Timer* t
    if target > w.tick + WHEEL_SLOTS:
        w.tick = target - WHEEL_SLOTS     # after a long pause one round visits every slot
    while w.tick < target:
        w.tick += 1
        head = &w.slots[w.tick % WHEEL_SLOTS]
        # New timers go at least one tick ahead, so this list only shrinks while it runs.
        while head.next != head:
            t = head.next
            timer_cancel(w, t)
            if t.at_ms > now_ms:
                timer_at_most(w, t, t.at_ms)
                if t.prev == head and head.next == t:
                    break                 # came back into this very slot: a full round away
            else:
                fire(t.owner)
