# How the requests of a service with a page cache are told apart: made by pages_build.pyx, asked by pages.pyx.

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.gates cimport Text

cdef enum:
    NAME_LENGTHS = 64            # of fields; longer ones have no meaning to a cache


cdef enum Meaning:               # of a request field
    ASKS = 1                     # the keeper decides
    PERSONAL                     # the request is somebody's own


cdef enum Way:                   # what became of a request; part of the access log
    WAY_NONE = 0                 # its service has no cache
    WAY_HIT                      # out of the ready table
    WAY_HOP                      # to the keeper
    WAY_BYPASS                   # personal: straight to the pool
    WAY_FALLBACK                 # a hop that the keeper could not take


cdef struct Words:
    uint32_t n
    Text* words


cdef struct PageRules:
    uint8_t for_guests           # cookies are judged; else they are fields as others
    uint8_t strict               # an unknown cookie is personal
    uint8_t doubts               # there are patterns that only the keeper can read
    uint32_t starts[NAME_LENGTHS]        # for each length of a name that has a meaning, the first letters: a bit each
    Words fields                 # lower case
    uint8_t* meanings
    Words ignored                # cookies: names, and patterns with stars
    Words keys
    Words identity               # lower case


cdef struct Claimed:             # of a request, found by judge
    const char* encoding         # its Accept-Encoding
    uint32_t encoding_len
    const char* why              # what makes it personal: a kind
    const char* name             # and a name, which may be empty
    uint32_t name_len
    uint8_t https
    uint8_t is_ready             # the ready table may answer
