/* Latencies of the load generator: a log-linear histogram of nanoseconds, and a Poisson clock.
 * 64 buckets a power of two, so that a quantile is at most 1.6 % too high. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { SUB = 64, BUCKETS = 64 * SUB };

struct latencies { uint64_t count, worst, buckets[BUCKETS]; };

static inline void note_latency(struct latencies *l, uint64_t ns) {
    int shift = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 6;
    size_t bucket = ns < SUB ? ns : (size_t)(shift + 1) * SUB + ((ns >> shift) - SUB);
    l->buckets[bucket]++;
    l->count++;
    l->worst = ns > l->worst ? ns : l->worst;
}

static inline double quantile_us(const struct latencies *l, double q) {
    uint64_t rank = (uint64_t)ceil(q * l->count), sum = 0;
    for (size_t i = 0; i < BUCKETS && l->count; i++)
        if ((sum += l->buckets[i]) >= rank) {
            uint64_t top = i < SUB ? i : (uint64_t)(i % SUB + SUB + 1) << (i / SUB - 1);
            return (top < l->worst ? top : l->worst) / 1e3;
        }
    return 0;
}

/* Nanoseconds to the next arrival: splitmix64, then exponential. */
static inline uint64_t random_gap(double rate, uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint64_t)(-log(((z ^ (z >> 31)) >> 11 | 1) * 0x1p-53) / rate * 1e9);
}
