"""A change that another process takes while a page is being made: the page is not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH, NOW, heard_by
from tests.conftest import PATIENT_URL
from tests.contracts.stores import Clock
from tools.real_memcached import running
from wsgistack.cache.coalesce import BUSY
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.tickets import HELD, NO_HOLD, hold, swap
from wsgistack.errors import StoreDown
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.store.shm.store import ShmStore
from wsgistack.store.tiered import Tiered
from wsgistack.store.url import make_store

SIZE = 1 << 20
VARYING = [*FRESH, ("Vary", "Accept-Language")]
SEARCHED = [*FRESH, ("No-Vary-Search", 'params=("utm")')]
TAGGED = [("Cache-Control", "max-age=60"), ("ETag", '"a"')]


class Shared(MemoryStore):
    """What several processes would see."""

    shared = True


class Site:
    """A value that a POST raises; *meanwhile*: what happens when it was read, and before a page of it is sent."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields
        self.value = 0
        self.made = 0
        self.meanwhile: list[Callable[[], object]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self.value += 1
            start_response("204 No Content", [])
            return []
        self.made += 1
        value = self.value
        while self.meanwhile:
            self.meanwhile.pop()()
        start_response("200 OK", [*self.fields, ("Content-Length", "1")])
        return [b"%d" % value]


def ask(app: Any, path: str = "/x", method: str = "GET", **fields: str) -> bytes:
    body = app(Request.blank(path, method=method, headers=fields).environ, heard_by([]))
    read = b"".join(body)
    getattr(body, "close", lambda: None)()
    return read


@contextmanager
def shm() -> Iterator[Callable[[], Any]]:
    with closing(ShmStore(None, SIZE)) as store:
        yield lambda: store


@contextmanager
def memcached() -> Iterator[Callable[[], Any]]:
    with running(2) as servers:
        names = ",".join(server.address for server in servers)
        stores: list[Any] = []

        def make() -> Any:
            stores.append(make_store(f"memcached://{names}{PATIENT_URL}"))
            return stores[-1]

        yield make
        for store in stores:
            store.close()


@contextmanager
def shared_memory() -> Iterator[Callable[[], Any]]:
    store = Shared(SIZE)
    yield lambda: store


@pytest.fixture(params=[shm, memcached, shared_memory], ids=lambda make: make.__name__)
def stores(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The store as two processes have it."""
    with request.param() as make:
        yield [make(), make()]


@pytest.fixture(params=[shm, memcached], ids=lambda make: make.__name__)
def tiered(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The same below a memory of each process."""
    with request.param() as make:
        yield [Tiered(MemoryStore(SIZE), make(), near_s=60) for _ in "ab"]


def tell_the_story(
    stores: list[Any],
    fields: list[tuple[str, str]],
    *,
    coalesce: bool,
    is_known: bool,
    changed: str = "/x?utm=1",
) -> int:
    """Let one process make a page while the other takes a change; return how many pages were made after it."""
    site, now = Site(fields), [NOW]
    one, other = (PageCache(site, store=each, now=lambda: now[0], coalesce=coalesce) for each in stores)
    if is_known:
        ask(one, "/x?utm=1")
        now[0] += 61.0
    site.meanwhile = [lambda: ask(other, changed, "POST")]
    assert ask(one, "/x?utm=1") == b"0"  # it was asked for before
    made = site.made
    assert [ask(cache, path) for cache in (other, one) for path in ("/x?utm=1", "/x?utm=1")] == [b"1"] * 4
    return site.made - made


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("fields", [FRESH, VARYING], ids=["plain", "varying"])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_page_of_before_a_change_in_another_process_is_not_kept(
    stores: list[Any], fields: list[tuple[str, str]], coalesce: bool, is_known: bool
) -> None:
    assert tell_the_story(stores, fields, coalesce=coalesce, is_known=is_known) == 1


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("changed", ["/x?utm=1", "/x?utm=2"])
def test_nor_is_one_whose_query_means_the_same_as_that_of_the_change(
    stores: list[Any], coalesce: bool, is_known: bool, changed: str
) -> None:
    made = tell_the_story(stores, SEARCHED, coalesce=coalesce, is_known=is_known, changed=changed)
    # Which queries mean the same is known from the first page on; only then it is known where one will lie.
    assert made == 1


@pytest.mark.parametrize("fields", [FRESH, VARYING], ids=["plain", "varying"])
@pytest.mark.parametrize("is_known", [False, True])
def test_nor_is_it_below_a_memory_of_each_process(
    tiered: list[Any], fields: list[tuple[str, str]], is_known: bool
) -> None:
    # A memory nearby may still have the one that had grown old.
    assert tell_the_story(tiered, fields, coalesce=True, is_known=is_known) in (1, 2)


def test_the_answer_to_a_validation_of_before_a_change_is_not_kept(stores: list[Any]) -> None:
    site, now = Site(TAGGED), [NOW]

    def validating(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_IF_NONE_MATCH") == '"a"' and site.meanwhile:
            site.meanwhile.pop()()
            start_response("304 Not Modified", TAGGED)
            return []
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return site(environ, start_response)

    one, other = (PageCache(validating, store=each, now=lambda: now[0]) for each in stores)
    ask(one)
    now[0] += 61.0
    site.meanwhile = [lambda: ask(other, method="POST")]
    assert ask(one) == b"0"
    assert [ask(one), ask(other)] == [b"1", b"1"]


class Between(Shared):
    """A store in which something happens right before, or after, a page or a list of names is stored."""

    def __init__(self, *, is_before: bool) -> None:
        super().__init__(SIZE)
        self.is_before = is_before
        self.then: list[Callable[[], object]] = []

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        then, self.then = self.then, []
        if self.is_before:
            [each() for each in then]
        done = super().cas(key, value, ttl_s, token, pinned=pinned)
        if not self.is_before:
            [each() for each in then]
        return done


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("fields", [FRESH, VARYING, SEARCHED], ids=["plain", "varying", "searched"])
def test_a_change_at_the_very_moment_of_storing_removes_the_page(
    fields: list[tuple[str, str]], is_before: bool
) -> None:
    store, site = Between(is_before=is_before), Site(fields)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")
    if fields is SEARCHED:
        ask(one, "/x?other=1")  # which queries mean the same is known then
    site.meanwhile = [lambda: store.then.append(lambda: ask(other, method="POST"))]
    assert ask(one) == b"0"
    assert not store.then
    assert [ask(one), ask(other)] == [b"1", b"1"]


def test_a_page_of_before_a_change_is_at_no_time_there_for_anybody() -> None:
    class Noting(Shared):
        def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
            done = super().cas(key, value, ttl_s, token, pinned=pinned)
            stored.append(done)
            return done

        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            assert key.startswith("b:"), "nothing but purges"
            super().set(key, value, ttl_s, pinned=pinned)

    stored: list[bool] = []
    store, site = Noting(SIZE), Site(FRESH)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")
    site.meanwhile = [lambda: ask(other, method="POST")]
    ask(one)
    assert stored[-1:] == [False]
    ask(one)
    assert stored[-1:] == [True]


class Deaf(ShmStore):
    error: Exception | None = None

    def gets(self, key: str) -> Any:
        if self.error is not None:
            raise self.error
        return super().gets(key)


def test_no_page_is_called_stored_while_no_mark_can_be_read() -> None:
    heads: list[Any] = []
    with closing(Deaf(None, SIZE)) as store:
        cache = PageCache(Site(FRESH), store=store, now=lambda: NOW, coalesce=False)
        for store.error in (StoreDown("locked"), None):
            b"".join(cache(Request.blank("/x").environ, heard_by(heads)))
    said = [dict(head[-1])["Cache-Status"].rpartition("; ")[2] for head in heads]
    assert said == ["detail=store-down", "stored"]


def test_a_change_of_another_path_spoils_nothing() -> None:
    store, site = Shared(SIZE), Site(FRESH)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")
    site.meanwhile = [lambda: ask(other, "/y", "POST")]
    assert [ask(one), ask(other)] == [b"0", b"0"]
    assert site.made == 1


def test_a_change_that_failed_spoils_nothing() -> None:
    store, site = Shared(SIZE), Site(FRESH)
    one = PageCache(site, store=store, now=lambda: NOW)

    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("409 Conflict", [])
        return []

    other = PageCache(failing, store=store, now=lambda: NOW)
    site.meanwhile = [lambda: ask(other, method="POST")]
    ask(one)
    ask(one)
    assert site.made == 1


def test_a_page_that_was_made_longer_than_its_lease_lasts_is_not_kept() -> None:
    clock = Clock()
    store, site = Shared(SIZE, clock=clock), Site(FRESH)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")

    def be_slow() -> None:
        clock.now += 31.0  # nobody would see a change now
        site.value += 1
        assert ask(other) == b"1"

    site.meanwhile = [be_slow]
    assert ask(one) == b"0"
    assert [ask(one), ask(other), site.made] == [b"1", b"1", 2]


def test_a_variant_of_before_a_change_is_not_put_among_those_of_after_it(stores: list[Any]) -> None:
    site = Site(VARYING)
    one, other = (PageCache(site, store=each, now=lambda: NOW) for each in stores)
    ask(one, **{"Accept-Language": "de"})
    site.meanwhile.append(lambda: ask(other, **{"Accept-Language": "fr"}))
    site.meanwhile.append(lambda: ask(other, method="POST"))  # the last one comes first
    assert ask(one, **{"Accept-Language": "en"}) == b"0"
    for cache in (one, other):
        assert [ask(cache, **{"Accept-Language": name}) for name in ("en", "fr", "de")] == [b"1"] * 3


def test_two_that_find_a_new_way_to_vary_at_the_same_time_lose_no_list(stores: list[Any]) -> None:
    names = iter(["Accept-Language", "X-Theme", "X-Size"])
    site = Site([])

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        site.fields = [*FRESH, ("Vary", next(names, "Accept-Language"))]
        return site(environ, start_response)

    one, other = (PageCache(app, store=each, now=lambda: NOW, coalesce_wait=0.1) for each in stores)
    ask(one)
    fields = {"X-Theme": "a", "X-Size": "b", "Accept-Language": "de"}
    site.meanwhile = [lambda: ask(other, **fields)]
    ask(one, **fields)
    assert ask(other, method="POST") == b""
    assert [ask(one, **fields), ask(other, **fields)] == [b"1", b"1"]


def test_a_page_that_can_be_shared_again_is_kept_the_next_time() -> None:
    store, site = Shared(SIZE), Site([("Cache-Control", "private")])
    cache = PageCache(site, store=store, now=lambda: NOW)
    heads: list[Any] = []

    def status() -> str:
        b"".join(cache(Request.blank("/x").environ, heard_by(heads)))
        return str(dict(heads[-1][1])["Cache-Status"].partition("; ")[2])

    assert [status(), status()] == ["fwd=uri-miss; detail=private"] * 2
    site.fields = FRESH
    assert [status() for _ in range(3)] == [
        "fwd=uri-miss; ttl=60; detail=not-kept-lately",
        "fwd=uri-miss; ttl=60; stored",
        "hit; ttl=60",
    ]


def test_a_head_leaves_nothing_behind(stores: list[Any]) -> None:
    site = Site(FRESH)
    one, other = (PageCache(site, store=each, now=lambda: NOW) for each in stores)
    ask(one, method="HEAD")
    key = one._find_places("http://localhost/x")[0].key.text
    assert stores[0].get(key) is None
    assert ask(other) == b"0"


@pytest.mark.parametrize("guard", [lambda store: store, Guarded], ids=["bare", "guarded"])
def test_in_trouble_there_is_no_token(guard: Callable[[Any], Any]) -> None:
    with closing(Deaf(None, SIZE)) as store:
        store.error = StoreDown("it does not answer")
        assert hold(guard(store), "k", is_empty=False) == NO_HOLD
        assert hold(guard(store), "k", is_empty=True) == NO_HOLD


def test_what_lies_there_is_told_and_where_nothing_does_a_place_is_held(stores: list[Any]) -> None:
    one, other = stores
    held = hold(one, "k", is_empty=True)
    token = held.token
    assert token is not None
    assert held.raw is not None and held.raw.startswith(HELD)
    assert hold(other, "k", is_empty=True) == held == hold(other, "k", is_empty=False)
    assert not HELD.startswith(BUSY)  # nobody waits for it
    assert swap(other, "k", b"page", 60.0, token)
    assert not swap(one, "k", b"other", 60.0, token)
    assert one.get("k") == b"page"
    one.delete("k")
    assert not swap(one, "k", b"other", 60.0, token)
    assert one.get("k") is None


@pytest.mark.parametrize("guard", [lambda store: store, Guarded], ids=["bare", "guarded"])
def test_what_is_too_large_leaves_nothing_in_its_place(guard: Callable[[Any], Any]) -> None:
    store = Shared(SIZE)
    store.set("k", b"old", 60.0)
    found = store.gets("k")
    assert found is not None
    assert not swap(guard(store), "k", bytes(SIZE), 60.0, found.token)
    assert store.get("k") is None
