"""From a snapshot's split (Rule.as_wire) to what workers decide by."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from wsgistack.balancer.plane.configure cimport make_tokens
from wsgistack.balancer.plane.core cimport MOST_SHARES, NAME_BYTES, Pool, Share
from wsgistack.blake2b cimport BLAKE2B_KEY, BLAKE2B_MOST, BLAKE2B_PERSON, blake2b_begin

WAYS = ("cookie", "ip", "header")        # in the order of SplitBy


cdef int put_name(char* out, uint8_t* size, str text) except -1:
    cdef bytes raw = text.encode("latin-1")
    if len(raw) >= NAME_BYTES:
        raise ValueError(f"{text!r}: {len(raw)} bytes, at most {NAME_BYTES - 1} fit")
    memcpy(out, <const char*>raw, len(raw))
    size[0] = len(raw)
    return 0


cdef int fill_keys(Split* split, bytes key, bytes person) except -1:
    cdef bytes signs = b"visitor".ljust(BLAKE2B_PERSON, b"\0")
    if len(key) != BLAKE2B_KEY or len(person) != BLAKE2B_PERSON:
        raise ValueError(f"a key of {len(key)} bytes, a person of {len(person)}")
    blake2b_begin(&split.draw, key, 4, person)
    blake2b_begin(&split.mark, key, BLAKE2B_MOST, signs)
    return 0


cdef int fill_share(Share* share, dict spec, dict pools) except -1:
    share.pool = <Pool*><size_t>pools[spec["pool"]]
    share.begin, share.end = spec["begin"], spec["end"]
    share.number = spec["number"]
    share.cell = spec["cell"]
    share.tokens = make_tokens(share.pool, spec["tokens"])
    return 0


cdef Split* make_split(dict spec, dict pools) except NULL:
    cdef Split* split
    cdef uint32_t i
    if len(spec["shares"]) > MOST_SHARES:
        raise ValueError(f"{len(spec['shares'])} buckets, at most {MOST_SHARES} fit")
    split = <Split*>calloc(1, sizeof(Split))
    if split == NULL:
        raise MemoryError
    try:
        split.by = WAYS.index(spec["by"])
        put_name(split.name, &split.name_len, spec["key"])
        put_name(split.cookie, &split.cookie_len, spec["cookie"])
        split.max_age_s = spec["max_age"]
        fill_keys(split, bytes.fromhex(spec["secret"]), bytes.fromhex(spec["person"]))
        for i, share in enumerate(spec["shares"]):
            split.n = i + 1
            fill_share(&split.shares[i], share, pools)
    except BaseException:
        free_split(split)
        raise
    return split


cdef void free_split(Split* split) noexcept:
    cdef uint32_t i
    if split == NULL:
        return
    for i in range(split.n):
        free(split.shares[i].tokens)
    free(split)
