/* See client.h.  Edge-triggered epoll; a long body is counted and never copied. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 1 << 18 };

struct client client;
static char buffer[BUFFER];

uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void make_request(struct request *r, const char *target, int distinct, uint64_t body) {
    r->body = body;
    r->number_at = distinct ? strlen("GET ") + strlen(target) + 1 : 0;
    r->len = snprintf(r->text, sizeof r->text,
        "GET %s%s HTTP/1.1\r\n"
        "Host: shop.example\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
        "Accept-Language: en-GB,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate\r\n"
        "Referer: http://shop.example/\r\n"
        "Cookie: theme=dark\r\n\r\n", target, distinct ? "/000000000" : "");
}

static void write_number(struct request *r, uint64_t number) {
    for (char *at = r->text + r->number_at + DIGITS; at > r->text + r->number_at; number /= 10)
        *--at = '0' + number % 10;
}

static void transmit(struct conn *c) {
    if (client.asked->number_at)
        write_number(client.asked, c->number);
    while (c->sent < client.asked->len) {
        ssize_t n = send(c->fd, client.asked->text + c->sent, client.asked->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN)
                fail(c, TRUNCATED);
            return;
        }
        c->sent += n;
    }
}

void issue(struct conn *c, uint64_t due) {
    c->state = HEAD;
    c->due = due;
    c->wrong = c->close_after = 0;
    c->sent = c->have = 0;
    c->number = client.issued++;
    client.may_issue--;
    client.busy++;
    transmit(c);
}

void open_conn(struct conn *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("load: socket");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(client.poll_fd, EPOLL_CTL_ADD, c->fd, &ev);
    c->state = CONNECTING;
    c->wrong = 0;
    client.opening++;
    if (connect(c->fd, (struct sockaddr *)&client.peer, sizeof client.peer) && errno != EINPROGRESS)
        fail(c, CONNECT);
}

void rest(struct conn *c) {
    c->state = IDLE;
    client.idle[(client.idle_first + client.idle_len++) % client.conns_len] = c;
}

struct conn *take_idle(void) {
    struct conn *c = client.idle[client.idle_first];
    client.idle_first = (client.idle_first + 1) % client.conns_len;
    client.idle_len--;
    return c;
}

/* A connection without a request in flight; in closed loop the one that rested longest goes on. */
static void rest_or_go(struct conn *c, uint64_t now) {
    rest(c);
    if (client.closed_loop && client.may_issue && now < client.stop_at)
        issue(take_idle(), now);
}

void fail(struct conn *c, enum fault fault) {
    if (c->state == CONNECTING)
        client.opening--;
    else if (c->state != IDLE)
        client.busy--;
    else
        for (size_t n = client.idle_len; n; n--) { /* rare: the client.peer closed a resting connection */
            struct conn *other = take_idle();
            if (other != c)
                rest(other);
        }
    if (c->state != IDLE && !c->wrong)
        client.faults[fault]++;
    c->state = CLOSED;
    close(c->fd);
}

static void finish(struct conn *c) {
    uint64_t now = clock_ns(), took = now > c->due ? now - c->due : 0;
    client.busy--;
    if (!c->wrong) {
        client.bytes += client.asked->body;
        note_latency(&client.latencies, took);
    }
    if (c->close_after) {
        close(c->fd);
        c->state = CLOSED;
    } else
        rest_or_go(c, now);
}

static int wrong(struct conn *c, enum fault fault) {
    if (!c->wrong)
        client.faults[fault]++;
    return c->wrong = 1;
}

/* Read the status and Content-Length; 0 when the length of the body is not known. */
static int read_head(struct conn *c, const char *head, size_t len) {
    int known = 0;
    if (len < 13 || memcmp(head, "HTTP/1.", 7) || memcmp(head + 9, client.status, 3))
        wrong(c, STATUS);
    for (const char *at = memchr(head, '\n', len) + 1, *end = head + len; at < end;) {
        size_t line = (const char *)memchr(at, '\n', end - at) + 1 - at;
        if ((*at | 32) == 'c' && line > 12) {
            if (!strncasecmp(at, "content-length:", 15)) {
                c->left = strtoull(at + 15, NULL, 10);
                known = 1;
            } else if (!strncasecmp(at, "connection: close", 17))
                c->close_after = 1;
        }
        at += line;
    }
    if (known && c->left != client.asked->body)
        wrong(c, LENGTH);
    return known;
}

static void take_body(struct conn *c, size_t len) {
    if (len > c->left) {
        fail(c, FRAMING);
        return;
    }
    c->left -= len;
    if (!c->left)
        finish(c);
}

static void take_head(struct conn *c, const char *data, size_t len) {
    const char *head = data;
    size_t before = c->have, head_len = len;
    if (before) { /* a head in pieces: gather it */
        size_t add = len < HEAD_MAX - before ? len : HEAD_MAX - before;
        memcpy(c->head + before, data, add);
        head = c->head, head_len = before + add;
    }
    const char *end = memmem(head, head_len, "\r\n\r\n", 4);
    if (!end && head_len >= HEAD_MAX) {
        fail(c, FRAMING);
    } else if (!end) {
        if (!before)
            memcpy(c->head, data, len);
        c->have = head_len;
    } else {
        size_t used = end + 4 - head;
        c->state = BODY;
        if (!read_head(c, head, used))
            fail(c, FRAMING);
        else
            take_body(c, len - (used - before));
    }
}

static void receive(struct conn *c, int ended) {
    while (c->state >= IDLE) {
        /* A long body is only counted: MSG_TRUNC drops it in the kernel without copying it. */
        int drop = c->state == BODY && c->left > BUFFER;
        size_t want = drop && c->left < 1 << 30 ? c->left : drop ? 1 << 30 : BUFFER;
        ssize_t got = recv(c->fd, drop ? NULL : buffer, want, MSG_DONTWAIT | (drop ? MSG_TRUNC : 0));
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            fail(c, TRUNCATED);
            return;
        }
        if (c->state == IDLE) { /* bytes that nobody client.asked for */
            client.faults[FRAMING]++;
            fail(c, FRAMING);
            return;
        }
        if (c->state == HEAD)
            take_head(c, buffer, got);
        else
            take_body(c, got);
        if (got < BUFFER && !ended)
            return; /* edge triggered: whatever comes next wakes us */
    }
}

static void connected(struct conn *c, uint32_t events) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        fail(c, CONNECT);
    } else if (events & EPOLLOUT) {
        client.opening--;
        rest_or_go(c, clock_ns());
    }
}

void poll_once(int timeout_ms) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(client.poll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c) {
            uint64_t ticks;
            (void)!read(client.timer_fd, &ticks, sizeof ticks);
            continue;
        }
        if (c->state == CONNECTING)
            connected(c, events[i].events);
        else if (c->state >= HEAD && c->sent < client.asked->len)
            transmit(c);
        if (c->state >= IDLE && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
            receive(c, events[i].events & ~(EPOLLIN | EPOLLOUT));
    }
}
