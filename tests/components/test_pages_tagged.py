"""A page cache keeps nothing for a tag that `conditional` made inside of it: that spares nobody anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import NOW, pages_in
from wsgistack import wrap
from wsgistack.store.memory import MemoryStore

HTML = ("Content-Type", "text/html")
BODY = b"<p>hello</p>" * 500


def stack_of(store: MemoryStore, *answers: list[tuple[str, str]], **parts: object) -> Any:
    """Return a stack around an application that answers BODY with these fields, the last ones again and again."""
    left = list(answers)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [HTML, *(left.pop(0) if len(left) > 1 else left[0])])
        return [BODY]

    return wrap(app, page_cache={"store": store, "now": lambda: NOW}, conditional=True, **parts)


def get(stack: Any, **fields: str) -> Any:
    asked = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request.blank("/", headers=asked).get_response(stack)


@pytest.mark.parametrize(
    ("fields", "parts", "is_kept", "again"),
    [
        ([], {}, False, "wsgistack; fwd=uri-miss; detail=no-lifetime"),
        ([("Cache-Control", "no-cache")], {}, False, "wsgistack; fwd=uri-miss; detail=no-lifetime"),
        ([("ETag", '"own"')], {}, True, "wsgistack; fwd=stale; fwd-status=304; ttl=0; stored"),
        ([], {"compression": True}, True, "wsgistack; fwd=stale; fwd-status=304; ttl=0; stored"),
    ],
    ids=["a made tag", "no-cache", "the application's tag", "compressed"],
)
def test_what_is_kept_for_validation_is_what_it_spares(
    fields: list[tuple[str, str]], parts: dict[str, object], is_kept: bool, again: str
) -> None:
    store = MemoryStore(1_000_000)
    stack = stack_of(store, fields, **parts)
    get(stack, Accept_Encoding="gzip")
    assert (pages_in(store) > 0) is is_kept
    second = get(stack, Accept_Encoding="gzip")
    assert second.status_int == 200
    assert second.headers["Cache-Status"] == again


def test_a_client_is_given_the_made_tag_and_304_for_it() -> None:
    stack = stack_of(MemoryStore(1_000_000), [])
    first = get(stack)
    assert (first.status_int, first.body) == (200, BODY)
    known = get(stack, If_None_Match=first.headers["ETag"])
    assert (known.status_int, known.body, known.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = get(stack, If_None_Match='"other"')
    assert (other.status_int, other.body) == (200, BODY)


def test_a_stored_page_gives_way_to_one_that_is_not_kept() -> None:
    store = MemoryStore(1_000_000)
    stack = stack_of(store, [("Cache-Control", "max-age=0"), ("ETag", '"old"')], [])
    get(stack)
    assert pages_in(store) == 1
    assert get(stack).headers["Cache-Status"] == "wsgistack; fwd=stale; detail=no-lifetime"
    assert pages_in(store) == 0
