"""An alarm rings once, keeps nobody alive, and is not set in a fork."""

from __future__ import annotations

import logging
import threading

import pytest

from wsgistack.alarm import Alarm


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.alarm.ENDS_WITHIN_S", 60.0)


class Sleeper:
    def __init__(self) -> None:
        self.alarm = Alarm(self.wake)
        self.woken = threading.Event()
        self.times = 0

    def wake(self) -> None:
        self.times += 1
        self.woken.set()


def test_it_rings_when_it_is_due() -> None:
    sleeper = Sleeper()
    sleeper.alarm.set(0.0)
    assert sleeper.woken.wait(60)


def test_what_is_set_twice_rings_once_and_can_be_set_again() -> None:
    sleeper = Sleeper()
    for _ in range(2):
        sleeper.alarm.set(60.0)
        sleeper.alarm.set(60.0)
        sleeper.alarm.end()
    assert sleeper.times == 2


def test_an_end_without_an_alarm_waits_for_nobody() -> None:
    sleeper = Sleeper()
    sleeper.alarm.end()
    assert sleeper.times == 0


def test_it_keeps_its_owner_only_while_others_do() -> None:
    sleeper = Sleeper()
    alarm, woken = sleeper.alarm, sleeper.woken
    alarm.set(60.0)
    del sleeper
    alarm.end()
    assert not woken.is_set()


def test_a_fork_begins_with_one_that_is_not_set() -> None:
    sleeper = Sleeper()
    sleeper.alarm.set(60.0)
    theirs = sleeper.alarm._ringing
    sleeper.alarm.forked()
    sleeper.alarm.set(60.0)
    ours = sleeper.alarm._ringing
    assert theirs is not None and ours is not None and ours[0] is not theirs[0]
    sleeper.alarm.end()
    theirs[1].set()
    theirs[0].join(60)
    assert sleeper.times == 2


def test_where_no_thread_can_start_it_can_be_set_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sleeper = Sleeper()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        sleeper.alarm.set(60.0)
        sleeper.alarm.end()
    assert sleeper.times == 0
    sleeper.alarm.set(60.0)
    sleeper.alarm.end()
    assert sleeper.times == 1


def test_an_act_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def act(self) -> None:
            raise ValueError("closed")

    owner = Failing()
    alarm = Alarm(owner.act)
    alarm.set(60.0)
    with caplog.at_level(logging.ERROR):
        alarm.end()
    assert "alarm:" in caplog.text and "ValueError: closed" in caplog.text
