"""What goes through steps to an application, plain and compiled: the same."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.wsgi_shapes import Application, Broken, Seen, Shape, serve, shapes
from wsgistack import chore, chore_cy, passage, passage_cy
from wsgistack.components.compression import Compression
from wsgistack.components.conditional import Conditional
from wsgistack.passage import Instead, Passage

TWINS = [passage, passage_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


class Noted:
    """A step that notes what happens to it; *refuses*: it answers itself; *fails*: at the end."""

    def __init__(self, name: str, events: list[str], *, refuses: bool = False, fails: bool = False) -> None:
        self.name = name
        self.events = events
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


def around(twin: ModuleType, app: Any, *steps: Any) -> Any:
    """Return the application that *steps* and *app* are."""
    frame = twin.Steps(steps)
    return lambda environ, start_response: frame.run(app, environ, start_response)


def passed(twin: ModuleType, *steps: Noted, shape: Shape | None = None) -> Seen:
    return serve(around(twin, Application(shape or Shape()), *steps))


@BOTH
def test_the_outermost_enters_first_and_ends_last(twin: ModuleType) -> None:
    events: list[str] = []
    seen = passed(twin, Noted("a", events), Noted("b", events))
    assert events == ["a enters", "b enters", "b: 200, 5 bytes", "a: 200, 5 bytes"]
    assert seen.headers == [("Content-Type", "text/plain"), ("X-Step", "b"), ("X-Step", "a")]


@BOTH
def test_who_answers_is_told_to_those_outside_of_it_alone(twin: ModuleType) -> None:
    events: list[str] = []
    seen = passed(twin, Noted("a", events), Noted("b", events, refuses=True), Noted("c", events))
    assert (seen.status, seen.body) == ("429 No", b"no")
    assert events == ["a enters", "b enters", "a: 429, 2 bytes"]
    assert seen.headers == [("Content-Type", "text/plain"), ("X-Step", "a")]


@BOTH
def test_an_application_that_raises_is_told_as_500(twin: ModuleType) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        raise Broken("at once")

    events: list[str] = []
    assert isinstance(serve(around(twin, broken, Noted("a", events), Noted("b", events))).error, Broken)
    assert events[2:] == ["b: 500, 0 bytes", "a: 500, 0 bytes"]


@BOTH
def test_a_body_is_closed_once_and_told_once(twin: ModuleType) -> None:
    events: list[str] = []
    app = Application(Shape(kind="iterator"))
    body: Any = around(twin, app, Noted("a", events))({}, lambda *head: len)
    assert list(body) == [b"hello"]
    body.close()
    body.close()
    assert (app.closed, events) == (1, ["a enters", "a: 200, 5 bytes"])


@BOTH
def test_any_callable_is_told_of_the_end(twin: ModuleType) -> None:
    ended: list[Passage] = []
    step = SimpleNamespace(enter=lambda environ, passage: None, at_end=ended.append)
    serve(around(twin, Application(Shape()), step))
    assert [passage.status for passage in ended] == ["200"]


@BOTH
@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ([], [("X-Request-Id", "r1")]),
        ([("x-request-id", "its own")], [("x-request-id", "its own")]),
    ],
    ids=["none", "one"],
)
def test_a_response_has_one_name(
    twin: ModuleType, said: list[tuple[str, str]], sent: list[tuple[str, str]]
) -> None:
    heads: list[Any] = []
    found = twin.Passage({}, lambda status, headers: heads.append(headers), (), lambda: 0)
    found.request_id = "r1"
    found.start_response("200 OK", said)
    assert heads == [sent]


@BOTH
def test_what_was_asked_for_can_be_read_and_taken_back(twin: ModuleType) -> None:
    frame = twin.Passage({}, lambda *head: len, (), lambda: 0)
    frame.settle, frame.shape = max, min
    assert (frame.settle, frame.shape) == (max, min)
    frame.settle = frame.shape = None
    assert (frame.settle, frame.shape) == (None, None)


@BOTH
@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "late", "iterator"])
def test_who_takes_a_block_and_chains_the_rest_gets_each_block_once(twin: ModuleType, kind: str) -> None:
    """As werkzeug's run_wsgi_app does: chain asks an iterator for its iterator once more."""
    app = Application(Shape(kind=kind, blocks=(b"hel", b"lo")))
    blocks = iter(around(twin, app, Noted("a", []))({}, lambda *head: len))
    assert list(chain((next(blocks),), blocks)) == [b"hel", b"lo"]
    assert list(blocks) == []


