"""Greenlets that wait for one thing: all are let go at once, whoever lets them, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.hub import Hub
from greenlet import greenlet

from tests.store.memcached.stage import run_as, wait_until
from wsgistack.store.memcached.crowd import Crowd

LONG_S = 1000.0


class Stage:
    """A crowd, who waits in it, and what each was told."""

    def __init__(self) -> None:
        self.hub: Any = gevent.get_hub()
        self.crowd = Crowd(self.hub)
        self.told: list[tuple[str, bool]] = []

    def come(self, name: str, seconds: float = LONG_S) -> Any:
        """Let a greenlet wait; it waits when this returns."""
        before = len(self.crowd._waiting)
        one = gevent.spawn(lambda: self.told.append((name, self.crowd.wait(seconds))))
        wait_until(lambda: len(self.crowd._waiting) > before or one.dead)
        return one


def staged(script: Callable[[Stage], object]) -> Stage:
    """Run *script* in a hub of its own; nobody waits in the end, and no timer is left."""
    stages: list[Stage] = []

    def run() -> None:
        stages.append(Stage())
        script(stages[0])

    run_as("greenlets", run)
    assert (stages[0].crowd._waiting, stages[0].crowd._timer) == ({}, None)
    return stages[0]


def test_all_who_wait_go_on_in_their_order_and_who_comes_later_does_not_wait() -> None:
    def script(stage: Stage) -> None:
        waiting = [stage.come(name) for name in "abc"]
        stage.crowd.set()
        stage.crowd.set()
        gevent.joinall(waiting)
        stage.come("d")

    assert staged(script).told == [("a", True), ("b", True), ("c", True), ("d", True)]


def test_another_thread_may_let_them_go() -> None:
    def script(stage: Stage) -> None:
        waiting = stage.come("a")
        thread = threading.Thread(target=stage.crowd.set)
        thread.start()
        waiting.join()
        thread.join()

    assert staged(script).told == [("a", True)]


def test_who_waits_for_too_long_is_told_so_and_the_others_wait_on() -> None:
    def script(stage: Stage) -> None:
        patient = stage.come("patient")
        hasty = [stage.come("hasty", 0.02), stage.come("hastier", 0.001)]
        gevent.joinall(hasty)
        assert sorted(stage.told) == [("hastier", False), ("hasty", False)]
        stage.crowd.set()
        patient.join()

    assert staged(script).told[2:] == [("patient", True)]


def test_no_time_at_all_is_no_wait() -> None:
    def script(stage: Stage) -> None:
        stage.told = [("now", stage.crowd.wait(0)), ("before", stage.crowd.wait(-1))]

    assert staged(script).told == [("now", False), ("before", False)]


def test_who_is_killed_waits_no_longer_and_nobody_else_is_woken() -> None:
    def script(stage: Stage) -> None:
        victim, other = stage.come("victim"), stage.come("other")
        victim.kill()
        assert list(stage.crowd._waiting) == [other]
        stage.crowd.set()
        other.join()

    assert staged(script).told == [("other", True)]


def test_who_is_woken_by_somebody_else_waits_on() -> None:
    def script(stage: Stage) -> None:
        one = stage.come("a")
        stage.hub.loop.run_callback(one.switch)
        gevent.sleep(0)
        assert stage.told == []
        stage.crowd.set()
        one.join()

    assert staged(script).told == [("a", True)]


def test_who_raises_when_woken_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[BaseException] = []

    def note(hub: Hub, context: object, kind: object, error: BaseException, trace: object) -> None:
        if isinstance(context, Crowd):  # and not of the end of this hub
            errors.append(error)

    monkeypatch.setattr(Hub, "handle_error", note)

    def script(stage: Stage) -> None:
        def raises() -> None:
            stage.crowd.wait(LONG_S)
            raise LookupError("mine")

        raw = greenlet(raises, stage.hub)
        stage.hub.loop.run_callback(raw.switch)
        wait_until(lambda: stage.crowd._waiting)
        other = stage.come("other")
        stage.crowd.set()
        other.join()

    assert staged(script).told == [("other", True)]
    assert [str(error) for error in errors] == ["mine"]


def test_a_hub_that_was_destroyed_is_not_told() -> None:
    stage = staged(lambda stage: None)
    stage.crowd._waiting[None] = 0.0
    stage.crowd.set()
    assert stage.hub.loop is None
