"""The path of a request as limits see it: the twin of http/paths.normal_path.

Applications take /login, //login, /./login, /%6Cogin and /login;x=1 for the same place; a limit must too.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove


cdef inline int hex_digit(char c) noexcept nogil:
    if b"0" <= c <= b"9":
        return c - 48
    if b"a" <= (c | 32) <= b"f":
        return (c | 32) - 87
    return -1


cdef uint32_t decode(const char* target, uint32_t n, char* out) noexcept nogil:
    # Up to the query; an escape that is none stays as it is.
    cdef uint32_t i = 0, size = 0
    while i < n and target[i] != b"?":
        if target[i] == b"%" and i + 2 < n and hex_digit(target[i + 1]) >= 0 and hex_digit(target[i + 2]) >= 0:
            out[size] = <char>(hex_digit(target[i + 1]) * 16 + hex_digit(target[i + 2]))
            i += 3
        else:
            out[size] = target[i]
            i += 1
        size += 1
    return size


cdef int ends_in_slash(const char* p, uint32_t n, uint32_t most) noexcept nogil:
    # "/", and up to `most` dots behind it
    cdef uint32_t dots = 0
    while dots < most and dots < n and p[n - 1 - dots] == b".":
        dots += 1
    return dots < n and p[n - 1 - dots] == b"/"


cdef uint32_t segment_end(const char* p, uint32_t at, uint32_t n, char stop) noexcept nogil:
    while at < n and p[at] != stop:
        at += 1
    return at


cdef uint32_t path_of_target(const char* target, uint32_t n, char* out, int resolves=1) noexcept nogil:
    # It is made in place: what is written never passes what is read, which begins a byte later.
    cdef char* path = out + 1
    cdef uint32_t size = decode(target, n, path), at = 0, end, name, written = 0
    cdef int slash = ends_in_slash(path, size, 1 + resolves)
    while True:
        end = segment_end(path, at, size, b"/")
        name = segment_end(path, at, end, b";") - at
        if resolves and name == 2 and path[at] == b"." and path[at + 1] == b".":
            while written and out[written - 1] != b"/":
                written -= 1
            written -= written > 0
        elif name and not (name == 1 and path[at] == b"."):
            memmove(out + written + 1, path + at, name)
            out[written] = b"/"
            written += name + 1
        if end == size:
            break
        at = end + 1
    if written == 0 or slash:
        out[written] = b"/"
        written += 1
    return written


cdef int path_fits(const char* glob, uint32_t n, const char* path, uint32_t size) noexcept nogil:
    # After a mismatch the last star takes one byte more; stars before it have no say any longer.
    cdef uint32_t g = 0, p = 0, star = n, star_p = 0
    while p < size:
        if g < n and glob[g] == b"*":
            star = g
            star_p = p
            g += 1
        elif g < n and glob[g] == path[p]:
            g += 1
            p += 1
        elif star < n:
            star_p += 1
            p = star_p
            g = star + 1
        else:
            return 0
    while g < n and glob[g] == b"*":
        g += 1
    return g == n


cdef int path_may_fit(const char* glob, uint32_t n, const char* target, uint32_t size, char* room) noexcept nogil:
    # As it came, and without what means nothing: see http/paths.path_readings.
    if path_fits(glob, n, room, decode(target, size, room)):
        return 1
    return path_fits(glob, n, room, path_of_target(target, size, room, 0))


# -- the face for tests --------------------------------------------------------------------

def normal_path_bytes(target: bytes) -> bytes:
    """Return the normal path of a request target."""
    cdef char* room = <char*>malloc(len(target) + 2)
    if room == NULL:
        raise MemoryError
    try:
        return room[:path_of_target(target, len(target), room)]
    finally:
        free(room)


def may_fit(glob: bytes, target: bytes) -> bool:
    """Tell whether *glob* fits a reading of a request target other than its normal path."""
    room = bytearray(len(target) + 2)
    cdef char* out = room
    return path_may_fit(glob, len(glob), target, len(target), out) == 1


def glob_fits(glob: bytes, path: bytes) -> bool:
    """Tell whether *glob* fits the whole path."""
    return path_fits(glob, len(glob), path, len(path)) == 1
