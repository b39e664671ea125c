"""What a change makes worthless.  RFC 9111 §4.4, RFC 9875"""

from __future__ import annotations

import pytest

from wsgistack.cache.head import ResponseHead
from wsgistack.cache.invalidation import (
    changes_something,
    groups_of,
    groups_to_invalidate,
    urls_to_invalidate,
)

TARGET = "http://example.org/a/b?c=d"


@pytest.mark.parametrize(
    ("method", "status", "changes"),
    [
        ("POST", 200, True),
        ("PUT", 204, True),
        ("DELETE", 303, True),
        ("M-SEARCH", 200, True),
        ("get", 200, True),
        ("POST", 400, False),
        ("POST", 500, False),
        ("POST", 103, False),
        ("GET", 200, False),
        ("HEAD", 200, False),
        ("OPTIONS", 200, False),
    ],
)
def test_an_unsafe_method_without_an_error_changes_something(method: str, status: int, changes: bool) -> None:
    assert changes_something(method, status) is changes


@pytest.mark.parametrize(
    ("fields", "urls"),
    [
        ({}, ()),
        ({"Location": "/x"}, ("http://example.org/x",)),
        ({"Location": "x#y", "Content-Location": "/z"}, ("http://example.org/a/x", "http://example.org/z")),
        ({"Location": "http://EXAMPLE.org:80/x"}, ("http://EXAMPLE.org:80/x",)),
        ({"Location": "https://example.org/x"}, ()),
        ({"Location": "http://example.com/x"}, ()),
        ({"Location": "http://example.org:8080/x"}, ()),
        ({"Location": "//example.com/x"}, ()),
        ({"Location": "http://[/"}, ()),
        ({"Location": "http://example.org:x/"}, ()),
        ({"Location": TARGET}, ()),
        ({"Location": ""}, ()),
    ],
    ids=str,
)
def test_other_urls_count_on_the_same_origin(fields: dict[str, str], urls: tuple[str, ...]) -> None:
    assert urls_to_invalidate(TARGET, ResponseHead(200, "OK", fields.items())) == (TARGET, *urls)


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        ('"a", "b;c"', ("a", "b;c")),
        ('"a";x=1, "a"', ("a",)),
        ("a", ()),
        ('("a")', ()),
        ('"a", 1, b', ("a",)),
        ('"a",', ()),
        ("", ()),
        (f'"{"x" * 300}", "b"', ("b",)),
    ],
)
def test_groups_are_strings_of_a_list(value: str, groups: tuple[str, ...]) -> None:
    assert groups_of(ResponseHead(200, "OK", [("Cache-Groups", value)])) == groups


def test_only_an_unsafe_method_invalidates_groups() -> None:
    head = ResponseHead(200, "OK", [("Cache-Group-Invalidation", '"a", "b"')])
    assert groups_to_invalidate("POST", head) == ("a", "b")
    assert groups_to_invalidate("GET", head) == ()
