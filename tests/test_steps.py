"""Steps that share a frame do what they do in frames of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.wsgi_shapes import Application, Broken, Seen, Shape, serve, shapes
from wsgistack.components.compression import Compression
from wsgistack.components.conditional import Conditional
from wsgistack.stack import wrap
from wsgistack.steps import Frames, Fused, Instead, Passage, Steps


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


class Shaping(Noted):
    """One that changes responses."""

    is_shaping = True


def frames_of(*layers: Any) -> list[list[str]]:
    """Return the names of those that share a frame, of layers that are given from the inside out."""
    frames = Frames(Application(Shape()))
    for layer in layers:
        layer.app = frames.outermost
        frames.put_around(layer)
    found = []
    outermost: Any = frames.outermost
    while not isinstance(outermost, Application):
        steps: Any = outermost.steps if isinstance(outermost, Fused) else (outermost,)
        found.append([step.name for step in steps])
        outermost = steps[-1].app
    return found


def test_layers_that_are_put_around_each_other_share_a_frame() -> None:
    events: list[str] = []
    assert frames_of(Noted("c", events), Noted("b", events), Noted("a", events)) == [["a", "b", "c"]]


def test_what_is_no_step_has_a_frame_of_its_own() -> None:
    events: list[str] = []
    other = Noted("x", events)
    other.is_step = False
    assert frames_of(Noted("b", events), Noted("a", events), other, Noted("o", events)) == [
        ["o"],
        ["x"],
        ["a", "b"],
    ]


def test_what_changes_responses_stands_inside_of_those_that_only_look() -> None:
    events: list[str] = []
    assert frames_of(Shaping("c", events), Shaping("b", events), Noted("a", events)) == [["a", "b", "c"]]
    assert frames_of(Noted("c", events), Shaping("b", events), Noted("a", events)) == [["a", "b"], ["c"]]


def test_what_waits_for_the_response_in_its_own_way_keeps_its_frame() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    stack = wrap(app, request_id=True, metrics=True, rate_limit="5 concurrent", compression=True)
    assert stack.layer("rate_limit").is_step is False
    assert stack.layer("metrics").app is stack.layer("rate_limit")
    assert stack.layer("rate_limit").app is stack.layer("compression")


class Settled(Noted):
    """One that wants the whole response, and makes it a short one."""

    is_shaping = True

    def enter(self, environ: dict[str, Any], passage: Passage, /) -> Instead | None:
        passage.settle = self.settle
        passage.shape = lambda passage: passage.headers.append(("X-Head", passage.head))
        return super().enter(environ, passage)

    def settle(self, passage: Passage, rest: Any) -> Any:
        self.events.append(f"held: {passage.is_held}")
        passage.head = "203 Settled"
        return [b"".join(rest)[:3]]


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "late", "iterator", "restart"])
def test_what_is_settled_is_what_the_head_and_the_blocks_say(kind: str) -> None:
    events: list[str] = []
    shape = Shape(kind=kind, blocks=(b"", b"hel", b"lo"))
    seen = passed(Noted("a", events), Settled("b", events), shape=shape)
    assert (seen.status, seen.body) == ("203 Settled", b"hel")
    assert seen.headers[1:] == [("X-Head", "203 Settled"), ("X-Step", "b"), ("X-Step", "a")]
    assert events[2:] == ["held: True", "b: 203, 3 bytes", "a: 203, 3 bytes"]


def test_what_was_written_can_not_be_settled_any_more() -> None:
    events: list[str] = []
    seen = passed(Settled("a", events), shape=Shape(kind="write", blocks=(b"hel", b"lo")))
    assert (seen.status, seen.body, events) == ("200 OK", b"hello", ["a enters", "a: 200, 5 bytes"])


def test_an_application_that_fails_while_it_is_settled_is_closed_and_told() -> None:
    events: list[str] = []
    app = Application(Shape(kind="iterator", breaks_at=0))
    seen = serve(Fused((Settled("a", events),), app))
    assert (str(seen.error), seen.status, app.closed) == ("before block 0", "", 1)
    assert events == ["a enters", "held: True", "a: 500, 0 bytes"]


@given(shape=shapes(), leaves_after=st.integers(0, 3))
@settings(max_examples=examples(40), deadline=None)
def test_recoded_in_one_frame_or_in_three_a_client_sees_the_same(shape: Shape, leaves_after: int) -> None:
    environ = {"HTTP_ACCEPT_ENCODING": "gzip"}
    nested, app = Application(shape), Application(shape)
    apart: list[str] = []
    together: list[str] = []
    inner = Compression(Conditional(nested), least_bytes=0, padding_bytes=0)
    layers = (Compression(app, least_bytes=0, padding_bytes=0), Conditional(app))
    bare = serve(Noted("a", apart, inner), dict(environ), leaves_after=leaves_after)
    seen = serve(Fused((Noted("a", together), *layers), app), dict(environ), leaves_after=leaves_after)
    assert (seen.status, seen.headers, seen.body) == (bare.status, bare.headers, bare.body)
    assert (str(seen.error), app.closed, together) == (str(bare.error), nested.closed, apart)
