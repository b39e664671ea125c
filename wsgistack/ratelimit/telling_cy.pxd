cdef class Teller:
    cdef tuple _policies
    cdef list _items

    cdef list told(self, states, now)
