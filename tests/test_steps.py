"""Steps that share a frame do what they do in frames of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.conftest import examples
from tests.wsgi_shapes import Application, Broken, Seen, Shape, serve, shapes
from wsgistack.stack import wrap
from wsgistack.steps import Fused, Instead, Passage, Steps, steps_of


class Noted:
    """A step that notes what happens to it; *refuses*: it answers itself; *fails*: at the end."""

    is_step = True

    def __init__(
        self, name: str, events: list[str], app: Any = None, *, refuses: bool = False, fails: bool = False
    ) -> None:
        self.name = name
        self.events = events
        self.app = app
        self.refuses = refuses
        self.fails = fails

    def enter(self, environ: dict[str, Any], passage: Passage, /) -> Instead | None:
        self.events.append(f"{self.name} enters")
        if self.refuses:
            app = Application(Shape(status="429 No", blocks=(b"no",)))
            return lambda start_response: app(environ, start_response)
        passage.add([("X-Step", self.name)])
        return None

    def at_end(self, passage: Passage, /) -> None:
        self.events.append(f"{self.name}: {passage.status}, {passage.sent} bytes")
        if self.fails:
            raise Broken(self.name)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return Steps((self,)).run(self.app, environ, start_response)


def passed(*steps: Noted, shape: Shape | None = None) -> Seen:
    return serve(Fused(steps, Application(shape or Shape())))


def test_the_outermost_enters_first_and_ends_last() -> None:
    events: list[str] = []
    seen = passed(Noted("a", events), Noted("b", events))
    assert events == ["a enters", "b enters", "b: 200, 5 bytes", "a: 200, 5 bytes"]
    assert seen.headers == [("Content-Type", "text/plain"), ("X-Step", "b"), ("X-Step", "a")]


def test_who_answers_is_told_to_those_outside_of_it_alone() -> None:
    events: list[str] = []
    seen = passed(Noted("a", events), Noted("b", events, refuses=True), Noted("c", events))
    assert (seen.status, seen.body) == ("429 No", b"no")
    assert events == ["a enters", "b enters", "a: 429, 2 bytes"]
    assert seen.headers == [("Content-Type", "text/plain"), ("X-Step", "a")]


def test_an_application_that_raises_is_told_as_500() -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        raise Broken("at once")

    events: list[str] = []
    assert isinstance(serve(Fused((Noted("a", events), Noted("b", events)), broken)).error, Broken)
    assert events[2:] == ["b: 500, 0 bytes", "a: 500, 0 bytes"]


def test_one_whose_end_fails_keeps_nothing_from_the_others() -> None:
    events: list[str] = []
    with pytest.raises(Broken, match="b"):
        app = Fused((Noted("a", events), Noted("b", events, fails=True)), Application(Shape()))
        app({}, lambda *head: len).close()  # type: ignore[attr-defined]  # the passage
    assert events[2:] == ["b: 200, 0 bytes", "a: 200, 0 bytes"]


def test_a_body_is_closed_once_and_told_once() -> None:
    events: list[str] = []
    app = Application(Shape(kind="iterator"))
    body: Any = Fused((Noted("a", events),), app)({}, lambda *head: len)
    assert list(body) == [b"hello"]
    body.close()
    body.close()
    assert (app.closed, events) == (1, ["a enters", "a: 200, 5 bytes"])


def test_the_body_is_the_application_s_where_nobody_waits_for_its_end() -> None:
    page = [b"a"]

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return page

    stack = wrap(app, request_id=True, rate_limit="1/day", trust=["10.0.0.0/8"])
    assert stack({"REMOTE_ADDR": "192.0.2.1"}, lambda *head: len) is page


@given(shape=shapes())
@settings(max_examples=examples(40), deadline=None)
def test_in_one_frame_or_in_three_a_client_and_the_steps_see_the_same(shape: Shape) -> None:
    apart: list[str] = []
    nested = Application(shape)
    bare = serve(Noted("a", apart, Noted("b", apart, Noted("c", apart, nested))))
    together: list[str] = []
    app = Application(shape)
    seen = serve(Fused([Noted(name, together) for name in "abc"], app))
    assert (seen.status, seen.headers, seen.body) == (bare.status, bare.headers, bare.body)
    assert (str(seen.error), app.closed, together) == (str(bare.error), nested.closed, apart)


def test_a_stack_begins_with_the_steps_that_are_directly_around_each_other() -> None:
    events: list[str] = []
    inner = Noted("c", events)
    middle = Noted("b", events, inner)
    between = Noted("x", events, inner)
    assert steps_of([Noted("a", events, middle), middle, inner])[1:] == [middle, inner]
    assert len(steps_of([Noted("a", events, between), middle])) == 1  # somebody stands between them


def test_what_waits_for_the_response_in_its_own_way_keeps_its_frame() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    stack = wrap(app, request_id=True, metrics=True, rate_limit="5 concurrent", buckets=None)
    assert [type(step).__name__ for step in steps_of([layer for _, layer in stack.layers])] == [
        "RequestId",
        "Metrics",
    ]
