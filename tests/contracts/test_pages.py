"""Every story of pages_*.py, played at each edge of the page cache."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from tests.contracts import pages_stored, pages_used
from tests.contracts.pages import NOW, Answer, Fails, Step, Story
from tests.keeper import stage as behind
from wsgistack import PageCache
from wsgistack.http.dates import format_date
from wsgistack.store.memory import MemoryStore


class Stage:
    """An origin that answers what the step at hand says, behind the middleware, on a clock of its own."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.answer: Answer | Fails | None = None
        self.requests: list[Any] = []
        store = MemoryStore(1 << 20, clock=lambda: self.now)
        self.cache = PageCache(self.origin, profile="rfc9111", store=store, now=lambda: self.now)

    def origin(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The application behind the cache."""
        self.requests.append(Request(environ))
        assert self.answer is not None, "the origin was asked"
        if isinstance(self.answer, Fails):
            raise ConnectionError("the origin is gone")
        start_response(f"{self.answer.status} Some Words", list(self.answer.fields.items()))
        return [self.answer.body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def play(self, step: Step) -> None:
        """Send the request of *step*, and hold what comes against it."""
        self.now += step.wait
        self.answer, self.requests = step.origin, []
        request = Request.blank(step.path, method=step.method)
        for name, value in step.says.items():
            request.headers[name] = value
        response = request.get_response(self.cache)
        assert (response.status_int, response.body) == (step.status, step.body), step
        assert bool(self.requests) == (step.origin is not None), step
        for name, value in step.has.items():
            assert response.headers.get(name) == value, (name, step)
        assert [name for name in step.lacks if name in response.headers] == [], step
        for name, said in step.asked.items():
            assert [request.headers.get(name) for request in self.requests] == [said], (name, step)


class KeeperStage:
    """The same behind the balancer's keeper, over its sockets; the inner listener is the stage's own."""

    def __init__(self, folder: Path) -> None:
        self.behind = behind.Stage(folder, profile="rfc9111")
        self.behind.app = self.origin
        self.answer: Answer | Fails | None = None

    def origin(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """What the balancer would answer for its nodes."""
        answer = self.answer
        assert answer is not None, "the origin was asked"
        if isinstance(answer, Fails):
            start_response("502 Bad Gateway", [("Wsgistack-Own", "closed")])
            return [b"nobody"]
        fields = list(answer.fields.items())
        if not any(name.lower() == "date" for name, _ in fields):
            fields.append(("Date", format_date(int(self.behind.now))))
        start_response(f"{answer.status} Some Words", fields)
        return (
            [answer.body] if environ["REQUEST_METHOD"] != "HEAD" and answer.status not in (204, 304) else []
        )

    def play(self, step: Step) -> None:
        """Send the request of *step* as a worker does, and hold what comes against it."""
        self.behind.now += step.wait
        self.answer = step.origin
        self.behind.asked.clear()
        fields: dict[str, Any] = {"Host": "localhost", **step.says}
        said = self.behind.say(step.path, step.method, **fields)
        body = None if isinstance(step.origin, Fails) and said.status == 502 else said.body
        assert (said.status, body) == (step.status, step.body), step
        assert bool(self.behind.asked) == (step.origin is not None), step
        for name, value in step.has.items():
            assert said.fields.get(name.lower()) == value, (name, step)
        assert [name for name in step.lacks if name.lower() in said.fields] == [], step
        for name, wanted in step.asked.items():
            asked = [Request(environ).headers.get(name) for environ in self.behind.asked]
            assert asked == [wanted], (name, step)


STORIES = [*pages_stored.STORIES, *pages_used.STORIES]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.name} ({story.why})")
def test_the_wsgi_edge_plays(story: Story) -> None:
    stage = Stage()
    for step in story.steps:
        stage.play(step)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.name} ({story.why})")
def test_the_balancers_keeper_plays(story: Story, tmp_path: Path) -> None:
    stage = KeeperStage(tmp_path)
    try:
        for step in story.steps:
            stage.play(step)
    finally:
        stage.behind.close()
