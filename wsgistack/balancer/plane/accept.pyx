"""Accepting connections of clients: who they are, whether they are trusted, how many there may be."""

import socket

from libc.errno cimport ECONNABORTED
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy, memset, strlen

from wsgistack.balancer.plane.core cimport (
    ADDRESS_BYTES,
    KIND_CLIENT,
    NAME_BYTES,
    Client,
    Core,
    EventRecord,
    Listener,
    Service,
    client_counts,
    core_event,
)
from wsgistack.balancer.plane.downstream cimport down_close
from wsgistack.balancer.plane.exchange cimport WHY_TOO_MANY_CONNECTIONS, reason_name
from wsgistack.balancer.plane.net cimport real_net
from wsgistack.balancer.plane.networks cimport networks_hold
from wsgistack.balancer.plane.timers cimport timer_at_most

cdef extern from "<sys/socket.h>" nogil:
    int setsockopt(int fd, int level, int name, const void* value, unsigned int size)
    enum:
        AF_INET
        AF_INET6
        SOL_SOCKET
        SO_SNDBUF

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t n)

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* out, unsigned int size)

cdef extern from *:
    """
    #include <linux/filter.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    static void wsgistack_refuse_new(int fd) {
        /* Drop every packet to the listening socket itself; accepted ones have their own. */
        struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
        struct sock_fprog program = {1, &drop};
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
    }
    static void wsgistack_unwatch(int epfd, int fd) {
        epoll_ctl(epfd, EPOLL_CTL_DEL, fd, 0);
    }
    """
    void refuse_new "wsgistack_refuse_new"(int fd) nogil
    void unwatch "wsgistack_unwatch"(int epfd, int fd) nogil

cdef enum:
    ACCEPT_BATCH = 64            # then others have their turn; the listening socket stays ready


cdef int address_text(const char* sockaddr, char* out, unsigned short* port, unsigned char* is_v6) noexcept nogil:
    # Write the address (at most 45 bytes) and return its length; IPv4 within IPv6 is shown as IPv4.
    cdef sockaddr_in* four = <sockaddr_in*>sockaddr
    cdef sockaddr_in6* six = <sockaddr_in6*>sockaddr
    cdef char mapped[12]
    is_v6[0] = 0
    port[0] = 0
    if four.sin_family == AF_INET:
        port[0] = ntohs(four.sin_port)
        inet_ntop(AF_INET, &four.sin_addr, out, 46)
    elif four.sin_family == AF_INET6:
        port[0] = ntohs(six.sin6_port)
        memset(mapped, 0, 10)
        memset(mapped + 10, 0xff, 2)
        if memcmp(&six.sin6_addr, mapped, 12) == 0:
            inet_ntop(AF_INET, <char*>&six.sin6_addr + 12, out, 46)
        else:
            is_v6[0] = 1
            inet_ntop(AF_INET6, &six.sin6_addr, out, 46)
    else:
        memcpy(out, b"unknown", 8)
    return <int>strlen(out)


cdef int is_trusted(const Service* s, const char* sockaddr) noexcept nogil:
    cdef uint8_t address[16]
    if s.always_trusted:
        return 1
    if s.n_trusted == 0:
        return 0
    if (<sockaddr_in*>sockaddr).sin_family == AF_INET:
        memset(address, 0, 10)
        memset(address + 10, 0xff, 2)
        memcpy(address + 12, &(<sockaddr_in*>sockaddr).sin_addr, 4)
    elif (<sockaddr_in*>sockaddr).sin_family == AF_INET6:
        memcpy(address, &(<sockaddr_in6*>sockaddr).sin6_addr, 16)
    else:
        return 0
    return networks_hold(s.trusted, s.n_trusted, address)


cdef void refuse_connection(Listener* listener, int fd) noexcept nogil:
    cdef Core* core = listener.ep.core
    cdef EventRecord* e
    cdef const char* text = (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                             b"Connection: close\r\n\r\n")
    core.net.send(fd, text, strlen(text))
    core.net.close(fd)
    core.board.mine.services[listener.service.slot].refused += 1
    e = core_event(core)
    if e != NULL:
        e.kind = 1
        e.status = 503
        e.why = reason_name(WHY_TOO_MANY_CONNECTIONS)
        memcpy(e.service, listener.service.name, NAME_BYTES)


cdef void new_client(Listener* listener, int fd, const char* sockaddr) noexcept nogil:
    cdef Core* core = listener.ep.core
    cdef Service* service = listener.service
    cdef Client* c = <Client*>calloc(1, sizeof(Client))
    cdef int size
    if c == NULL:
        core.net.close(fd)
        return
    c.ep.kind = KIND_CLIENT
    c.ep.fd = fd
    c.ep.core = core
    c.ep.writable = 1
    c.timer.owner = c
    c.service = service
    service.refs += 1
    c.peer_len = address_text(sockaddr, c.peer, &c.port, &c.is_v6)
    c.inner = listener.inner
    c.trusted = c.inner or is_trusted(service, sockaddr)
    c.born_ms = core.now_ms
    c.since_ms = core.now_ms
    c.next = core.clients
    if core.clients != NULL:
        core.clients.prev = c
    core.clients = c
    core.n_clients += 1
    client_counts(c).accepted += 1
    client_counts(c).client_connections += 1
    if service.sndbuf:
        size = service.sndbuf
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))
    if core.net.watch(core.epfd, fd, c, 1) < 0:
        down_close(c, 0)
        return
    timer_at_most(&core.wheel, &c.timer, core.now_ms + service.client_header_ms)


cdef void accept_clients(Listener* listener) noexcept nogil:
    cdef Core* core = listener.ep.core
    cdef char sockaddr[ADDRESS_BYTES]
    cdef uint32_t size
    cdef int fd, i
    for i in range(ACCEPT_BATCH):
        size = ADDRESS_BYTES
        fd = core.net.accept(listener.ep.fd, sockaddr, &size)
        if fd == -ECONNABORTED:
            continue
        if fd < 0:
            return
        if core.n_clients >= core.max_clients and not listener.inner:
            refuse_connection(listener, fd)
        else:
            new_client(listener, fd, sockaddr)


cdef void last_call(Listener* l) noexcept:
    # New handshakes are turned away first (the client tries again), then the queue is emptied:
    # a connection that was established is always served.
    cdef Core* core = l.ep.core
    cdef uint32_t before
    if core.net == real_net():
        refuse_new(l.ep.fd)
    while True:
        before = core.n_clients
        accept_clients(l)
        if core.n_clients == before:
            break


cdef void leave(Listener* l) noexcept:
    # The socket may live on with others: epoll would go on to report it, after l is gone.
    if l.ep.core.net == real_net():
        unwatch(l.ep.core.epfd, l.ep.fd)
    l.ep.core.net.close(l.ep.fd)


cdef prepare_listening(int fd):
    """Make the socket non-blocking and its accepted ones TCP_NODELAY (inherited: a call less a connection)."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.detach()
