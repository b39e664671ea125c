"""The plane's system calls as calls of a Python object, for tests/simulation.

`install(network)` names the object; its methods have the semantics of the calls in net.pyx:

    recv(fd, n) -> bytes | -errno         send(fd, data) -> count | -errno
    peek(fd) -> count | -errno            accept(fd) -> (fd, sockaddr bytes) | -errno
    connect(sockaddr bytes) -> (fd, 0 | EINPROGRESS) | -errno
    error(fd) -> errno                    watch(fd, handle, edge) -> None
    close(fd)  abort(fd)  finish(fd)      clock() -> (monotonic seconds, epoch seconds)

An exception in one of them is kept in `failures` and counts as EIO, since nothing may pass
through the compiled code.  One simulation per process at a time.
"""

from libc.errno cimport EIO
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

network = None
failures: list = []


def install(new) -> None:
    """Direct every simulated plane to the object *new*."""
    global network
    network = new
    failures.clear()


cdef object call(str name, tuple arguments):
    try:
        return getattr(network, name)(*arguments)
    except Exception as e:
        failures.append(e)
        return -EIO


cdef ssize_t sim_recv(int fd, char* p, size_t n) noexcept with gil:
    got = call("recv", (fd, n))
    if isinstance(got, int):
        return got
    memcpy(p, <const char*><bytes>got, len(got))
    return len(got)


cdef ssize_t sim_peek(int fd) noexcept with gil:
    return call("peek", (fd,))


cdef ssize_t sim_send(int fd, const char* p, size_t n) noexcept with gil:
    return call("send", (fd, p[:n]))


cdef int sim_accept(int fd, char* address, uint32_t* size) noexcept with gil:
    got = call("accept", (fd,))
    if isinstance(got, int):
        return got
    memcpy(address, <const char*><bytes>got[1], len(got[1]))
    size[0] = len(got[1])
    return got[0]


cdef int sim_connect(const char* address, uint32_t size, int* fd) noexcept with gil:
    got = call("connect", (address[:size],))
    if isinstance(got, int):
        return got
    fd[0] = got[0]
    return got[1]


cdef int sim_error(int fd) noexcept with gil:
    return call("error", (fd,))


cdef int sim_watch(int epfd, int fd, void* data, int edge) noexcept with gil:
    call("watch", (fd, <size_t>data, bool(edge)))
    return 0


cdef void sim_close(int fd) noexcept with gil:
    call("close", (fd,))


cdef void sim_abort(int fd) noexcept with gil:
    call("abort", (fd,))


cdef void sim_finish(int fd) noexcept with gil:
    call("finish", (fd,))


cdef ssize_t sim_splice(int source, int sink, size_t n) noexcept nogil:
    return -EIO                          # never called: can_splice is 0


cdef void sim_wake(int fd) noexcept with gil:
    call("wake", (fd,))


cdef uint64_t sim_woken(int fd) noexcept with gil:
    return max(call("woken", (fd,)), 0)


cdef void sim_clock(uint64_t* monotonic_us, uint64_t* epoch_ms) noexcept with gil:
    got = call("clock", ()) if network is not None else (1.0, 1)
    if not isinstance(got, int):
        monotonic_us[0] = <uint64_t>(got[0] * 1000000)
        epoch_ms[0] = <uint64_t>(got[1] * 1000)


cdef uint64_t sim_ticks() noexcept with gil:
    got = call("clock", ()) if network is not None else (1.0, 1)
    return 0 if isinstance(got, int) else <uint64_t>(got[0] * 1000000000)


cdef Net table

table.recv = sim_recv
table.peek = sim_peek
table.send = sim_send
table.accept = sim_accept
table.connect = sim_connect
table.error = sim_error
table.watch = sim_watch
table.close = sim_close
table.abort = sim_abort
table.finish = sim_finish
table.splice = sim_splice
table.clock = sim_clock
table.ticks = sim_ticks
table.wake = sim_wake
table.woken = sim_woken
table.can_splice = 0


cdef const Net* simulated_net() noexcept nogil:
    return &table
