"""Which components share a frame."""

from __future__ import annotations

from typing import Any

from tests.wsgi_shapes import Application, Shape
from wsgistack.stack import wrap
from wsgistack.steps import Frames, Fused


class Noted:
    """A step of that name that does nothing."""

    is_step = True
    at_end = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.app: Any = None

    def enter(self, environ: dict[str, Any], passage: Any, /) -> None:
        return None


def test_the_body_is_the_application_s_where_nobody_waits_for_its_end() -> None:
    page = [b"a"]

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return page

    stack = wrap(app, request_id=True, rate_limit="1/day", trust=["10.0.0.0/8"])
    assert stack({"REMOTE_ADDR": "192.0.2.1"}, lambda *head: len) is page


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
    assert frames_of(Noted("c"), Noted("b"), Noted("a")) == [["a", "b", "c"]]


def test_what_is_no_step_has_a_frame_of_its_own() -> None:
    other = Noted("x")
    other.is_step = False
    assert frames_of(Noted("b"), Noted("a"), other, Noted("o")) == [
        ["o"],
        ["x"],
        ["a", "b"],
    ]


def test_what_changes_responses_stands_inside_of_those_that_only_look() -> None:
    assert frames_of(Shaping("c"), Shaping("b"), Noted("a")) == [["a", "b", "c"]]
    assert frames_of(Noted("c"), Shaping("b"), Noted("a")) == [["a", "b"], ["c"]]


def test_what_waits_for_the_response_in_its_own_way_keeps_its_frame() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    stack = wrap(app, request_id=True, metrics=True, rate_limit="5 concurrent", compression=True)
    assert stack.layer("rate_limit").is_step is False
    assert stack.layer("metrics").app is stack.layer("rate_limit")
    assert stack.layer("rate_limit").app is stack.layer("compression")
