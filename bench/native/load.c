/* The load generator of the proxy benchmarks: keep-alive HTTP/1.1 connections from one thread.
 *
 *   load HOST PORT TARGET LENGTH [name=value ...]
 *
 *   connections=32   each makes one request before anything is measured
 *   greet=TARGET     that first request, with greet_length=BYTES (default: TARGET and LENGTH)
 *   warm=0           seconds of unmeasured closed loop after that
 *   seconds=1        at most so long, and
 *   requests=0       at most so many requests a window (0: no limit)
 *   at_once=N        connections that have a request in flight in closed loop (all), in turn
 *   rate=0           requests a second, Poisson, latency counted from the instant at which each was
 *                    due (so a stalled server is not spared: no coordinated omission); 0: closed loop
 *   seed=1           of the Poisson process
 *   status=200       that every response must have
 *   distinct=0       1: each request asks for TARGET/N, N the number of the request in nine digits
 *
 * Prints one JSON line when all is connected and at rest; then each line on standard input starts one
 * window and prints one JSON line when its last response is in.  Connections are held until the input
 * ends.  Every response must have that status, a Content-Length equal to LENGTH, and so many bytes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "client.h"

enum { CONNECTING_AT_ONCE = 64, ERRORS_MAX = 10000 };
static const uint64_t SECOND = 1000000000, GRACE = 5 * 1000000000ull;
static const char *const fault_names[] = {"connect", "status", "length", "framing", "truncated", "late"};
static struct request greeting, measured;

static uint64_t errors(void) {
    uint64_t sum = 0;
    for (int i = 0; i < FAULTS; i++)
        sum += client.faults[i];
    return sum;
}

static void begin(uint64_t requests, uint64_t until) {
    client.bytes = client.reopened = 0;
    memset(client.faults, 0, sizeof client.faults);
    memset(&client.latencies, 0, sizeof client.latencies);
    client.may_issue = requests ? requests : UINT64_MAX;
    client.stop_at = until;
}

/* Wait for what is in flight; what did not come by the deadline is late. */
static void settle(uint64_t deadline) {
    while ((client.busy || client.opening) && clock_ns() < deadline)
        poll_once(100);
    for (size_t i = 0; i < client.conns_len; i++)
        if (client.conns[i].state >= HEAD || client.conns[i].state == CONNECTING)
            fail(&client.conns[i], LATE);
}

static void reopen(void) {
    for (size_t i = 0; i < client.conns_len && client.opening < CONNECTING_AT_ONCE; i++)
        if (client.conns[i].state == CLOSED) {
            client.reopened++;
            open_conn(&client.conns[i]);
        }
}

static void run_closed(uint64_t requests, double seconds, size_t at_once) {
    uint64_t start = clock_ns(), now = start;
    begin(requests, start + (uint64_t)(seconds * SECOND));
    client.closed_loop = 1;
    for (size_t n = at_once < client.idle_len ? at_once : client.idle_len; n && client.may_issue; n--)
        issue(take_idle(), now);
    while (client.may_issue && (now = clock_ns()) < client.stop_at && errors() < ERRORS_MAX) {
        poll_once(10);
        if (client.busy + client.opening + client.idle_len < client.conns_len)
            reopen();
    }
    client.closed_loop = 0;
    settle(client.stop_at + GRACE);
}

