"""An application's values and cached functions, over a real memcached."""

from collections.abc import Iterator

import pytest

from tests.conftest import PATIENT
from tools.real_memcached import Memcached
from wsgistack import MemcacheRing, ObjectCache
from wsgistack.errors import ArgumentError


@pytest.fixture
def cache(memcached: Memcached) -> Iterator[ObjectCache]:
    ring = MemcacheRing([memcached.address], **PATIENT)
    yield ObjectCache(ring)
    ring.close()


def test_values_come_and_go(cache: ObjectCache) -> None:
    assert cache.get("key") is None
    assert cache.set("key", {"a": (1, 2)}, 60) is True
    assert cache.get(b"key") == {"a": (1, 2)}
    assert cache.fetch("other", lambda: [7], 60) == [7]
    assert cache.fetch("other", lambda: [8], 60) == [7]
    assert cache.invalidate("other") is True
    assert cache.fetch("other", lambda: [9], 60) == [9]


def test_a_cached_function_runs_once_for_each_call(cache: ObjectCache) -> None:
    calls: list[tuple[object, str]] = []

    @cache.cached(ttl=60)
    def page(number: object = 1, *, language: str = "en") -> str:
        """Render."""
        calls.append((number, language))
        return f"{number!r} {language}"

    assert [page(1), page(), page(number=1), page(1, language="en")] == ["1 en"] * 4
    assert calls == [(1, "en")]
    assert [page("1"), page(True), page(1.0), page(1, language="de")] == [
        "'1' en",
        "True en",
        "1.0 en",
        "1 de",
    ]
    assert len(calls) == 5
    assert (page.__name__, page.__doc__) == ("page", "Render.")
    assert page.plain(9) == "9 en"


def test_a_result_is_forgotten_by_its_arguments_or_by_a_tag(cache: ObjectCache) -> None:
    calls: list[int] = []

    @cache.cached(ttl=60, tags=lambda user: [f"user:{user}"])
    def profile(user: int) -> int:
        calls.append(user)
        return len(calls)

    assert [profile(7), profile(8), profile(7)] == [1, 2, 1]
    profile.invalidate(7)
    assert [profile(7), profile(8)] == [3, 2]
    cache.invalidate_tags("user:8")
    assert [profile(7), profile(8)] == [3, 4]


def test_none_is_a_result_like_any_other(cache: ObjectCache) -> None:
    calls: list[int] = []

    @cache.cached(ttl=60)
    def find() -> None:
        calls.append(1)

    for _ in range(2):
        find()
    assert calls == [1]


def test_two_functions_and_two_prefixes_are_apart(cache: ObjectCache) -> None:
    def give() -> int:
        return next(numbers)

    numbers = iter([1, 2])
    one, two = cache.cached(ttl=60)(give), cache.cached(ttl=60, name="two")(give)
    assert (one(), two()) == (1, 2)
    assert one.key() != two.key()


def test_arguments_that_cannot_be_told_apart_are_refused(cache: ObjectCache) -> None:
    @cache.cached(ttl=60)
    def page(request: object) -> int:
        return 1

    with pytest.raises(ArgumentError, match=r"page: an argument cannot be part of a key: a .*object"):
        page(object())
    with pytest.raises(ArgumentError, match="neither str nor bytes"):
        cache.get(7)  # type: ignore[arg-type]
