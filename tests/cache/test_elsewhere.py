"""A change that another process takes while a page is being made: the page is not kept, over near stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH, NOW, heard_by
from wsgistack.cache.elsewhere import Elsewhere
from wsgistack.cache.keys import Target
from wsgistack.cache.middleware import PageCache
from wsgistack.errors import StoreDown
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.store.shm.store import ShmStore
from wsgistack.store.tiered import Tiered

SIZE = 1 << 20
TARGET = Target("http", "localhost", "/x", "")
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


@pytest.fixture(params=["shm", "tiered shm", "shared memory"])
def stores(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The store as two processes have it."""
    if request.param == "shared memory":
        yield [Shared(SIZE)] * 2
        return
    shm = ShmStore(None, SIZE)
    yield [shm] * 2 if request.param == "shm" else [Tiered(MemoryStore(SIZE), shm, near_s=60) for _ in "ab"]
    shm.close()


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("fields", [FRESH, VARYING, SEARCHED], ids=["plain", "varying", "searched"])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_page_of_before_a_change_in_another_process_is_not_kept(
    stores: list[Any], fields: list[tuple[str, str]], coalesce: bool, is_known: bool
) -> None:
    site, now = Site(fields), [NOW]
    one, other = (PageCache(site, store=each, now=lambda: now[0], coalesce=coalesce) for each in stores)
    if is_known:
        ask(one, "/x?utm=1")
        now[0] += 61.0
    site.meanwhile = [lambda: ask(other, "/x?utm=1", "POST")]
    assert ask(one, "/x?utm=1") == b"0"  # it was asked for before
    assert [ask(cache, path) for cache in (other, one) for path in ("/x?utm=1", "/x?utm=1")] == [b"1"] * 4
    # And the page of after it is kept; a tier nearby may still have the one that had grown old.
    assert site.made - is_known in ((2, 3) if isinstance(stores[0], Tiered) else (2,))


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
    """A store in which something happens right before, or after, a page is stored."""

    def __init__(self, *, is_before: bool) -> None:
        super().__init__(SIZE)
        self.is_before = is_before
        self.then: list[Callable[[], object]] = []

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        then, self.then = self.then, []
        if self.is_before:
            [each() for each in then]
        super().set(key, value, ttl_s, pinned=pinned)
        if not self.is_before:
            [each() for each in then]


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("fields", [FRESH, VARYING, SEARCHED], ids=["plain", "varying", "searched"])
def test_a_change_at_the_very_moment_of_storing_removes_the_page(
    fields: list[tuple[str, str]], is_before: bool
) -> None:
    store, site = Between(is_before=is_before), Site(fields)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")
    site.meanwhile = [lambda: store.then.append(lambda: ask(other, method="POST"))]
    assert ask(one) == b"0"
    assert not store.then
    assert [ask(one), ask(other)] == [b"1", b"1"]


def test_a_page_of_before_a_change_is_at_no_time_there_for_anybody() -> None:
    class Noting(Shared):
        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            sets.extend([key] if key[:2] not in ("b:", "c:") else [])  # no purges and no marks
            super().set(key, value, ttl_s, pinned=pinned)

    sets: list[str] = []
    store, site = Noting(SIZE), Site(FRESH)
    one, other = (PageCache(site, store=store, now=lambda: NOW) for _ in "ab")
    site.meanwhile = [lambda: ask(other, method="POST")]
    ask(one)
    assert sets == []
    ask(one)
    assert len(sets) == 1


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


def test_what_lies_behind_a_network_and_what_is_of_one_process_gets_no_marks() -> None:
    class Remote(Shared):
        def within(self, seconds: float) -> None:
            raise AssertionError("it is only looked for")

    for store in (Remote(SIZE), Tiered(MemoryStore(SIZE), Remote(SIZE), near_s=1), MemoryStore(SIZE)):
        marks = Elsewhere(store)
        marks.tell([TARGET])
        assert marks.mark(TARGET) is None
        assert not marks.has_changed(TARGET, None)
        assert store.stats()["items"] == 0


@pytest.mark.parametrize("guard", [lambda store: store, Guarded], ids=["bare", "guarded"])
def test_a_store_in_trouble_may_have_missed_a_change(guard: Callable[[Any], Any]) -> None:
    with closing(Deaf(None, SIZE)) as store:
        store.error = StoreDown("it does not answer")
        marks = Elsewhere(guard(store))
        assert marks.has_changed(TARGET, None)
        assert marks.has_changed(TARGET, marks.mark(TARGET))


def test_marks_are_few_whatever_is_changed() -> None:
    store = Shared(SIZE)
    marks = Elsewhere(store)
    for number in range(5000):
        marks.tell([TARGET._replace(path=f"/{number}")])
    assert 1024 < store.stats()["items"] <= 2048
