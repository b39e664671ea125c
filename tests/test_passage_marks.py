"""A field that is made of the head when that is sent, plain and compiled: the same."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from tests.test_passage import BOTH, Noted, around
from tests.wsgi_shapes import Application, Broken, Shape, serve
from wsgistack.passage import Passage


@BOTH
def test_a_field_can_be_made_of_the_head_and_keeps_its_place(twin: ModuleType) -> None:
    asked: list[str] = []

    def of_head(passage: Passage, about: str) -> str:
        asked.append(passage.head)
        return f"{about} {passage.head[:3]}"

    class Marking(Noted):
        def enter(self, environ: dict[str, Any], passage: Passage, /) -> None:
            super().enter(environ, passage)
            passage.mark_by(of_head, "of")

        def at_end(self, passage: Passage, /) -> None:
            self.events.append(passage.cache_status)

    events: list[str] = []
    app = Application(Shape(status="404 Not Found"))
    seen = serve(
        around(twin, app, Noted("outer", events), Marking("marking", events), Noted("inner", events))
    )
    added = [(name, value) for name, value in seen.headers if name in ("X-Step", "Cache-Status")]
    assert added == [
        ("X-Step", "inner"),
        ("Cache-Status", "of 404"),
        ("X-Step", "marking"),
        ("X-Step", "outer"),
    ]
    assert asked == ["404 Not Found"]
    assert "of 404" in events


@BOTH
def test_such_a_field_is_of_the_head_that_is_sent_in_the_end(twin: ModuleType) -> None:
    class Marking(Noted):
        def enter(self, environ: dict[str, Any], passage: Passage, /) -> None:
            passage.mark_by(lambda passage, about: f"{about} {passage.head[:3]}", "of")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise Broken("late")
        except Broken:
            start_response("500 No", [], sys.exc_info())
        return [b"no"]

    heads: list[Any] = []

    def start_response(*head: Any) -> Any:
        heads.append(head)
        return lambda block: None

    list(around(twin, app, Marking("marking", []))({"REQUEST_METHOD": "GET"}, start_response))
    assert heads[-1][1] == [("Cache-Status", "of 500")]
