"""The system calls of the data plane, behind one table of function pointers.

The indirection costs about a nanosecond a call and lets the whole plane run on a simulated
network and clock (tests/simulation).  Results are counts or -errno, never an exception.
"""

from libc.errno cimport EINPROGRESS, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t


cdef extern from "<sys/socket.h>" nogil:
    ctypedef uint32_t socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct linger:
        int l_onoff
        int l_linger
    ssize_t c_recv "recv"(int fd, void* p, size_t n, int flags)
    ssize_t c_send "send"(int fd, const void* p, size_t n, int flags)
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int socket(int family, int kind, int protocol)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    int c_shutdown "shutdown"(int fd, int how)
    enum:
        AF_UNIX
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_NOSIGNAL
        MSG_DONTWAIT
        MSG_PEEK
        SOL_SOCKET
        SO_ERROR
        SO_LINGER
        SHUT_WR

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLL_CTL_ADD
        EPOLLIN
        EPOLLOUT
        EPOLLRDHUP
        EPOLLET

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* now)
    enum:
        CLOCK_MONOTONIC
        CLOCK_REALTIME_COARSE

cdef extern from "<unistd.h>" nogil:
    ssize_t c_read "read"(int fd, void* p, size_t n)
    ssize_t c_write "write"(int fd, const void* p, size_t n)
    int c_close "close"(int fd)

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    """
    ssize_t c_splice "splice"(int source, void* off_in, int sink, void* off_out, size_t n, unsigned int flags) nogil
    enum:
        SPLICE_F_MOVE
        SPLICE_F_NONBLOCK


cdef ssize_t sys_recv(int fd, char* p, size_t n) noexcept nogil:
    cdef ssize_t r
    while True:
        r = c_recv(fd, p, n, 0)
        if r >= 0:
            return r
        if errno != EINTR:
            return -errno


cdef ssize_t sys_peek(int fd) noexcept nogil:
    cdef char one
    cdef ssize_t r = c_recv(fd, &one, 1, MSG_PEEK | MSG_DONTWAIT)
    return r if r >= 0 else -errno


cdef ssize_t sys_send(int fd, const char* p, size_t n) noexcept nogil:
    cdef ssize_t r
    while True:
        r = c_send(fd, p, n, MSG_NOSIGNAL)
        if r >= 0:
            return r
        if errno != EINTR:
            return -errno


cdef int sys_accept(int fd, char* address, uint32_t* size) noexcept nogil:
    cdef int r = accept4(fd, <sockaddr*>address, size, SOCK_NONBLOCK | SOCK_CLOEXEC)
    return r if r >= 0 else -errno


cdef int sys_connect(const char* address, uint32_t size, int* fd) noexcept nogil:
    # 0: connected, EINPROGRESS: wait until writable; else -errno and no descriptor.
    cdef int family = (<sockaddr*>address).sa_family, one = 1, code
    fd[0] = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd[0] < 0:
        return -errno
    if family != AF_UNIX:
        setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if c_connect(fd[0], <sockaddr*>address, size) == 0:
        return 0
    code = errno
    if code == EINPROGRESS:
        return EINPROGRESS
    c_close(fd[0])
    fd[0] = -1
    return -code


cdef int sys_error(int fd) noexcept nogil:
    cdef int value = 0
    cdef socklen_t size = sizeof(value)
    if getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) != 0:
        return errno
    return value


cdef int sys_watch(int epfd, int fd, void* data, int edge) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    if edge:
        # Armed once for a connection's life; after that no epoll_ctl at all.
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | <uint32_t>EPOLLET
    event.data.ptr = data
    return 0 if epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0 else -errno


cdef void sys_close(int fd) noexcept nogil:
    c_close(fd)


cdef void sys_abort(int fd) noexcept nogil:
    cdef linger off
    off.l_onoff = 1
    off.l_linger = 0
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off))
    c_close(fd)


cdef void sys_finish(int fd) noexcept nogil:
    c_shutdown(fd, SHUT_WR)


cdef ssize_t sys_splice(int source, int sink, size_t n) noexcept nogil:
    cdef ssize_t r
    while True:
        r = c_splice(source, NULL, sink, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if r >= 0:
            return r
        if errno != EINTR:
            return -errno


cdef void sys_wake(int fd) noexcept nogil:
    cdef uint64_t one = 1
    if c_write(fd, &one, sizeof(one)) < 0:
        pass                     # full: it is awake for long


cdef uint64_t sys_woken(int fd) noexcept nogil:
    cdef uint64_t count = 0
    return count if c_read(fd, &count, sizeof(count)) > 0 else 0


cdef void sys_clock(uint64_t* monotonic_us, uint64_t* epoch_ms) noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    monotonic_us[0] = <uint64_t>t.tv_sec * 1000000 + <uint64_t>t.tv_nsec // 1000
    clock_gettime(CLOCK_REALTIME_COARSE, &t)
    epoch_ms[0] = <uint64_t>t.tv_sec * 1000 + <uint64_t>t.tv_nsec // 1000000


cdef uint64_t sys_ticks() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef Net table

table.recv = sys_recv
table.peek = sys_peek
table.send = sys_send
table.accept = sys_accept
table.connect = sys_connect
table.error = sys_error
table.watch = sys_watch
table.close = sys_close
table.abort = sys_abort
table.finish = sys_finish
table.splice = sys_splice
table.clock = sys_clock
table.ticks = sys_ticks
table.wake = sys_wake
table.woken = sys_woken
table.can_splice = 1


cdef const Net* real_net() noexcept nogil:
    return &table
