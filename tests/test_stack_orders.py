"""Every pair of components in either order: it does what both say, or it is refused with what would happen."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

import pytest
from webob import Request

from wsgistack.components import COMPONENTS
from wsgistack.errors import ConfigurationError
from wsgistack.stack import ORDERS, wrap

BODY = b"hello " * 200
SETTINGS: dict[str, object] = {
    "trust": ["192.0.2.0/24"],
    "rate_limit": "100/minute",
    "buckets": {"split": "beta 50%", "secret": "0123456789abcdef"},
}
ASKED = {
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_X_FORWARDED_FOR": "198.51.100.7",
    "HTTP_ACCEPT_ENCODING": "gzip",
    "HTTP_IF_NONE_MATCH": '"other"',
}
Told = tuple[Any, dict[str, Any], list[str]]  # the response, the environ that the application saw, the log

# What shows that a component did its work, wherever it stands.
MARKS: dict[str, Callable[[Any, Told], bool]] = {
    "trust": lambda stack, told: told[1]["REMOTE_ADDR"] == "198.51.100.7",
    "request_id": lambda stack, told: told[0].headers["X-Request-Id"] == told[1]["wsgistack.request_id"],
    "access_log": lambda stack, told: [json.loads(line)["bytes"] for line in told[2]] == [_length(told[0])],
    "metrics": lambda stack, told: _counted(stack) == {"requests|GET|200": 1, "bytes": _length(told[0])},
    "metering": lambda stack, told: [row[1] for row in stack.layer("metering").meter.rows.values()] == [1],
    "rate_limit": lambda stack, told: told[0].headers["RateLimit"].startswith('"default";r=99'),
    "buckets": lambda stack, told: "wsgistack_bucket=" in told[0].headers["Set-Cookie"],
    "page_cache": lambda stack, told: told[0].headers["Cache-Status"].startswith("wsgistack; fwd=uri-miss"),
    "compression": lambda stack, told: told[0].headers["Content-Encoding"] == "gzip",
    "conditional": lambda stack, told: "ETag" in told[0].headers,
}

# The outer one would otherwise be the inner one.
REVERSED = [
    ("request_id", "trust"),
    ("compression", "trust"),
    ("conditional", "trust"),
    ("metrics", "request_id"),
    ("metering", "request_id"),
    ("buckets", "request_id"),
    ("compression", "request_id"),
    ("conditional", "request_id"),
    ("metrics", "access_log"),
    ("metering", "access_log"),
    ("buckets", "access_log"),
    ("metering", "metrics"),
    ("buckets", "metrics"),
    ("buckets", "metering"),
    ("compression", "metering"),
    ("buckets", "rate_limit"),
    ("compression", "rate_limit"),
    ("conditional", "rate_limit"),
    ("compression", "buckets"),
    ("conditional", "buckets"),
    ("compression", "page_cache"),
    ("conditional", "page_cache"),
]
PLACED = [name for name, _ in sorted(COMPONENTS, key=lambda member: member[1].place)]
REFUSED = [(outer, inner) for outer, inner, _ in ORDERS]


def _length(response: Any) -> int:
    return len(response.body)


def _counted(stack: Any) -> dict[str, int]:
    stack.layer("metrics").tally.bring()
    read = stack.layer("metrics").tally.read()
    return {name: read[name] for name in ("requests|GET|200", "bytes")}


def ask(stack: Any, caplog: pytest.LogCaptureFixture, seen: dict[str, Any], **more: str) -> Told:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="wsgistack.access"):
        response = Request.blank("/", ASKED | more).get_response(stack)
        response.body  # noqa: B018 - reads and closes it, as a server does
    return response, seen, [record.getMessage() for record in caplog.records]


def make(outer: str, inner: str, seen: dict[str, Any], *fields: tuple[str, str]) -> Any:
    def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), *fields])
        return [BODY]

    return wrap(page, [(name, SETTINGS.get(name, True)) for name in (outer, inner)])


def test_every_pair_has_been_thought_of() -> None:
    thought_of = sorted(REFUSED + [(inner, outer) for outer, inner in REVERSED])
    assert thought_of == sorted(combinations(PLACED, 2))


@pytest.mark.parametrize(("outer", "inner", "otherwise"), ORDERS, ids=[f"{a} in {b}" for a, b, _ in ORDERS])
def test_an_order_that_does_the_wrong_thing_is_refused(outer: str, inner: str, otherwise: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(inner, outer, {})
    assert str(caught.value) == f"wrap: {outer} has to stand outside of {inner}, else {otherwise}"


@pytest.mark.parametrize(("outer", "inner"), [*REVERSED, *combinations(PLACED, 2)], ids="-".join)
def test_a_pair_does_what_both_say(outer: str, inner: str, caplog: pytest.LogCaptureFixture) -> None:
    seen: dict[str, Any] = {}
    stack = make(outer, inner, seen)
    told = ask(stack, caplog, seen)
    assert [name for name in (outer, inner) if not MARKS[name](stack, told)] == []


@pytest.mark.parametrize(("outer", "inner"), [("compression", "page_cache"), ("conditional", "page_cache")])
def test_a_page_is_kept_inside_of_what_shapes_it(
    outer: str, inner: str, caplog: pytest.LogCaptureFixture
) -> None:
    stack = make(outer, inner, {}, ("Cache-Control", "max-age=60"))
    ask(stack, caplog, {})
    seen: dict[str, Any] = {}
    again = ask(stack, caplog, seen)
    assert again[0].headers["Cache-Status"].startswith("wsgistack; hit")
    assert seen == {}, "the application was asked"
    assert MARKS[outer](stack, again)
    etag = again[0].headers.get("ETag")
    if etag is not None:
        unchanged = ask(stack, caplog, {}, HTTP_IF_NONE_MATCH=etag)[0]
        assert (unchanged.status_int, "Age" in unchanged.headers) == (304, True)


@pytest.mark.parametrize("outer", ["access_log", "metrics", "metering"])
def test_what_counts_is_told_what_is_sent(outer: str, caplog: pytest.LogCaptureFixture) -> None:
    stack = make(outer, "conditional", {}, ("ETag", '"x"'))
    response, _, lines = ask(stack, caplog, {}, HTTP_IF_NONE_MATCH='"x"')
    assert response.status == "304 Not Modified"
    if outer == "access_log":
        assert [json.loads(line)["status"] for line in lines] == [304]
    elif outer == "metrics":
        stack.layer("metrics").tally.bring()
        assert stack.layer("metrics").tally.read()["requests|GET|304"] == 1
    else:
        assert [row[2] for row in stack.layer("metering").meter.rows.values()] == [1]


def test_each_of_those_who_get_a_page_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    stack = make("metering", "page_cache", {}, ("Cache-Control", "max-age=60"))
    for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.2"):
        ask(stack, caplog, {}, REMOTE_ADDR=peer)
    rows = {key: row[1] for (_, key), row in stack.layer("metering").meter.rows.items()}
    assert rows == {b"\xc0\0\2\1": 1, b"\xc0\0\2\2": 2}