static void run_paced(uint64_t requests, double seconds, double rate, uint64_t seed) {
    uint64_t start = clock_ns(), now = start, due = start + random_gap(rate, &seed);
    begin(requests, start + (uint64_t)(seconds * SECOND));
    /* Arrivals that found no free connection are sent late, and their wait is counted. */
    while (client.may_issue && due < client.stop_at && errors() < ERRORS_MAX) {
        if ((now = clock_ns()) > client.stop_at + GRACE)
            break;
        while (client.idle_len && due <= now && due < client.stop_at && client.may_issue) {
            issue(take_idle(), due);
            due += random_gap(rate, &seed);
        }
        if (client.busy + client.opening + client.idle_len < client.conns_len)
            reopen();
        struct itimerspec at = {.it_value = {due / SECOND, due % SECOND}};
        if (client.idle_len)
            timerfd_settime(client.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
        poll_once(100);
    }
    for (; client.may_issue && due < client.stop_at; due += random_gap(rate, &seed), client.may_issue--)
        client.faults[LATE]++;
    settle(clock_ns() + GRACE);
}

/* Open all connections, a few at a time; each makes one request. */
static void greet(void) {
    begin(0, UINT64_MAX);
    for (size_t next = 0; next < client.conns_len && errors() < 100;) {
        for (int n = 0; next < client.conns_len && n < CONNECTING_AT_ONCE; n++)
            open_conn(&client.conns[next++]);
        settle(clock_ns() + GRACE);
        for (size_t n = client.idle_len; n; n--) {
            struct conn *c = take_idle();
            if (c->greeted++)
                rest(c);
            else
                issue(c, clock_ns());
        }
        settle(clock_ns() + GRACE);
    }
}

static void report(const char *kind, double seconds) {
    const struct latencies *l = &client.latencies;
    printf("{\"%s\": true, \"seconds\": %.9f, \"responses\": %llu, \"bytes\": %llu, \"connections\": %zu, "
           "\"reopened\": %llu, \"request_bytes\": %zu, \"p50_us\": %.3f, \"p99_us\": %.3f, "
           "\"p999_us\": %.3f, \"max_us\": %.3f, \"errors\": {",
           kind, seconds, (unsigned long long)l->count, (unsigned long long)client.bytes, client.idle_len,
           (unsigned long long)client.reopened, client.asked->len, quantile_us(l, .5), quantile_us(l, .99),
           quantile_us(l, .999), l->worst / 1e3);
    for (int i = 0; i < FAULTS; i++)
        printf("%s\"%s\": %llu", i ? ", " : "", fault_names[i], (unsigned long long)client.faults[i]);
    puts("}}");
    fflush(stdout);
}

static double option(int argc, char **argv, const char *name, double otherwise) {
    size_t len = strlen(name);
    for (int i = 5; i < argc; i++)
        if (!strncmp(argv[i], name, len) && argv[i][len] == '=')
            return atof(argv[i] + len + 1);
    return otherwise;
}

static void set_up(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    client.peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &client.peer.sin_addr);
    make_request(&measured, argv[3], option(argc, argv, "distinct", 0) > 0, strtoull(argv[4], NULL, 10));
    greeting = measured;
    client.asked = &greeting;
    for (int i = 5; i < argc; i++)
        if (!strncmp(argv[i], "greet=", 6))
            make_request(&greeting, argv[i] + 6, 0, option(argc, argv, "greet_length", 0));
    snprintf(client.status, sizeof client.status, "%d", (int)option(argc, argv, "status", 200));
    client.conns_len = option(argc, argv, "connections", 32);
    client.conns = calloc(client.conns_len, sizeof *client.conns);
    client.idle = calloc(client.conns_len, sizeof *client.idle);
    client.poll_fd = epoll_create1(EPOLL_CLOEXEC);
    client.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (!client.conns || !client.idle || epoll_ctl(client.poll_fd, EPOLL_CTL_ADD, client.timer_fd, &ev))
        exit(1);
}

int main(int argc, char **argv) {
    if (argc < 5)
        return fputs("usage: load HOST PORT TARGET LENGTH [name=value ...]\n", stderr), 2;
    set_up(argc, argv);
    double seconds = option(argc, argv, "seconds", 1), rate = option(argc, argv, "rate", 0);
    double warm = option(argc, argv, "warm", 0);
    uint64_t requests = option(argc, argv, "requests", 0), seed = option(argc, argv, "seed", 1);
    size_t at_once = option(argc, argv, "at_once", client.conns_len);
    uint64_t start = clock_ns();
    greet();
    client.asked = &measured;
    if (warm > 0 && !errors())
        run_closed(0, warm, at_once);
    report("ready", (clock_ns() - start) / 1e9);
    for (char line[64]; fgets(line, sizeof line, stdin);) {
        start = clock_ns();
        if (rate > 0)
            run_paced(requests, seconds, rate, seed);
        else
            run_closed(requests, seconds, at_once);
        report("done", (clock_ns() - start) / 1e9);
    }
    return 0;
}
