"""A call ends once, and wakes its waiter when nothing else is missing."""

from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Wait
from wsgistack.store.memcached.replies import Reply


def test_the_waiter_wakes_once_when_the_last_call_ends() -> None:
    woken: list[str] = []
    wait = Wait(2, lambda: woken.append("woken"))
    first, second = requests.get(b"a"), requests.get(b"b")
    first.wait = second.wait = wait
    first.finish([Reply(b"EN")], None)
    assert woken == []
    second.finish(None, "lost")
    assert woken == ["woken"]
    assert (first.answer, second.failure) == ([Reply(b"EN")], "lost")


def test_what_comes_after_the_end_changes_nothing() -> None:
    call = requests.get(b"a")
    call.finish(None, "timeout")
    call.finish([Reply(b"EN")], None)
    assert (call.answer, call.failure, call.is_over) == (None, "timeout", True)


def test_an_answer_for_somebody_who_went_away_wakes_nobody() -> None:
    call = requests.get(b"a")
    call.wait = Wait(1, None)
    call.finish([Reply(b"EN")], None)
    assert call.is_over
