"""The ready table: pages that workers send without asking anybody, in one mapping of fixed size.

One process writes, the keeper of the page cache; workers read without a lock.  Entries lie one after
the other in a log that goes round: the newest overwrites the oldest.  An index of sets of eight slots
leads from a key's hash to a position in the log.  Positions only grow, so an entry is whole exactly
as long as its position is not below `tail`, which the writer moves before it overwrites anything; a
reader copies, then looks at `tail` again (Boehm 2012, "Can seqlocks get along with programming language
memory models?").  What a reader meets of an entry that is being overwritten is bounded, compared and
thrown away: a miss, never a wrong byte.

A writer that dies at any instruction leaves at worst an entry that no slot names, or slots that name
what is overwritten.  `clear` forgets everything in one store: entries bear the generation they were
written in.  A key is compared as a whole, and an entry bears a mark that nobody outside can know.
"""

import mmap
import os

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from wsgistack.store.shm.hash cimport siphash

cdef extern from *:
    """
    #include <signal.h>
    #define wsgistack_ready_load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
    #define wsgistack_ready_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
    #define wsgistack_ready_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    static inline void wsgistack_ready_die(void) { raise(SIGKILL); }
    """
    uint64_t load "wsgistack_ready_load"(const uint64_t* p) noexcept nogil
    void store "wsgistack_ready_store"(uint64_t* p, uint64_t v) noexcept nogil
    void fence "wsgistack_ready_fence"() noexcept nogil
    void die "wsgistack_ready_die"() noexcept nogil

cdef enum:
    HEADER = 4096
    WAYS = 8                     # slots of a set: two lines of the cache
    LINE = 64                    # entries begin at these
    BYTES_PER_SLOT = 256         # of the log: less than any page takes with its key and head
    SHARE = 8                    # an entry takes at most this part of the log

MAGIC = b"wsgirdy1"
LEAST_BYTES = 64 * 1024
MOST_BYTES = 64 << 30
LARGEST = 256 * 1024
_KEY_HEAD = sizeof(ReadyKey)


cdef uint64_t sets_for(uint64_t log_bytes):
    cdef uint64_t sets = 8
    while sets * WAYS * BYTES_PER_SLOT < log_bytes:
        sets *= 2
    return sets


cdef size_t table_size(uint64_t log_bytes):
    return HEADER + sets_for(log_bytes) * WAYS * sizeof(ReadySlot) + log_bytes


cdef ReadyView table_view(char* base, uint64_t log_bytes):
    cdef ReadyView t
    t.head = <ReadyHead*>base
    t.slots = <ReadySlot*>(base + HEADER)
    t.log = base + HEADER + sets_for(log_bytes) * WAYS * sizeof(ReadySlot)
    t.steps_left = 0
    return t


# -- keys ----------------------------------------------------------------------------------

cdef uint32_t ready_make_key(char* out, uint32_t service, int https, const char* host, uint32_t host_len,
                             const char* target, uint32_t target_len, const char* encoding, uint32_t encoding_len) noexcept nogil:
    # The lengths stand before the texts: no two requests can be spelled as one key.
    cdef ReadyKey head
    if <uint64_t>sizeof(ReadyKey) + host_len + target_len + encoding_len > READY_KEY:
        return 0
    head.service = service
    head.host_len = host_len
    head.target_len = target_len
    head.encoding_len = encoding_len
    head.https = https
    memcpy(out, &head, sizeof(ReadyKey))
    memcpy(out + sizeof(ReadyKey), host, host_len)
    memcpy(out + sizeof(ReadyKey) + host_len, target, target_len)
    memcpy(out + sizeof(ReadyKey) + host_len + target_len, encoding, encoding_len)
    return <uint32_t>sizeof(ReadyKey) + host_len + target_len + encoding_len


# -- reading -------------------------------------------------------------------------------

cdef inline ReadySlot* set_of(const ReadyView* t, uint64_t hash) noexcept nogil:
    return t.slots + (hash & (t.head.sets - 1)) * WAYS


