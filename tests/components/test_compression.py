"""What is compressed, for whom, and what becomes of its fields."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest

from tests.wsgi_shapes import Application, Shape, serve
from wsgistack.components.compression import Compression
from wsgistack.errors import SettingError

LONG = b"hello " * 200
READERS = {"gzip": gzip.decompress, "br": brotli.decompress}


def answered(
    accept: str | None = "gzip",
    *lines: tuple[str, str],
    method: str = "GET",
    status: str = "200 OK",
    **options: Any,
) -> dict[str, str]:
    headers = (
        (("Content-Type", "text/html"), *lines) if not any(n == "Content-Type" for n, _ in lines) else lines
    )
    environ = {"REQUEST_METHOD": method} | ({} if accept is None else {"HTTP_ACCEPT_ENCODING": accept})
    shape = Shape(blocks=(LONG,), headers=headers, status=status, tells_length=True)
    seen = serve(Compression(Application(shape), **options), environ)
    fields = dict(seen.headers)
    if "Content-Encoding" in fields and "Content-Encoding" not in dict(headers):
        assert len(seen.body) < len(LONG)
        assert READERS[fields["Content-Encoding"]](seen.body) == LONG
    return fields


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br, gzip;q=0.5", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("*", "br"),
        ("deflate, gzip;q=1.0, *;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("*;q=0", None),
        ("br", "br"),
        ("deflate", None),
        ("identity", None),
        ("", None),
        (None, None),
        ("gzip;q=banana", None),
    ],
)
def test_a_client_gets_the_coding_that_it_wants_most(accept: str | None, coding: str | None) -> None:
    fields = answered(accept)
    assert fields.get("Content-Encoding") == coding
    assert ("Content-Length" in fields) is (coding is None)
    assert fields["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accept", "coding"), [("gzip, deflate, br", "gzip"), ("br", None), ("br, gzip;q=0.5", "gzip")]
)
def test_only_the_codings_of_the_setting_are_made(accept: str, coding: str | None) -> None:
    assert answered(accept, codings=["gzip"]).get("Content-Encoding") == coding


def test_of_codings_that_a_client_likes_as_well_the_first_is_made() -> None:
    assert answered("gzip, br", codings=["gzip", "br"])["Content-Encoding"] == "gzip"
    assert Compression(Application(Shape())).codings == ("br", "gzip")
    with pytest.raises(SettingError, match=r"^codings: 'deflate' is not made here, only br, gzip$"):
        Compression(Application(Shape()), codings=["deflate"])


@pytest.mark.parametrize(
    ("line", "compressed"),
    [
        (("Content-Type", "text/plain; charset=utf-8"), True),
        (("Content-Type", "Application/JSON"), True),
        (("Content-Type", "image/svg+xml"), True),
        (("Content-Type", "image/png"), False),
        (("Content-Type", "text/event-stream"), False),
        (("Content-Type", "application/octet-stream"), False),
        (("Content-Encoding", "br"), False),
        (("Content-Range", "bytes 0-1199/5000"), False),
        (("Cache-Control", "public, No-Transform"), False),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_only_what_may_and_should_be_is_compressed(line: tuple[str, str], compressed: bool) -> None:
    assert (answered("gzip", line).get("Content-Encoding") == "gzip") is compressed


@pytest.mark.parametrize("status", ["206 Partial Content", "304 Not Modified", "301 Moved"])
def test_some_statuses_pass(status: str) -> None:
    assert "Content-Encoding" not in answered(status=status)


def test_a_short_response_is_not_worth_it() -> None:
    assert "Content-Encoding" not in answered(least_bytes=1201)
    assert "Content-Encoding" in answered(least_bytes=1200)


def test_a_length_that_is_no_number_says_nothing() -> None:
    shape = Shape(blocks=(LONG,), headers=(("Content-Type", "text/html"), ("Content-Length", "\xb2")))
    assert serve(Compression(Application(shape))).body == LONG


def test_a_head_tells_what_a_get_would_vary_on() -> None:
    fields = answered(method="HEAD")
    assert fields["Vary"] == "Accept-Encoding"
    assert fields["Content-Length"] == "1200"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (("ETag", '"a"'), "ETag", 'W/"a"'),
        (("ETag", 'W/"a"'), "ETag", 'W/"a"'),
        (("Vary", "accept-encoding, Cookie"), "Vary", "accept-encoding, Cookie"),
        (("Vary", "*"), "Vary", "*"),
    ],
)
def test_fields_tell_of_the_compressed_form(line: tuple[str, str], name: str, value: str) -> None:
    assert answered("gzip", line)[name] == value


def test_ranges_of_a_compressed_form_are_not_offered() -> None:
    assert "Accept-Ranges" not in answered("gzip", ("Accept-Ranges", "bytes"))


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_stream_stays_one(coding: str) -> None:
    app = Compression(
        Application(
            Shape(kind="generator", blocks=(b"one", b"two"), headers=(("Content-Type", "text/plain"),))
        )
    )
    body = iter(
        app({"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": coding}, lambda *arguments: lambda data: None)
    )
    inflate: Any = zlib.decompressobj(31) if coding == "gzip" else brotli.Decompressor()
    read = inflate.decompress if coding == "gzip" else inflate.process
    assert [read(next(body)) for _ in range(3)] == [b"one", b"two", b""]
    assert inflate.eof if coding == "gzip" else inflate.is_finished()


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_lengths_of_the_same_body_differ(coding: str) -> None:
    shape = Shape(blocks=(LONG,), tells_length=True)
    lengths = {
        len(serve(Compression(Application(shape)), {"HTTP_ACCEPT_ENCODING": coding}).body) for _ in range(50)
    }
    assert len(lengths) > 10
    bare = Compression(Application(shape), padding_bytes=0)
    assert len({serve(bare, {"HTTP_ACCEPT_ENCODING": coding}).body for _ in range(5)}) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"level": 0},
        {"level": 10},
        {"quality": -1},
        {"quality": 12},
        {"padding_bytes": -1},
        {"padding_bytes": 5000},
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"is not a number from"):
        Compression(Application(Shape()), **options)
