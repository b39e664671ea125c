"""Every component is a good server to what is inside of it, and a good application to what is outside.

Judged by `wsgiref.validate` and by werkzeug's LintMiddleware, both around a component and inside of it,
for applications of any legal shape.  PEP 3333

What they say of the application alone does not count: werkzeug's wants a Content-Length for 204, which
RFC 9110 §8.6 forbids.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from wsgiref.validate import validator

import pytest
from hypothesis import given, settings
from werkzeug.middleware.lint import LintMiddleware, WSGIWarning

from tests.contracts.test_components import ALL
from tests.wsgi_shapes import Application, Shape, serve, shapes
from wsgistack.stack import wrap

App = Callable[..., Any]
REQUESTS: list[dict[str, Any]] = [
    {},
    {"REQUEST_METHOD": "HEAD"},
    {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"},
    {"HTTP_ACCEPT_ENCODING": "gzip"},
    {"HTTP_IF_NONE_MATCH": '"a"'},
    {"HTTP_RANGE": "bytes=0-1"},
    {"HTTP_CACHE_CONTROL": "only-if-cached", "PATH_INFO": "/other"},
    {"HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_COOKIE": "a=b"},
]
# werkzeug's takes the Content-Length that answers a HEAD for that of its body.
GETS = [one for one in REQUESTS if one.get("REQUEST_METHOD") != "HEAD"]
STACKS = {name: {name: value} for name, value in ALL.items()} | {"everything": ALL}
# Of a response whose head was enough the body is closed before its end, as when a client leaves.
CUT_SHORT = {"Content-Length and the number of bytes sent to the client do not match."}
ENDS_EARLY = ("conditional", "everything")


def linted(app: App) -> App:
    """Return *app* judged by werkzeug, whose judgements are warnings."""
    return LintMiddleware(app)


def judge_all(judge: Callable[[App], App], config: dict[str, object], shape: Shape) -> set[str]:
    """Ask with every kind of request, through *judge* around and inside of the components; return what it says."""
    said: set[str] = set()
    stack = judge(wrap(judge(answering_head(Application(shape))), config))
    for variables in REQUESTS if judge is validator else GETS:
        for _ in range(2):  # the second time a page may come from the cache
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    serve(stack, dict(variables))
                except AssertionError as error:
                    said.add(str(error))
            said |= {str(one.message) for one in caught}
    return said


def answering_head(app: Application) -> App:
    """Return *app* answering HEAD as it must: with no body."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "HEAD":
            return app(environ, start_response)
        start_response(app.shape.status, list(app.shape.headers))
        return []

    return call


@pytest.mark.parametrize("name", STACKS)
@given(shape=shapes())
@settings(max_examples=15, deadline=None)
def test_wsgiref_finds_no_fault(name: str, shape: Shape) -> None:
    assert judge_all(validator, STACKS[name], shape) - judge_all(validator, {}, shape) == set()


@pytest.mark.parametrize("name", STACKS)
@given(shape=shapes())
@settings(max_examples=15, deadline=None)
def test_werkzeug_finds_no_fault(name: str, shape: Shape) -> None:
    shape = replace(shape, breaks_at=None)
    expected = CUT_SHORT if name in ENDS_EARLY else set()
    assert judge_all(linted, STACKS[name], shape) - judge_all(linted, {}, shape) <= expected


def test_the_judges_are_heard() -> None:
    def wrong(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return ["no bytes"]

    with pytest.raises(AssertionError, match="No Content-Type"):
        serve(wrap(validator(wrong), ALL))
    with pytest.warns(WSGIWarning, match="application iterator items"), pytest.raises(AssertionError):
        serve(wrap(linted(wrong), ALL))
