"""A call, plain and compiled: it ends once, and wakes its waiter when nothing else is missing."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from wsgistack.store.memcached import calls, calls_cy, requests
from wsgistack.store.memcached.calls import LINES
from wsgistack.store.memcached.replies import Reply

TWINS = [calls, calls_cy]


@pytest.fixture(params=TWINS, ids=["plain", "compiled"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def make(twin: ModuleType, **more: Any) -> Any:
    return twin.Call(b"mg a\r\n", LINES, "get", (None,), keys=[b"a"], **more)


def test_it_says_what_was_asked(twin: ModuleType) -> None:
    call = make(twin, count=2, opaque=2**63, is_fatal=True)
    assert (call.payload, call.kind, call.verb, call.words) == (b"mg a\r\n", "lines", "get", (None,))
    assert (call.keys, call.count, call.opaque, call.is_fatal) == ([b"a"], 2, 2**63, True)
    call = make(twin)
    assert (call.count, call.opaque, call.is_fatal, call.is_bulk, call.started_at) == (
        1,
        0,
        False,
        False,
        0.0,
    )
    assert (call.answer, call.failure, call.wait, call.wake, call.is_over) == (None, None, None, None, False)


def test_the_waiter_wakes_once_when_the_last_call_ends(twin: ModuleType) -> None:
    woken: list[str] = []
    wait = twin.Wait(2, lambda: woken.append("woken"))
    first, second = make(twin), make(twin)
    first.wait = second.wait = wait
    first.finish([Reply(b"EN")], None)
    assert (woken, wait.missing) == ([], 1)
    second.finish(None, "lost")
    assert (woken, wait.missing, wait.wake) == (["woken"], 0, None)
    assert (first.answer, second.failure) == ([Reply(b"EN")], "lost")


def test_who_waits_for_one_call_alone_wakes_once(twin: ModuleType) -> None:
    woken: list[object] = []
    call = make(twin)
    call.wake = lambda: woken.append(call.wake)
    call.finish(None, "lost")
    call.finish(None, "timeout")
    assert (woken, call.failure) == ([None], "lost")


def test_what_comes_after_the_end_changes_nothing(twin: ModuleType) -> None:
    call = make(twin)
    call.finish(None, "timeout")
    call.finish([Reply(b"EN")], None)
    assert (call.answer, call.failure, call.is_over) == (None, "timeout", True)


def test_an_answer_for_somebody_who_went_away_wakes_nobody(twin: ModuleType) -> None:
    call = make(twin)
    call.wait = twin.Wait(1, None)
    call.finish([Reply(b"EN")], None)
    assert call.is_over


def test_the_compiled_one_is_used_where_it_is_there() -> None:
    assert type(requests.get(b"a")) is calls_cy.Call
