"""Around an application of any legal shape a component changes what it says it changes, and nothing else."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.wsgi_shapes import Application, Seen, Shape, serve, shapes
from wsgistack.components import COMPONENTS
from wsgistack.stack import wrap

Fields = list[tuple[str, str]]

# What is needed to make each, and the fields that it may add.
VALUES: dict[str, object] = {
    "buckets": {"split": "beta 50%", "secret": "0123456789abcdef"},
    "rate_limit": "1000000/second",
    "trust": ["192.0.2.0/24"],
}
ADDS = {
    "buckets": ["set-cookie", "vary"],
    "compression": ["vary"],
    "conditional": ["etag"],
    "page_cache": ["cache-status"],
    "rate_limit": ["ratelimit", "ratelimit-policy"],
    "request_id": ["x-request-id"],
}
# How a client asks; the servers' own ways to give what a client sent without telling its length are the last one.
ASKED: list[dict[str, Any]] = [
    {},
    {"REQUEST_METHOD": "HEAD"},
    {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "4"},
    {"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "4", "HTTP_EXPECT": "100-continue"},
    {"REQUEST_METHOD": "POST", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
]
ALL = {name: VALUES.get(name, True) for name in COMPONENTS.names()}


def without(fields: Fields, names: list[str], bare: Fields) -> Fields:
    """Return *fields* without those of *names* that the bare response lacks."""
    return [line for line in fields if line[0].lower() not in names or line in bare]


def check(
    config: dict[str, object], shape: Shape, environ: dict[str, Any], adds: list[str]
) -> tuple[Seen, Seen]:
    bare_app, app = Application(shape), Application(shape)
    bare, seen = (
        serve(one, {**environ, "wsgi.input": io.BytesIO(b"sent\n")}) for one in (bare_app, wrap(app, config))
    )
    assert seen.error is None if bare.error is None else str(seen.error) == str(bare.error)
    assert app.closed == bare_app.closed
    if bare.error is None:
        assert seen.status == bare.status
        assert without(seen.headers, adds, bare.headers) == bare.headers
        assert seen.body == bare.body
    else:
        assert bare.body.startswith(seen.body)
    return bare, seen


@pytest.mark.parametrize("name", ALL)
@given(shape=shapes(), asked=st.sampled_from(ASKED))
@settings(max_examples=examples(30), deadline=None)
def test_alone_it_keeps_status_fields_and_bytes(name: str, shape: Shape, asked: dict[str, Any]) -> None:
    check({name: ALL[name]}, shape, asked, ADDS.get(name, []))


@given(shape=shapes(), asked=st.sampled_from(ASKED))
@settings(max_examples=examples(30), deadline=None)
def test_together_they_keep_status_fields_and_bytes(shape: Shape, asked: dict[str, Any]) -> None:
    check(ALL, shape, asked, [name for names in ADDS.values() for name in names])


@given(shape=shapes(), leaves_after=st.integers(0, 3))
@settings(max_examples=examples(30), deadline=None)
def test_a_body_is_closed_once_when_the_client_leaves(shape: Shape, leaves_after: int) -> None:
    app = Application(shape)
    seen = serve(wrap(app, ALL), leaves_after=leaves_after)
    if app.counts_closing and seen.error is None:
        assert app.closed == 1


@given(shape=shapes(), coding=st.sampled_from(["br", "gzip"]))
@settings(max_examples=examples(30), deadline=None)
def test_what_is_compressed_is_the_same_inside(shape: Shape, coding: str) -> None:
    bare = serve(Application(shape))
    seen = serve(wrap(Application(shape), compression={"least_bytes": 0}), {"HTTP_ACCEPT_ENCODING": coding})
    fields = dict(seen.headers)
    if bare.error is None and fields.get("Content-Encoding") == coding:
        read = gzip.decompress if coding == "gzip" else brotli.decompress
        assert read(seen.body) == bare.body
        assert "Content-Length" not in fields
        assert "Accept-Encoding" in fields["Vary"]
    elif bare.error is None:
        assert seen.body == bare.body


def test_a_file_reaches_the_server_as_the_wrapper_it_gave() -> None:
    kept: list[object] = []

    def server(app: Callable[..., object]) -> Callable[..., object]:
        def call(environ: dict[str, Any], start_response: Any) -> object:
            kept.append(app(environ, start_response))
            return kept[-1]

        return call

    some = {name: value for name, value in ALL.items() if name not in ("access_log", "metering", "metrics")}
    seen = serve(server(wrap(Application(Shape(kind="file", tells_length=True)), some)))
    assert seen.body == b"hello"
    assert type(kept[0]).__name__ == "FileWrapper"