@BOTH
@pytest.mark.parametrize(
    ("server", "head", "is_one_process"),
    [("Granian", ["200 OK"], False), ("waitress", [], True), (None, [], True)],
)
def test_a_server_that_takes_the_head_at_once_gets_it_at_once(
    twin: ModuleType, server: str | None, head: list[str], is_one_process: bool
) -> None:
    events: list[str] = []
    inner = twin.Fused((Noted("a", events), Noted("b", events)), Application(Shape(kind="late")))
    environ: dict[str, Any] = {"wsgi.multiprocess": False} | ({"SERVER_SOFTWARE": server} if server else {})
    for outermost in (inner, lambda environ, start_response: inner(environ, start_response)):
        seen: list[Any] = []
        body: Any = twin.Front(outermost)(environ, lambda *told, seen=seen: seen.append(told[0]))
        assert (seen, environ["wsgi.multiprocess"]) == (head, not is_one_process)
        assert (b"".join(body), seen) == (b"hello", ["200 OK"])
        body.close()
    assert events == ["a enters", "b enters", "b: 200, 5 bytes", "a: 200, 5 bytes"] * 2


class Timed(Noted):
    """A step that notes how long it took."""

    def at_end(self, passage: Passage, /) -> None:
        self.events.append(f"{passage.took_us} us")


@BOTH
def test_how_long_it_took_is_told_by_the_clock_that_was_given(twin: ModuleType) -> None:
    events: list[str] = []
    frame = twin.Steps((Timed("a", events),), clock=iter([1_000, 7_001_999]).__next__)
    serve(lambda environ, start_response: frame.run(Application(Shape()), environ, start_response))
    assert events == ["a enters", "7000 us"]


class Settled(Noted):
    """One that wants the whole response, and makes it a short one."""

    def enter(self, environ: dict[str, Any], passage: Passage, /) -> Instead | None:
        passage.settle = self.settle
        passage.shape = lambda passage: passage.headers.append(("X-Head", passage.head))
        return super().enter(environ, passage)

    def settle(self, passage: Passage, rest: Any) -> Any:
        self.events.append(f"held: {passage.is_held}")
        passage.head = "203 Settled"
        return [b"".join(rest)[:3]]


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "late", "iterator", "restart"])
@BOTH
def test_what_is_settled_is_what_the_head_and_the_blocks_say(twin: ModuleType, kind: str) -> None:
    events: list[str] = []
    shape = Shape(kind=kind, blocks=(b"", b"hel", b"lo"))
    seen = passed(twin, Noted("a", events), Settled("b", events), shape=shape)
    assert (seen.status, seen.body) == ("203 Settled", b"hel")
    assert seen.headers[1:] == [("X-Head", "203 Settled"), ("X-Step", "b"), ("X-Step", "a")]
    assert events[2:] == ["held: True", "b: 203, 3 bytes", "a: 203, 3 bytes"]


@BOTH
def test_a_second_start_response_is_refused_while_the_first_is_settled(twin: ModuleType) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("201 Created", [])  # without exc_info: a server says so too
        return [b"hello"]

    with chores_of(twin):
        step = Conditional(app)
    with pytest.raises(AssertionError, match="start_response was called twice"):
        serve(around(twin, app, step))


@BOTH
def test_what_was_written_can_not_be_settled_any_more(twin: ModuleType) -> None:
    events: list[str] = []
    seen = passed(twin, Settled("a", events), shape=Shape(kind="write", blocks=(b"hel", b"lo")))
    assert (seen.status, seen.body, events) == ("200 OK", b"hello", ["a enters", "a: 200, 5 bytes"])


@pytest.mark.parametrize("kind", ["list", "late"])
@BOTH
def test_what_nobody_settles_any_more_is_sent_as_it_is(twin: ModuleType, kind: str) -> None:
    """Who asked may take it back, when the head is known and kept back already."""
    passages: list[Passage] = []

    class Notes(Settled):
        def enter(self, environ: dict[str, Any], passage: Passage, /) -> Instead | None:
            passages.append(passage)
            return super().enter(environ, passage)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        def blocks() -> Iterator[bytes]:
            start_response("200 OK", [])
            assert passages[0].is_held
            passages[0].settle = None
            yield b"hello"

        return blocks() if kind == "late" else [*blocks()]

    seen = serve(around(twin, app, Notes("a", [])))
    assert (seen.status, seen.body, seen.headers) == (
        "200 OK",
        b"hello",
        [("X-Head", "200 OK"), ("X-Step", "a")],
    )


@BOTH
def test_an_application_that_fails_while_it_is_settled_is_closed_and_told(twin: ModuleType) -> None:
    events: list[str] = []
    app = Application(Shape(kind="iterator", breaks_at=0))
    seen = serve(around(twin, app, Settled("a", events)))
    assert (str(seen.error), seen.status, app.closed) == ("before block 0", "", 1)
    assert events == ["a enters", "held: True", "a: 500, 0 bytes"]


