"""From a snapshot's caches (Cache.as_wire) to what the workers tell requests apart by."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from wsgistack.balancer.plane.configure cimport own_text
from wsgistack.balancer.plane.gates cimport Text
from wsgistack.balancer.plane.page_rules cimport ASKS, NAME_LENGTHS, PERSONAL, PageRules, Words

UNREADABLE = frozenset("?[")     # in a pattern: cache/keys.py reads it as fnmatch does, path_fits knows stars alone


cdef int fill_words(Words* list, given) except -1:
    cdef bytes raw
    cdef uint32_t i
    list.words = <Text*>calloc(len(given) + 1, sizeof(Text))
    if list.words == NULL:
        raise MemoryError
    for i, word in enumerate(given):
        raw = word.encode("latin-1", "replace")
        list.words[i].p = own_text(raw)
        list.words[i].n = len(raw)
        list.n = i + 1
    return 0


cdef void free_words(Words* list) noexcept:
    cdef uint32_t i
    for i in range(list.n):
        free(list.words[i].p)
    free(list.words)


cdef int fill_fields(PageRules* rules, list asks, list personal) except -1:
    cdef uint32_t i
    fill_words(&rules.fields, [*personal, *asks])
    rules.meanings = <uint8_t*>calloc(rules.fields.n + 1, 1)
    if rules.meanings == NULL:
        raise MemoryError
    for i, name in enumerate([*personal, *asks]):
        if len(name) >= NAME_LENGTHS:
            raise ValueError(f"{name!r}: a name of {len(name)} letters")
        rules.meanings[i] = PERSONAL if i < <uint32_t>len(personal) else ASKS
        rules.starts[<int>len(name)] |= <uint32_t>1 << (ord(name[0]) & 31)
    return 0


cdef int fill_cookies(PageRules* rules, dict settings) except -1:
    lists = {key: [word for word in settings[key] if not UNREADABLE.intersection(word)]
             for key in ("ignored_cookies", "identity_cookies")}
    rules.doubts = any([len(lists[key]) < len(settings[key]) for key in lists])
    rules.strict = settings["strict"]
    fill_words(&rules.ignored, lists["ignored_cookies"])
    fill_words(&rules.identity, [word.lower() for word in lists["identity_cookies"]])
    fill_words(&rules.keys, [word.partition("=")[0] for word in settings["key_cookies"]])
    return 0


cdef PageRules* make_page_rules(dict cache) except NULL:
    cdef PageRules* rules = <PageRules*>calloc(1, sizeof(PageRules))
    if rules == NULL:
        raise MemoryError
    try:
        rules.for_guests = cache["settings"]["profile"] == "anonymous"
        fill_fields(rules, cache["asks"], cache["personal"])
        if rules.for_guests:
            fill_cookies(rules, cache["settings"])
    except BaseException:
        free_page_rules(rules)
        raise
    return rules


cdef void free_page_rules(PageRules* rules) noexcept:
    if rules == NULL:
        return
    for words in (<size_t>&rules.fields, <size_t>&rules.ignored, <size_t>&rules.keys, <size_t>&rules.identity):
        free_words(<Words*><size_t>words)
    free(rules.meanings)
    free(rules)
