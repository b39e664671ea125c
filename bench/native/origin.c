/* The origin of the proxy benchmarks: a keep-alive HTTP/1.1 server that costs as little as it can.
 *
 *   origin PORTS        listens on that many ephemeral ports of 127.0.0.1, prints them on one line,
 *                       serves until its standard input ends.
 *
 * Targets: /small      130 bytes, head and body together (5 fields)
 *          /10k        10,000 bytes of body (7 fields); so /10k/ANYTHING, and /small for all else
 *          /big/BYTES  that many bytes of body (7 fields)
 *          /head       the head of the request, as it arrived, as the body
 *          /failing    status 500 with the body of /small
 *          /truncated  promises 100 bytes, sends 50, closes
 * Only requests without a body are understood, which is all that the load generator sends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 16, HEAD_MAX = 8192, EVENTS = 256, FILL = 1 << 20, TEN_K = 10000 };

struct conn {
    size_t have;            /* bytes of `in` that hold a request not yet answered */
    const char *rest;       /* what a short send left of a ready answer */
    size_t rest_len;
    uint64_t fill_left;     /* body bytes of /big still to send */
    char *owned;            /* an answer made for this request, freed once sent */
    int close_after;
    char in[HEAD_MAX];
};

static struct conn **conns; /* by descriptor */
static size_t conns_len;
static char fill[FILL];
static char small[256], failing[256], truncated[256], ten_k[TEN_K + 512];
static size_t small_len, failing_len, truncated_len, ten_k_len;
static const char seven_fields[] =
    "HTTP/1.1 200 OK\r\nServer: o\r\nDate: %s\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Content-Length: %llu\r\nETag: \"5f0c-1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Cache-Control: max-age=60\r\n\r\n";
static char date[40];

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Write the ready answers anew; called once a second so that Date is right. */
static void prepare(time_t now) {
    struct tm parts;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    static const char five[] = "HTTP/1.1 %s\r\nServer: o\r\nDate: %s\r\nContent-Type: text/plain\r\n"
                               "Content-Length: %d\r\nETag: \"1\"\r\n\r\n";
    small_len = sprintf(small, five, "200 OK", date, 7);
    memcpy(small + small_len, "small.\n", 7), small_len += 7;
    failing_len = sprintf(failing, five, "500 No", date, 7);
    memcpy(failing + failing_len, "wrong.\n", 7), failing_len += 7;
    truncated_len = sprintf(truncated, five, "200 OK", date, 100);
    memset(truncated + truncated_len, 't', 50), truncated_len += 50;
    ten_k_len = sprintf(ten_k, seven_fields, date, (unsigned long long)TEN_K);
    memset(ten_k + ten_k_len, 'k', TEN_K), ten_k_len += TEN_K;
}

static void forget(int fd) {
    free(conns[fd]->owned);
    free(conns[fd]);
    conns[fd] = NULL;
    close(fd);
}