@BOTH
@given(shape=shapes())
@settings(max_examples=examples(40), deadline=None)
def test_in_one_frame_or_in_three_a_client_and_the_steps_see_the_same(twin: ModuleType, shape: Shape) -> None:
    apart: list[str] = []
    nested = Application(shape)
    inner = around(twin, around(twin, nested, Noted("c", apart)), Noted("b", apart))
    bare = serve(around(twin, inner, Noted("a", apart)))
    together: list[str] = []
    app = Application(shape)
    seen = serve(around(twin, app, *[Noted(name, together) for name in "abc"]))
    assert (seen.status, seen.headers, seen.body) == (bare.status, bare.headers, bare.body)
    assert (str(seen.error), app.closed, together) == (str(bare.error), nested.closed, apart)


@contextmanager
def chores_of(twin: ModuleType) -> Iterator[None]:
    """Let components be made with the chores of the same twin."""
    module = chore if twin is passage else chore_cy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsgistack.components.compression.Encodings", module.Encodings)
        patch.setattr("wsgistack.components.conditional.Tags", module.Tags)
        yield


def begin_anew(start_response: Any) -> Any:
    """Call start_response as who meets an error does."""
    try:
        raise Broken("found out late")
    except Broken:
        return start_response("503 Late", [("Content-Type", "text/plain")], sys.exc_info())


def late_again(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Begin anew behind the first block, whatever the server says to that."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"hel"
    with suppress(Broken):
        begin_anew(start_response)
    yield b"lo"


def early_again(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Begin anew before the first block, with what would be worth compressing."""
    start_response("200 OK", [("Content-Type", "image/png")])

    def blocks() -> Iterator[bytes]:
        begin_anew(start_response)
        yield b"hello"

    return blocks()


GZIP = {"HTTP_ACCEPT_ENCODING": "gzip"}


@BOTH
@pytest.mark.parametrize(
    ("app", "status", "is_coded"), [(late_again, "200 OK", True), (early_again, "503 Late", False)]
)
def test_what_begins_anew_is_coded_as_its_head_says(
    twin: ModuleType, app: Any, status: str, is_coded: bool
) -> None:
    with chores_of(twin):
        seen = serve(around(twin, app, Compression(app, least_bytes=0)), dict(GZIP))
    assert (seen.status, ("Content-Encoding", "gzip") in seen.headers) == (status, is_coded)
    assert (gzip.decompress(seen.body) if is_coded else seen.body) == b"hello"


@pytest.mark.parametrize(
    "status", ["", "20", "OK", "2 0 K", "099 No", "\uff12\uff10\uff10 OK", '2"0', "20\n"]
)
@BOTH
def test_what_begins_with_no_three_digits_is_told_as_500(twin: ModuleType, status: str) -> None:
    """Who counts and logs may trust that it is a number; the server gets what the application said."""
    events: list[str] = []
    heads: list[str] = []
    app = around(twin, Application(Shape(status=status)), Noted("a", events))
    body: Any = app({}, lambda said, headers: heads.append(said))
    assert (list(body), heads) == ([b"hello"], [status])
    body.close()
    assert events[1:] == ["a: 500, 5 bytes"]


@BOTH
def test_a_status_that_comes_too_late_is_not_told(twin: ModuleType) -> None:
    events: list[str] = []
    seen = serve(around(twin, late_again, Noted("a", events)))
    assert (seen.status, seen.body, events[1:]) == ("200 OK", b"hello", ["a: 200, 5 bytes"])


@BOTH
def test_a_second_head_without_a_reason_is_the_server_s_to_refuse_and_not_told(twin: ModuleType) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        with suppress(AssertionError):
            start_response("201 Created", [])
        return [b"hello"]

    events: list[str] = []
    seen = serve(around(twin, app, Noted("a", events)))
    assert (seen.status, seen.body, events[1:]) == ("200 OK", b"hello", ["a: 200, 5 bytes"])


@BOTH
@given(shape=shapes(), leaves_after=st.integers(0, 3))
@settings(max_examples=examples(40), deadline=None)
def test_recoded_in_one_frame_or_in_three_a_client_sees_the_same(
    twin: ModuleType, shape: Shape, leaves_after: int
) -> None:
    environ = {"HTTP_ACCEPT_ENCODING": "gzip"}
    nested, app = Application(shape), Application(shape)
    apart: list[str] = []
    together: list[str] = []
    with chores_of(twin):
        inner = Compression(Conditional(nested), least_bytes=0, padding_bytes=0)
        layers = (Compression(app, least_bytes=0, padding_bytes=0), Conditional(app))
    bare = serve(around(twin, inner, Noted("a", apart)), dict(environ), leaves_after=leaves_after)
    seen = serve(around(twin, app, Noted("a", together), *layers), dict(environ), leaves_after=leaves_after)
    assert (seen.status, seen.headers, seen.body) == (bare.status, bare.headers, bare.body)
    assert (str(seen.error), app.closed, together) == (str(bare.error), nested.closed, apart)
