"""What may be sent again, and why.

    what went wrong     listed by             costs budget  counts  tried nodes once more
    stale               always                no            no      yes: nothing is wrong with the node
    connect             retry_on connect      no            yes     no
    reset               retry_on reset        if sent       yes     once, when no other is left
    timeout             retry_on timeout      yes           yes     no
    invalid             retry_on invalid      yes           yes     no
    status              retry_on STATUS       yes           yes     no: without another node it is the answer
    error               enable_error_retries  yes           no      when no other is left; waits by the schedule

A request of which a node may have a byte is sent again only if it is idempotent (RFC 9110
9.2.2), and none is once its client has a byte of an answer.  The deadline is for all tries
together.  Retries that make a node work again cost budget, so that an outage is never made
worse by them; a connection that was refused costs nothing.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from wsgistack.balancer.retry import WORDS

cdef struct Rule:
    uint32_t listed              # the bit of retry_on
    uint32_t spends              # 0: never, 1: if a byte was sent, 2: always
    uint32_t counts
    uint32_t forgets             # 0: never, 1: once, 2: always
    uint32_t needs_others        # with nobody else to ask, what was answered is passed on

cdef Rule RULES[FAILED_COUNT]
RULES[:] = [
    [ALWAYS, 0, 0, 2, 0],        # its retry goes on a new connection, so there is one: nothing to bound
    [ON_CONNECT, 0, 1, 0, 0],
    [ON_RESET, 1, 1, 1, 0],
    [ON_TIMEOUT, 2, 1, 0, 0],
    [ON_INVALID, 2, 1, 0, 1],
    [ALWAYS, 2, 1, 0, 1],        # the caller looked it up in the list of statuses
    [ALWAYS, 2, 0, 2, 0],
]

cdef const char* REFUSALS[REFUSED_COUNT]
REFUSALS[:] = [b"", b"answered", b"unsafe", b"incomplete", b"unlisted", b"limit", b"alone", b"late", b"budget"]


cdef const char* refusal_name(int refusal) noexcept nogil:
    return REFUSALS[refusal if 0 <= refusal < REFUSED_COUNT else 0]


cdef int refusal(const Case* q, const Rule* rule, const Verdict* v) noexcept nogil:
    if q.answered:
        return REFUSED_ANSWERED
    if q.sent and not q.idempotent:
        return REFUSED_UNSAFE
    if not q.whole:
        return REFUSED_INCOMPLETE
    if rule.listed != ALWAYS and not q.retry_on & rule.listed:
        return REFUSED_UNLISTED
    if rule.counts and q.retries >= q.limit:
        return REFUSED_LIMIT
    if q.failure == FAILED_ERROR and q.errors >= q.n_delays:
        return REFUSED_LIMIT
    if rule.needs_others and not q.others:
        return REFUSED_ALONE
    if q.left_ms <= v.delay_ms:
        return REFUSED_LATE
    if v.spends and not q.within_budget:
        return REFUSED_BUDGET
    return REFUSED_NOT


cdef Verdict retry_judge(const Case* q) noexcept nogil:
    cdef const Rule* rule = &RULES[q.failure]
    cdef Verdict v
    memset(&v, 0, sizeof(v))
    v.counts = rule.counts
    v.spends = rule.spends == 2 or (rule.spends == 1 and q.sent)
    v.forgets = rule.forgets == 2 or (rule.forgets == 1 and not q.asked_again)
    if q.failure == FAILED_ERROR and q.errors < q.n_delays:
        v.delay_ms = q.delays_ms[q.errors]
    v.refusal = refusal(q, rule, &v)
    return v


# -- the face for tests --------------------------------------------------------------------

FAILURES = ("stale", "connect", "reset", "timeout", "invalid", "status", "error")


def judge(failure: str, *, retry_on=WORDS, sent=True, idempotent=True, answered=False, whole=True, others=True,
          within_budget=True, asked_again=False, retries=0, limit=3, errors=0, delays_ms=(), left_ms=60_000) -> dict:
    """Return the verdict on one failed try: `refused` ("" for none), `spends`, `counts`, `forgets`, `delay_ms`."""
    cdef uint32_t delays[64]
    cdef Case q
    cdef Verdict v
    memset(&q, 0, sizeof(q))
    q.failure = FAILURES.index(failure)
    q.sent, q.idempotent, q.answered, q.whole = sent, idempotent, answered, whole
    q.others, q.within_budget, q.asked_again = others, within_budget, asked_again
    q.retry_on = sum(1 << WORDS.index(word) for word in retry_on)
    q.retries, q.limit, q.errors, q.left_ms = retries, limit, errors, left_ms
    q.n_delays = len(delays_ms)
    for i, ms in enumerate(delays_ms):
        delays[<int>i] = ms
    q.delays_ms = delays
    v = retry_judge(&q)
    return {"refused": refusal_name(v.refusal).decode(), "spends": bool(v.spends), "counts": bool(v.counts),
            "forgets": bool(v.forgets), "delay_ms": v.delay_ms}
