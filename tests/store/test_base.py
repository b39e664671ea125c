"""What counts as a store: whatever answers as one."""

from typing import Any

import pytest

from wsgistack.cache.making import make_store_of
from wsgistack.store.base import OF_STORE, is_appending, is_bounded, is_store
from wsgistack.store.memory import MemoryStore


class Front:
    """Stands before *one* and hands everything on, but for what it is without."""

    def __init__(self, one: object, without: str = "") -> None:
        self.one, self.without = one, without

    def __getattr__(self, name: str) -> Any:
        if name == self.without:
            raise AttributeError(name)
        return getattr(self.one, name)


def test_what_stands_before_a_store_is_one() -> None:
    front = Front(MemoryStore(1 << 20))
    assert is_store(front)
    assert make_store_of(front, 1 << 20) is front


@pytest.mark.parametrize("name", OF_STORE)
def test_whoever_lacks_a_part_is_no_store(name: str) -> None:
    assert not is_store(Front(MemoryStore(1 << 20), without=name))


def test_a_store_has_parts() -> None:
    assert {"shared", "pins", "get", "get_many", "set", "cas", "incr_many"} <= {*OF_STORE}


@pytest.mark.parametrize("other", [None, 5, "memory://", object()])
def test_other_things_are_no_stores(other: object) -> None:
    assert not is_store(other)


def test_what_more_a_store_can_is_asked_of_it() -> None:
    assert not is_appending(MemoryStore(1 << 20))
    assert not is_bounded(MemoryStore(1 << 20))
    more = MemoryStore(1 << 20)
    more.append_many = more.within = print  # type: ignore[attr-defined]
    assert is_appending(Front(more))
    assert is_bounded(Front(more))
