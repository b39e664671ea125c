"""Targeted fields.  RFC 9213"""

from __future__ import annotations

import pytest

from wsgistack.cache.control import control_of
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.policy import TARGETS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "cache-control"),
        ({"Cache-Control": "public"}, "cache-control"),
        ({"CDN-Cache-Control": "max-age=1"}, "cdn-cache-control"),
        (
            {"CDN-Cache-Control": "max-age=1", "Wsgistack-Cache-Control": "no-store"},
            "wsgistack-cache-control",
        ),
        ({"CDN-Cache-Control": "max-age=1", "Wsgistack-Cache-Control": "!"}, "cdn-cache-control"),
        ({"CDN-Cache-Control": ""}, "cache-control"),
        ({"CDN-Cache-Control": "max-age=1, &&&"}, "cache-control"),
        ({"CDN-Cache-Control": "Max-Age=1"}, "cache-control"),
        ({"CDN-Cache-Control": 'max-age="1"'}, "cache-control"),
        ({"CDN-Cache-Control": "max-age"}, "cache-control"),
        ({"CDN-Cache-Control": "max-age=1.5"}, "cache-control"),
        ({"CDN-Cache-Control": "max-age=-1"}, "cache-control"),
        ({"CDN-Cache-Control": "max-age=(1)"}, "cache-control"),
        ({"CDN-Cache-Control": "x=(1)"}, "cache-control"),
    ],
)
def test_the_first_valid_field_counts(fields: dict[str, str], field: str) -> None:
    control = control_of(ResponseHead(200, "OK", fields.items()), TARGETS)
    assert control.field == field
    assert control.is_targeted is (field != "cache-control")


def test_directives_are_read_by_their_types() -> None:
    value = 'max-age=60;x=1, no-store=?0, must-revalidate, private="x-a, x-b", x=tok, y=(1 2)'
    directives = control_of(ResponseHead(200, "OK", [("CDN-Cache-Control", value)]), TARGETS).directives
    assert directives.seconds("max-age") == 60
    assert "no-store" not in directives
    assert "must-revalidate" in directives
    assert directives.names("private") == ("x-a", "x-b")
