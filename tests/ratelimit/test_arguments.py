"""What RateLimit refuses to be given."""

from __future__ import annotations

from typing import Any

import pytest
from webob import Request

from wsgistack.errors import SettingError
from wsgistack.ratelimit import RateLimit
from wsgistack.ratelimit.arguments import _with_deadline, check_processes, find_store


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


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


def test_everything_that_cannot_be_meant_is_told_at_once() -> None:
    options: dict[str, Any] = {
        "rules": [{"name": "a", "rat": "1/s"}, 5],
        "rules_file": "/no/such/rules",
        "trusted": ["x", 5],
        "forwarded": "forwrded",
        "ipv6_prefix": 129,
        "ipv4_prefix": 0,
        "max_keys": 0,
        "store": 5,
        "on_store_error": "close",
        "processes": 0,
        "bans_every": 7200,
        "exempt": "10.0.0.0/8",
        "allow_file": "/no/such/list",
        "deny_file": "/no/such/list",
        "headers": "draft11",
        "page": 5,
        "problem": "/no/such/text",
        "jitter": 2,
        "most_waiting": -1,
    }
    with pytest.raises(SettingError) as caught:
        RateLimit(hello, "5/minte", **options)
    beginnings = [
        "'5/minte', column 3: met 'minte'",
        "rules: rule a: 'rat' is not one of ",
        "rules: 5 is neither a Rule nor a mapping",
        "rules_file: /no/such/rules: No such file",
        "trusted: 'x' is not a network",
        "trusted: 5 is not a network",
        "forwarded: 'forwrded' is not one of x-forwarded-for, forwarded (did you mean 'forwarded'?)",
        "ipv6_prefix: 129 is not a number from 1 to 128",
        "ipv4_prefix: 0 is not a number from 1 to 32",
        "max_keys: 0 is not a number from 1",
        "store: 5 is neither a store nor the URL of one",
        "on_store_error: 'close' is not one of local, open, closed (did you mean 'closed'?)",
        "processes: 0 is not a number from 1",
        "bans_every: 7200 is not from 0.1 to 3600 seconds, nor 0",
        "exempt: '10.0.0.0/8' is not a list of networks such as ['10.0.0.0/8']",
        "allow_file: /no/such/list: No such file",
        "deny_file: /no/such/list: No such file",
        "headers: 'draft11' is not one of ",
        "page: 5 is neither the path of a template nor a function",
        "problem: /no/such/text: No such file",
        "jitter: 2 is not a share from 0 to 1",
        "most_waiting: -1 is not a number from 0",
    ]
    told = zip(caught.value.complaints, beginnings, strict=True)
    assert [text[: len(beginning)] for text, beginning in told] == beginnings


@pytest.mark.parametrize("rules", ["5/s", {"name": "a", "rate": "1/s"}, 5], ids=str)
def test_rules_are_a_list(rules: Any) -> None:
    with pytest.raises(SettingError, match=r"^rules: .* is not a list of rules$"):
        RateLimit(hello, "5/s", rules=rules)


def test_a_mapping_is_read_as_a_rule_of_a_file_is() -> None:
    by_user = {"name": "user", "rate": "1/minute", "key": "environ:REMOTE_USER", "exempt": is_status_page}
    app = RateLimit(hello, rules=[by_user])
    asked = [("/", "ann"), ("/", "ann"), ("/status", "ann"), ("/", "bob")]
    answers = [Request.blank(path, {"REMOTE_USER": user}).get_response(app) for path, user in asked]
    assert [answer.status_int for answer in answers] == [200, 429, 200, 200]


def is_status_page(request: Any) -> bool:
    return bool(request.path == "/status")
