"""304 for who has it already, and never for anybody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wsgi_shapes import Application, Seen, Shape, serve
from wsgistack.components.conditional import Conditional

DATE = "Wed, 25 Nov 2026 10:00:00 GMT"
LATER = "Wed, 25 Nov 2026 10:00:01 GMT"
BEFORE = "Wed, 25 Nov 2026 09:59:59 GMT"


def answered(shape: Shape | None = None, /, most_bytes: int = 1024, **variables: Any) -> Seen:
    return serve(Conditional(Application(shape or Shape()), most_bytes=most_bytes), variables)


def tag_of(seen: Seen) -> str | None:
    return dict(seen.headers).get("ETag")


def test_an_etag_is_made_and_known_again() -> None:
    tag = tag_of(answered())
    assert tag is not None
    again = answered(HTTP_IF_NONE_MATCH=tag)
    assert (again.status, again.body, again.headers) == ("304 Not Modified", b"", [("ETag", tag)])
    assert tag_of(answered(Shape(blocks=(b"other",)))) != tag


@pytest.mark.parametrize(
    "shape",
    [
        Shape(blocks=(b"x" * 1025,)),
        Shape(kind="generator"),
        Shape(kind="generator", blocks=(b"x" * 1025,), tells_length=True),
        Shape(kind="write"),
        Shape(kind="file", tells_length=True),
        Shape(status="404 Not Found"),
        Shape(headers=(("Cache-Control", "private, no-store"),)),
        Shape(kind="generator", headers=(("Content-Length", "\xb2"),)),  # a digit, but of no number
    ],
    ids=["too long", "a stream", "too long, told so", "written", "a file", "not found", "no-store", "odd"],
)
def test_no_etag_is_made_of(shape: Shape) -> None:
    seen = answered(shape)
    assert tag_of(seen) is None
    assert seen.body == b"".join(shape.blocks)


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "late", "iterator", "restart"])
def test_an_etag_is_made_of_any_shape_of_known_length(kind: str) -> None:
    seen = answered(Shape(kind=kind, blocks=(b"hel", b"", b"lo"), tells_length=True))
    assert seen.body == b"hello"
    assert tag_of(seen) == tag_of(answered())


@pytest.mark.parametrize(
    ("line", "asked", "status"),
    [
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"a"'}, "304"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"b", W/"a"'}, "304"),
        (("ETag", 'W/"a"'), {"HTTP_IF_NONE_MATCH": '"a"'}, "304"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": "*"}, "304"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"b"'}, "200"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"b"', "HTTP_IF_MODIFIED_SINCE": LATER}, "200"),
        (("Last-Modified", DATE), {"HTTP_IF_MODIFIED_SINCE": DATE}, "304"),
        (("Last-Modified", DATE), {"HTTP_IF_MODIFIED_SINCE": LATER}, "304"),
        (("Last-Modified", DATE), {"HTTP_IF_MODIFIED_SINCE": BEFORE}, "200"),
        (("Last-Modified", DATE), {"HTTP_IF_MODIFIED_SINCE": "garbage"}, "200"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"a"', "REQUEST_METHOD": "HEAD"}, "304"),
        (("ETag", '"a"'), {"HTTP_IF_NONE_MATCH": '"a"', "REQUEST_METHOD": "POST"}, "200"),
    ],
)
def test_conditions_are_answered(line: tuple[str, str], asked: dict[str, Any], status: str) -> None:
    assert answered(Shape(headers=(("Content-Type", "text/plain"), line)), **asked).status[:3] == status


def test_a_304_keeps_what_tells_of_the_response_and_drops_what_tells_of_content() -> None:
    lines = (
        ("Content-Type", "text/html"),
        ("Content-Language", "en"),
        ("Cache-Control", "max-age=5"),
        ("Vary", "Accept"),
        ("Set-Cookie", "a=b"),
        ("ETag", '"a"'),
    )
    seen = answered(Shape(headers=lines, tells_length=True), HTTP_IF_NONE_MATCH='"a"')
    assert seen.headers == list(lines[2:])


def test_the_applications_body_is_closed_for_a_304_too() -> None:
    app = Application(Shape(kind="iterator", headers=(("ETag", '"a"'),)))
    assert serve(Conditional(app), {"HTTP_IF_NONE_MATCH": '"a"'}).status == "304 Not Modified"
    assert app.closed == 1


def test_a_list_is_given_on_as_it_is_where_nothing_is_done() -> None:
    kept: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        kept.append(Application(Shape(status="404 Not Found"))(environ, start_response))
        return kept[0]

    body = Conditional(app)({"REQUEST_METHOD": "GET"}, lambda *arguments: lambda data: None)
    assert body is kept[0]