/* Send what is pending; 0 when all is out, 1 when the socket is full, -1 when the connection is gone. */
static int flush(int fd, struct conn *c) {
    while (c->rest_len || c->fill_left) {
        const char *from = c->rest_len ? c->rest : fill;
        size_t want = c->rest_len ? c->rest_len : c->fill_left < FILL ? (size_t)c->fill_left : FILL;
        ssize_t sent = send(fd, from, want, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN ? 1 : -1;
        if (c->rest_len)
            c->rest += sent, c->rest_len -= sent;
        else
            c->fill_left -= sent;
    }
    free(c->owned);
    c->owned = NULL;
    return c->close_after ? -1 : 0;
}

static void choose(struct conn *c, const char *head, size_t head_len) {
    const char *target = memchr(head, ' ', head_len);
    target = target ? target + 1 : "/";
    c->rest = small, c->rest_len = small_len;
    if (!strncmp(target, "/10k ", 5) || !strncmp(target, "/10k/", 5)) {
        c->rest = ten_k, c->rest_len = ten_k_len;
    } else if (!strncmp(target, "/big/", 5)) {
        unsigned long long bytes = strtoull(target + 5, NULL, 10);
        c->owned = malloc(512);
        c->rest = c->owned;
        c->rest_len = sprintf(c->owned, seven_fields, date, bytes);
        c->fill_left = bytes;
    } else if (!strncmp(target, "/head ", 6)) {
        c->owned = malloc(512 + head_len);
        c->rest = c->owned;
        c->rest_len = sprintf(c->owned, seven_fields, date, (unsigned long long)head_len);
        memcpy(c->owned + c->rest_len, head, head_len), c->rest_len += head_len;
    } else if (!strncmp(target, "/failing ", 9)) {
        c->rest = failing, c->rest_len = failing_len;
    } else if (!strncmp(target, "/truncated ", 11)) {
        c->rest = truncated, c->rest_len = truncated_len, c->close_after = 1;
    }
    /* Perlbal asks its nodes in HTTP/1.0 with keep-alive; whoever asks for neither gets a close. */
    const char *line_end = memchr(head, '\r', head_len);
    if (line_end && line_end[-1] == '0' && !memmem(head, head_len, "eep-alive", 9) &&
        !memmem(head, head_len, "eep-Alive", 9))
        c->close_after = 1;
}

/* Answer every whole request in the buffer, in order; -1 when the connection is to be closed. */
static int answer(int fd, struct conn *c) {
    size_t at = 0;
    int state = 0;
    while (at < c->have && state == 0) {
        char *end = memmem(c->in + at, c->have - at, "\r\n\r\n", 4);
        if (!end)
            break;
        size_t head_len = end + 4 - (c->in + at);
        choose(c, c->in + at, head_len);
        at += head_len;
        state = flush(fd, c);
    }
    c->have -= at;
    memmove(c->in, c->in + at, c->have);
    return state;
}

static void serve(int fd, int ended) {
    struct conn *c = conns[fd];
    int state = flush(fd, c);
    if (state == 0 && c->have)
        state = answer(fd, c);
    while (state == 0) {
        ssize_t got = recv(fd, c->in + c->have, HEAD_MAX - c->have, MSG_DONTWAIT);
        if (got <= 0) {
            state = got < 0 && errno == EAGAIN ? 1 : -1;
            break;
        }
        int whole_buffer = c->have + got == HEAD_MAX;
        c->have += got;
        state = answer(fd, c);
        if (c->have == HEAD_MAX)
            state = -1; /* a head that we cannot hold */
        if (!whole_buffer && !ended)
            break; /* edge triggered: a short read means that the next byte wakes us */
    }
    if (state < 0)
        forget(fd);
}

static void welcome(int poll_fd, int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if ((size_t)fd >= conns_len) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conns[fd] = calloc(1, sizeof **conns);
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        if (!conns[fd] || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev))
            die("accept");
    }
}

static int open_listener(int *port) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&name, &len))
        die("listen");
    *port = ntohs(name.sin_port);
    return fd;
}

static size_t raise_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max > 1 << 20 ? 1 << 20 : limit.rlim_max;
}

int main(int argc, char **argv) {
    int ports = argc > 1 ? atoi(argv[1]) : 1, first_listener = -1, last_listener = -1;
    if (ports < 1 || ports > PORTS_MAX)
        return fprintf(stderr, "origin: 1 to %d ports, not %s\n", PORTS_MAX, argv[1]), 2;
    signal(SIGPIPE, SIG_IGN);
    conns_len = raise_descriptors();
    conns = calloc(conns_len, sizeof *conns);
    memset(fill, 'b', FILL);
    prepare(time(NULL));
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.fd = 0}, events[EVENTS];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input);
    for (int i = 0; i < ports; i++) {
        int port, fd = open_listener(&port);
        first_listener = i ? first_listener : fd;
        last_listener = fd;
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev);
        printf("%d%c", port, i + 1 < ports ? ' ' : '\n');
    }
    fflush(stdout);
    for (time_t last = time(NULL);;) {
        int n = epoll_wait(poll_fd, events, EVENTS, 1000);
        time_t now = time(NULL);
        if (now != last)
            prepare(last = now);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) {
                char ignored[64];
                if (read(0, ignored, sizeof ignored) <= 0)
                    return 0;
            } else if (fd >= first_listener && fd <= last_listener)
                welcome(poll_fd, fd);
            else if (conns[fd])
                serve(fd, events[i].events & ~(EPOLLIN | EPOLLOUT));
        }
    }
}
