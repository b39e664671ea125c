# Pages that can be sent as they lie, in memory that the keeper writes and all workers read; see ready_table.pyx.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    READY_KEY = 4096             # the longest key: a longer one is not looked up


cdef struct ReadyHead:
    char magic[8]
    uint64_t secret[2]           # of the hash of keys, and of the marks of entries
    uint64_t log_bytes
    uint64_t sets                # of the index: a power of two
    uint64_t largest             # entry
    uint64_t generation          # what bears another one is forgotten
    uint64_t head                # where the next entry begins: positions only grow
    uint64_t tail                # what lies before it is overwritten, or will be at once
    uint64_t published           # what follows is only counted
    uint64_t dropped
    uint64_t cleared
    uint64_t too_large


cdef struct ReadySlot:           # of the index
    uint64_t hash
    uint64_t at                  # 0: none


cdef struct ReadyEntry:          # followed by the key, the head and the body
    uint64_t mark                # tells an entry from a body that looks like one
    uint64_t generation
    int64_t born_ms
    int64_t expires_ms
    uint32_t key_len
    uint32_t before_len          # of the head: its lines before Age
    uint32_t after_len           # and those after it
    uint32_t body_len
    uint32_t status
    uint32_t pad


cdef struct ReadyView:
    ReadyHead* head
    ReadySlot* slots
    char* log
    long steps_left              # 0; a test sets after how many steps of writing this process dies


cdef struct ReadyPage:           # what was found: nothing of it is sure before ready_holds says so
    uint64_t at
    uint64_t generation
    int64_t born_ms
    int64_t expires_ms
    uint32_t before_len
    uint32_t after_len
    uint32_t body_len
    uint32_t status
    const char* before
    const char* after
    const char* body


cdef struct ReadyKey:            # how a key begins; the three texts follow
    uint32_t service
    uint32_t host_len
    uint32_t target_len
    uint32_t encoding_len
    uint32_t https


# Look for a key. 1: something is there; copy it, then ask ready_holds whether it was whole.
cdef int ready_find(const ReadyView* t, const char* key, uint32_t n, ReadyPage* out) noexcept nogil
cdef int ready_holds(const ReadyView* t, const ReadyPage* page) noexcept nogil
# Write the key into `out`, which has room for READY_KEY bytes. Return its length, 0: it is too long.
cdef uint32_t ready_make_key(char* out, uint32_t service, int https, const char* host, uint32_t host_len,
                             const char* target, uint32_t target_len, const char* encoding, uint32_t encoding_len) noexcept nogil


cdef class ReadyTable:
    cdef readonly int fd
    cdef ReadyView view
    cdef size_t size
    cdef object mapping
