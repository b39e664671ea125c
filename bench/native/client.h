/* Keep-alive connections that make one request after another and check every response. */
#ifndef CLIENT_H
#define CLIENT_H
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "latency.h"

enum { HEAD_MAX = 4096, DIGITS = 9 };

enum state { CLOSED, CONNECTING, IDLE, HEAD, BODY };
enum fault { CONNECT, STATUS, LENGTH, FRAMING, TRUNCATED, LATE, FAULTS };

struct conn {
    int fd;
    enum state state;
    int greeted;            /* it made its first request */
    int wrong;              /* the response being read is already counted as an error */
    int close_after;        /* it announced Connection: close */
    uint64_t due;           /* when the request was due, ns of CLOCK_MONOTONIC */
    uint64_t left;          /* body bytes still to come */
    uint64_t number;        /* of the request in flight */
    size_t sent, have;      /* of the request; of `head` */
    char head[HEAD_MAX];
};

struct request { char text[2048]; size_t len, number_at; uint64_t body; }; /* number_at: 0 when all are alike */

struct client {
    struct conn *conns, **idle; /* idle: a ring, the one that rested longest is used next */
    size_t conns_len, idle_first, idle_len, busy, opening;
    struct sockaddr_in peer;
    struct request *asked;
    char status[8];             /* that every response must have */
    int poll_fd, timer_fd;
    int closed_loop;            /* a connection that has its response asks again at once, */
    uint64_t may_issue, stop_at; /* as long as so many requests may start, and until then */
    uint64_t bytes, faults[FAULTS], reopened, issued;
    struct latencies latencies;
};

extern struct client client;

uint64_t clock_ns(void);
void make_request(struct request *r, const char *target, int distinct, uint64_t body);
void open_conn(struct conn *c);
void rest(struct conn *c);
struct conn *take_idle(void);
void issue(struct conn *c, uint64_t due);
void fail(struct conn *c, enum fault fault);
void poll_once(int timeout_ms);
#endif
