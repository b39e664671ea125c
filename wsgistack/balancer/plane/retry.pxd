# What may be sent again, and why: one table over what went wrong, and one function that reads it.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum Failure:               # what became of a try
    FAILED_STALE = 0             # a kept connection ended before a byte of the answer: closed by the node while idle
    FAILED_CONNECT               # no connection, or it failed its verification
    FAILED_RESET                 # a new connection ended before a byte of the answer
    FAILED_TIMEOUT               # no answer within the time of one try
    FAILED_INVALID               # the answer breaks the rules of HTTP
    FAILED_STATUS                # the answer has a status of retry_on
    FAILED_ERROR                 # GET or HEAD was answered 500, and enable_error_retries is on
    FAILED_COUNT

cdef enum RetryOn:               # the words of retry_on, in the order of balancer/retry.py
    ON_CONNECT = 1
    ON_RESET = 2
    ON_TIMEOUT = 4
    ON_INVALID = 8
    ALWAYS = 128

cdef enum Refusal:               # why a request is not sent again; REFUSALS in retry.pyx
    REFUSED_NOT = 0
    REFUSED_ANSWERED             # bytes of this answer are with the client
    REFUSED_UNSAFE               # the node may have acted on it, and it is not idempotent
    REFUSED_INCOMPLETE           # its bytes are not kept any more
    REFUSED_UNLISTED             # retry_on does not name this failure
    REFUSED_LIMIT                # retry_limit, or the end of error_retry_schedule
    REFUSED_ALONE                # no other node could answer better
    REFUSED_LATE                 # the request's deadline comes first
    REFUSED_BUDGET               # retry_budget
    REFUSED_COUNT

cdef struct Case:                # all that the decision depends on
    uint8_t failure
    uint8_t sent                 # the node may have a byte of the request
    uint8_t idempotent           # RFC 9110 9.2.2, or it carries an Idempotency-Key and the setting trusts that
    uint8_t answered             # the client has a byte of the answer
    uint8_t whole                # the request can be sent from its first byte
    uint8_t others               # a node that was not tried is there
    uint8_t within_budget
    uint8_t asked_again          # its tried nodes were forgotten once already
    uint32_t retry_on            # bits of RetryOn
    uint32_t retries             # so far, those of the schedule not counted
    uint32_t limit
    uint32_t errors              # how often the schedule was used
    uint32_t n_delays
    const uint32_t* delays_ms
    uint64_t left_ms             # until the request's deadline

cdef struct Verdict:
    uint8_t refusal              # REFUSED_NOT: send it again
    uint8_t counts               # against retry_limit
    uint8_t spends               # from the budget
    uint8_t forgets              # once no other node is left, tried ones may be asked again
    uint32_t delay_ms

cdef Verdict retry_judge(const Case* q) noexcept nogil
cdef const char* refusal_name(int refusal) noexcept nogil
