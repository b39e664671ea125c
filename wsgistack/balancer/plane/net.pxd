# The system calls that the plane makes, as one table: the real one, or a simulated network.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    EV_IN = 0x001                # epoll's bits, in the simulation too
    EV_OUT = 0x004
    EV_ERR = 0x008
    EV_HUP = 0x010
    EV_RDHUP = 0x2000

cdef enum:
    ADDRESS_BYTES = 128          # sockaddr_storage

# Results are >= 0, or -errno. All descriptors are non-blocking.
cdef struct Net:
    ssize_t (*recv)(int fd, char* p, size_t n) noexcept nogil
    ssize_t (*peek)(int fd) noexcept nogil
    ssize_t (*send)(int fd, const char* p, size_t n) noexcept nogil
    int (*accept)(int fd, char* address, uint32_t* size) noexcept nogil
    int (*connect)(const char* address, uint32_t size, int* fd) noexcept nogil
    int (*error)(int fd) noexcept nogil
    int (*watch)(int epfd, int fd, void* data, int edge) noexcept nogil
    void (*close)(int fd) noexcept nogil
    void (*abort)(int fd) noexcept nogil              # close with a reset
    void (*finish)(int fd) noexcept nogil             # no more from us: shutdown(SHUT_WR)
    ssize_t (*splice)(int source, int sink, size_t n) noexcept nogil
    void (*clock)(uint64_t* monotonic_us, uint64_t* epoch_ms) noexcept nogil
    uint64_t (*ticks)() noexcept nogil                # nanoseconds, for how long something took
    void (*wake)(int fd) noexcept nogil               # add one to an eventfd
    uint64_t (*woken)(int fd) noexcept nogil          # take what it holds
    int can_splice

cdef const Net* real_net() noexcept nogil