cdef inline uint64_t hash_of(const ReadyView* t, const char* key, uint32_t n) noexcept nogil:
    return siphash(key, n, t.head.secret)


cdef inline uint64_t mark_of(const ReadyView* t, uint64_t at) noexcept nogil:
    return t.head.secret[1] ^ (at * <uint64_t>0x9E3779B97F4A7C15)


cdef int look_at(const ReadyView* t, uint64_t at, const char* key, uint32_t n, ReadyPage* out) noexcept nogil:
    # Every length is read once and bounded before it is used: the entry may be overwritten meanwhile.
    cdef uint64_t start = at % t.head.log_bytes, room = t.head.log_bytes - start
    cdef const char* p = t.log + start
    cdef ReadyEntry e
    if room < sizeof(ReadyEntry) or at < load(&t.head.tail):
        return 0
    memcpy(&e, p, sizeof(ReadyEntry))
    if e.mark != mark_of(t, at) or e.generation != out.generation or e.key_len != n:
        return 0
    if <uint64_t>sizeof(ReadyEntry) + n + e.before_len + e.after_len + e.body_len > room:
        return 0
    p += sizeof(ReadyEntry)
    if memcmp(p, key, n) != 0:
        return 0
    out.at = at
    out.born_ms = e.born_ms
    out.expires_ms = e.expires_ms
    out.before_len = e.before_len
    out.after_len = e.after_len
    out.body_len = e.body_len
    out.status = e.status
    out.before = p + n
    out.after = out.before + e.before_len
    out.body = out.after + e.after_len
    return 1


cdef int ready_find(const ReadyView* t, const char* key, uint32_t n, ReadyPage* out) noexcept nogil:
    cdef uint64_t hash = hash_of(t, key, n), at
    cdef ReadySlot* slots = set_of(t, hash)
    cdef int i
    out.generation = load(&t.head.generation)
    for i in range(WAYS):
        if slots[i].hash == hash:
            at = load(&slots[i].at)
            if at and look_at(t, at, key, n, out):
                return 1
    return 0


cdef int ready_holds(const ReadyView* t, const ReadyPage* page) noexcept nogil:
    fence()
    return page.at >= load(&t.head.tail) and page.generation == load(&t.head.generation)


# -- writing -------------------------------------------------------------------------------

cdef inline void STEP(ReadyView* t) noexcept nogil:
    # A place where the writer may die with something at stake; what precedes it is written before what follows.
    fence()
    if t.steps_left:
        t.steps_left -= 1
        if t.steps_left == 0:
            die()


