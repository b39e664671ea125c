"""What was learned of applications' cookies: cookie -> node, one table of fixed size for all workers.

Only hashes are kept, 65,536 of them in a megabyte of the scoreboard.  A cookie has eight
places to choose from; the one that was used longest ago makes room.  Workers write without
a lock: a place is emptied, its word written, then its key, so that a reader meets a whole
entry or none.  Two that store into one place at once leave one of the two.
"""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint64_t learned_load(const uint64_t* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void learned_put(uint64_t* p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

    /* Multiply and fold, as wyhash and MUM: each bit of the input reaches each bit of the result. */
    static inline uint64_t learned_mix(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

    static inline uint64_t learned_hash(uint64_t seed, uint64_t other, const char* p, uint32_t n) {
        uint64_t h = learned_mix(seed ^ n, other | 1), w;
        for (; n >= 8; n -= 8, p += 8) {
            memcpy(&w, p, 8);
            h = learned_mix(h ^ w, other ^ 0x9E3779B97F4A7C15u);
        }
        w = 0;
        memcpy(&w, p, n);
        return learned_mix(h ^ w, other ^ 0xD6E8FEB86659FD93u);
    }
    """
    uint64_t load "learned_load"(const uint64_t* p) nogil
    void put "learned_put"(uint64_t* p, uint64_t v) nogil
    uint64_t hash_of "learned_hash"(uint64_t seed, uint64_t other, const char* p, uint32_t n) nogil


cdef uint64_t learned_key(const Learned* t, uint32_t service, const char* p, uint32_t n) noexcept nogil:
    cdef uint64_t h = hash_of(t.seeds[0] ^ service, t.seeds[1], p, n)
    return h if h else 1


cdef inline LearnedPlace* places(Learned* t, uint64_t key) noexcept nogil:
    return &t.places[(key >> 32) % LEARNED_SETS * LEARNED_WAYS]


cdef uint32_t learned_find(Learned* t, uint64_t key, uint32_t now_s, uint32_t ttl_s, bint is_use) noexcept nogil:
    cdef LearnedPlace* place = places(t, key)
    cdef uint64_t word
    cdef uint32_t age, i
    for i in range(LEARNED_WAYS):
        if load(&place[i].key) != key:
            continue
        word = load(&place[i].word)
        if load(&place[i].key) != key:
            return 0
        age = now_s - <uint32_t>word
        if ttl_s and age > ttl_s:
            return 0
        if age and is_use:
            put(&place[i].word, word >> 32 << 32 | now_s)
        return <uint32_t>(word >> 32)
    return 0


# The place of that key, or the one that is empty or was used longest ago.
cdef LearnedPlace* best_place(Learned* t, uint64_t key, uint32_t now_s) noexcept nogil:
    cdef LearnedPlace* place = places(t, key)
    cdef uint32_t i, best = 0, age, oldest = 0
    cdef uint64_t there
    for i in range(LEARNED_WAYS):
        there = load(&place[i].key)
        if there == key:
            return &place[i]
        age = <uint32_t>0xffffffff if there == 0 else now_s - <uint32_t>load(&place[i].word)
        if age > oldest:
            oldest = age
            best = i
    return &place[best]


cdef inline void fill_place(LearnedPlace* place, uint64_t key, uint64_t word) noexcept nogil:
    put(&place.key, 0)
    put(&place.word, word)
    put(&place.key, key)


cdef void learned_store(Learned* t, uint64_t key, uint32_t node, uint32_t now_s) noexcept nogil:
    fill_place(best_place(t, key, now_s), key, <uint64_t>node << 32 | now_s)


cdef void learned_merge(Learned* t, Learned* other, uint32_t now_s) noexcept nogil:
    cdef LearnedPlace* place
    cdef uint64_t key, word
    cdef uint32_t i
    t.seeds = other.seeds
    for i in range(LEARNED_SETS * LEARNED_WAYS):
        key = load(&other.places[i].key)
        word = load(&other.places[i].word)
        if key == 0 or load(&other.places[i].key) != key:
            continue
        place = best_place(t, key, now_s)
        # The later use counts, of a key and among those that want its place.
        if load(&place.key) == 0 or now_s - <uint32_t>load(&place.word) > now_s - <uint32_t>word:
            fill_place(place, key, word)


# -- the face for tests --------------------------------------------------------------------

cdef class LearnedFace:
    """A table of its own, driven from Python."""

    cdef Learned* table

    def __cinit__(self):
        self.table = <Learned*>calloc(1, sizeof(Learned))
        if self.table == NULL:
            raise MemoryError
        self.table.seeds[0] = int.from_bytes(os.urandom(8), "little")
        self.table.seeds[1] = int.from_bytes(os.urandom(8), "little")

    def __dealloc__(self):
        free(self.table)

    def store(self, cookie: bytes, node: int, now_s: int, service: int = 0) -> None:
        """Remember that *cookie* belongs to *node* (a number from 1 on)."""
        learned_store(self.table, learned_key(self.table, service, cookie, len(cookie)), node, now_s)

    def find(self, cookie: bytes, now_s: int, ttl_s: int = 0, service: int = 0) -> int:
        """Return the node of *cookie*, 0 if none is known."""
        return learned_find(self.table, learned_key(self.table, service, cookie, len(cookie)), now_s, ttl_s, True)

    def merge(self, other: LearnedFace, now_s: int) -> None:
        """Learn what *other* knows, and its hashes: for a table that knows nothing, or learned from it before."""
        learned_merge(self.table, other.table, now_s)
