"""What RateLimit refuses to be given."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.arguments import _with_deadline, check_processes, find_store


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memcached://a", "memcached://a?timeout=0.02&least_timeout=0.015&connect_timeout=0.02"),
        (
            "memcached://a?prefix=x&connect_timeout=1",
            "memcached://a?prefix=x&connect_timeout=1&timeout=0.02&least_timeout=0.015",
        ),
        ("memcached://a?timeout=1", "memcached://a?timeout=1"),
        ("shm:///a", "shm:///a"),
    ],
)
def test_a_memcached_server_is_waited_for_as_long_as_the_deadline(url: str, expected: str) -> None:
    assert _with_deadline(url, 0.02) == expected


def test_a_short_deadline_is_the_least_one_too() -> None:
    assert "least_timeout=0.005" in _with_deadline("memcached://a", 0.005)


def test_the_store_has_that_deadline() -> None:
    store = find_store("memcached://127.0.0.1:1", 0.5)
    assert store is not None
    (node,) = store._cluster.nodes()  # type: ignore[attr-defined]  # of MemcachedStore
    assert node.patience.limit_s == 0.5
    store.close()


@pytest.mark.parametrize("deadline", [0, 0.0001, 61, True, "20ms", None])
def test_a_deadline_is_seconds(deadline: Any) -> None:
    with pytest.raises(SettingError, match="store_deadline: "):
        find_store("process", deadline)


@pytest.mark.parametrize("processes", [0, -1, 1.5, True, "4", 100_001])
def test_processes_are_counted(processes: Any) -> None:
    with pytest.raises(SettingError, match=r"processes: .* is not a number from 1 to 100000"):
        check_processes(processes)