cdef uint64_t reserve(ReadyView* t, uint64_t n) noexcept nogil:
    # Whoever reads what lies there is told first.
    cdef uint64_t log = t.head.log_bytes, at = t.head.head, end
    if at % log + n > log:
        at = (at // log + 1) * log
    end = at + n
    if end > log and end - log > t.head.tail:
        store(&t.head.tail, end - log)
    STEP(t)
    store(&t.head.head, end)
    STEP(t)
    return at


cdef inline int is_dead(const ReadyView* t, uint64_t at) noexcept nogil:
    return at < t.head.tail or (<ReadyEntry*>(t.log + at % t.head.log_bytes)).generation != t.head.generation


cdef ReadySlot* choose(const ReadyView* t, uint64_t hash) noexcept nogil:
    # The slot of that hash, a free one, or that of the oldest entry.
    cdef ReadySlot* slots = set_of(t, hash)
    cdef ReadySlot* best = slots
    cdef uint64_t age, least = <uint64_t>-1
    cdef int i
    for i in range(WAYS):
        if slots[i].at and slots[i].hash == hash:
            return &slots[i]
        age = 0 if slots[i].at == 0 or is_dead(t, slots[i].at) else slots[i].at
        if age < least:
            least = age
            best = &slots[i]
    return best


cdef inline uint64_t entry_bytes(const ReadyEntry* e) noexcept nogil:
    return (sizeof(ReadyEntry) + <uint64_t>e.key_len + e.before_len + e.after_len + e.body_len + LINE - 1) & ~<uint64_t>(LINE - 1)


cdef void publish(ReadyView* t, ReadyEntry* e, const char* key, const char* before, const char* after, const char* body) noexcept nogil:
    cdef uint64_t hash = hash_of(t, key, e.key_len), at = reserve(t, entry_bytes(e))
    cdef ReadySlot* slot
    cdef char* p = t.log + at % t.head.log_bytes
    e.mark = mark_of(t, at)
    e.generation = t.head.generation
    memcpy(p + sizeof(ReadyEntry), key, e.key_len)
    STEP(t)
    memcpy(p, e, sizeof(ReadyEntry))
    p += sizeof(ReadyEntry) + e.key_len
    STEP(t)
    memcpy(p, before, e.before_len)
    memcpy(p + e.before_len, after, e.after_len)
    STEP(t)
    memcpy(p + e.before_len + e.after_len, body, e.body_len)
    STEP(t)
    # A slot that says neither the old nor the new while it changes hands.
    slot = choose(t, hash)
    if slot.hash != hash:
        store(&slot.at, 0)
        STEP(t)
        store(&slot.hash, hash)
        STEP(t)
    store(&slot.at, at)
    STEP(t)
    t.head.published += 1


# -- Python's side -------------------------------------------------------------------------

def ready_key(service_slot: int, scheme: bytes, host: bytes, target: bytes, accept_encoding: bytes) -> bytes:
    """Return the key of a request: its bytes as they came, `b""` for no Accept-Encoding.

    ValueError for a scheme other than http and https, and for what is longer than any key.
    """
    cdef char room[READY_KEY]
    cdef uint32_t n
    if scheme not in (b"http", b"https"):
        raise ValueError(f"scheme: {scheme!r} is neither http nor https")
    n = ready_make_key(room, service_slot, scheme == b"https", host, len(host), target, len(target),
                       accept_encoding, len(accept_encoding))
    if n == 0:
        raise ValueError(f"a key has at most {READY_KEY} bytes")
    return room[:n]


cdef int check_head(bytes before, bytes after) except -1:
    if not before.startswith(b"HTTP/1.1 ") or not before[9:12].isdigit() or not before.endswith(b"\r\n"):
        raise ValueError("head_before: not HTTP/1.1, a status, and lines that each end in CRLF")
    if after and not after.endswith(b"\r\n"):
        raise ValueError("head_after: not lines that each end in CRLF")
    return 0


cdef int has_length(bytes before) except -1:
    return before[9:12] != b"204"


cdef class ReadyTable:
    """The table behind the descriptor *fd*; `create` makes it, who inherits the descriptor attaches.

    ValueError for something else.  One process at a time may call what changes it.  Times are seconds
    since the epoch.
    """

    def __init__(self, fd: int):
        cdef Py_buffer buf
        size = os.fstat(fd).st_size
        if size < HEADER:
            raise ValueError(f"ready: {size} bytes is no ready table")
        self.mapping = mmap.mmap(fd, size)
        PyObject_GetBuffer(self.mapping, &buf, PyBUF_WRITABLE)
        self.view.head = <ReadyHead*>buf.buf
        PyBuffer_Release(&buf)
        if self.mapping[:8] != MAGIC or size != table_size(self.view.head.log_bytes):
            self.mapping.close()
            raise ValueError("ready: wrong magic or size, made by another version")
        self.view = table_view(<char*>self.view.head, self.view.head.log_bytes)
        self.size = size
        self.fd = fd

    @staticmethod
    def create(size_bytes: int, largest: int = LARGEST) :
        """Make an empty table for *size_bytes* of pages, none of them above *largest* or an eighth of it.

        Memory is taken as it is used, a sixteenth of *size_bytes* more for the index.
        """
        if not LEAST_BYTES <= size_bytes <= MOST_BYTES:
            raise ValueError(f"ready_bytes: {size_bytes} is not from {LEAST_BYTES} to {MOST_BYTES}")
        log_bytes = size_bytes // LINE * LINE
        fd = os.memfd_create("wsgistack-ready")
        os.ftruncate(fd, table_size(log_bytes))
        words = (log_bytes, sets_for(log_bytes), min(largest, log_bytes // SHARE), 1, LINE)
        os.pwrite(fd, MAGIC + os.urandom(16) + b"".join([int(word).to_bytes(8, "little") for word in words]), 0)
        return ReadyTable(fd)

    @staticmethod
    def attach(fd: int) :
        """Map the table behind the inherited descriptor *fd*."""
        return ReadyTable(fd)

    @property
    def generation(self) -> int:
        """What `clear` changes."""
        return self.view.head.generation

    def publish(self, key: bytes, *, head_before: bytes, head_after: bytes, body: bytes, born: float, expires_at: float) -> bool:
        """Let workers answer *key* with this page until *expires_at*; False if it is too large, and then it is not there.

        *head_before*: the status line and fields, *head_after*: more of them; the lines of Age, Cache-Status,
        Content-Length and Connection are written by the table and the workers.  *born*: when its age was 0.
        """
        cdef ReadyEntry e
        cdef bytes length = b"Content-Length: %d\r\n" % len(body) if has_length(head_before) else b""
        cdef bytes after = head_after + length
        check_head(head_before, head_after)
        if not key or len(key) > READY_KEY or len(key) + len(head_before) + len(after) + len(body) + sizeof(ReadyEntry) > self.view.head.largest:
            self.drop(key)
            self.view.head.too_large += 1
            return False
        memset(&e, 0, sizeof(e))
        e.key_len = len(key)
        e.before_len, e.after_len, e.body_len = len(head_before), len(after), len(body)
        e.status = int(head_before[9:12])
        e.born_ms, e.expires_ms = round(born * 1000), round(expires_at * 1000)
        publish(&self.view, &e, key, head_before, after, body)
        return True

    def drop(self, key: bytes) -> bool:
        """Forget what *key* is answered with; True if there was something."""
        cdef uint64_t hash = hash_of(&self.view, key, len(key))
        cdef ReadySlot* slots = set_of(&self.view, hash)
        cdef bint found = False
        cdef int i
        for i in range(WAYS):
            if slots[i].hash == hash and slots[i].at:
                found = not is_dead(&self.view, slots[i].at)
                store(&slots[i].at, 0)
                self.view.head.dropped += found
        return found

    def clear(self) -> None:
        """Forget everything: from now on no worker answers with what was published before."""
        store(&self.view.head.generation, self.view.head.generation + 1)
        fence()
        self.view.head.cleared += 1

    def get(self, key: bytes, now: float) -> tuple | None:
        """Return (status, head, body) of what *key* is answered with, as a worker would find it; None for nothing.

        *head* is what the page's lines say, without those that are written when it is sent.
        """
        cdef ReadyPage page
        if not ready_find(&self.view, key, len(key), &page):
            return None
        found = page.status, page.before[:page.before_len] + page.after[:page.after_len], page.body[:page.body_len]
        if not ready_holds(&self.view, &page) or now * 1000 >= page.expires_ms:
            return None
        return found

    def stats(self) -> dict:
        """Return what there is room for, and counters over the table's life.

        `used_bytes` counts what is forgotten, but not overwritten, too.
        """
        cdef ReadyHead* head = self.view.head
        return {"size_bytes": head.log_bytes, "used_bytes": min(head.head - LINE, head.log_bytes), "largest_bytes": head.largest,
                "published": head.published, "dropped": head.dropped, "cleared": head.cleared, "too_large": head.too_large}

    def die_after(self, steps: int) -> None:
        """Let this process be killed in the middle of writing, after so many *steps*; for the tests."""
        self.view.steps_left = steps

    def close(self) -> None:
        """Unmap it and close the descriptor; nothing may use it afterwards."""
        if self.fd >= 0:
            self.mapping.close()
            os.close(self.fd)
            self.fd = -1
