"""Whom operators shut out, while several threads are at the list."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from wsgistack.ratelimit import shut
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.notes import MemoryNote
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.shut import ANY, Shut, ShutList

RULE = Rule("api", "1/hour")
LIMITS = [Limit(0, "api", RULE.rates[0], RULE)]


def _find(bans: ShutList, key: bytes) -> bool:
    return bans.find([(0, key, 1)], LIMITS, 100) is not None


@pytest.mark.parametrize(
    "step",
    [
        lambda bans: bans.put(Shut(500, ANY, b"two"), 100),
        lambda bans: bans.drop(ANY, b"one", 100),
        lambda bans: _find(bans, b"two"),
    ],
    ids=["another ban", "a ban is lifted", "the last ban has ended"],
)
def test_no_ban_is_lost_by_what_another_thread_does(
    step: Callable[[ShutList], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    bans = ShutList([RULE], MemoryNote())
    bans.put(Shut(50, ANY, b"one"), 0)
    read = shut._live
    other = threading.Thread(target=bans.put, args=(Shut(500, ANY, b"three"), 100))

    def meanwhile(text: bytes, now: int) -> list[Shut]:
        found = read(text, now)
        monkeypatch.setattr(shut, "_live", read)
        other.start()
        other.join(0.2)  # as far as it comes
        return found

    monkeypatch.setattr(shut, "_live", meanwhile)
    step(bans)
    other.join()
    assert _find(bans, b"three")
    assert [one.key for one in bans.shown(100)][-1] == b"three"


def test_who_is_shut_out_while_rules_change_is_so_under_both() -> None:
    bans = ShutList([RULE], MemoryNote())
    bans.put(Shut(150, ANY, b"one"), 0)
    other = bans.follow([RULE])
    bans.put(Shut(500, ANY, b"two"), 50)  # by an operator who still has the list of before
    assert [_find(bans, b"two"), _find(other, b"two")] == [True, True]
    other.put(Shut(500, ANY, b"three"), 50)
    assert _find(other, b"three")
    assert (
        bans.find([(0, b"one", 1)], LIMITS, 600) is None
    )  # its last ban has ended: nothing of the other's list
    assert _find(other, b"three")


def test_a_list_that_follows_counts_its_bans_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bans = ShutList([RULE], MemoryNote())
    bans.put(Shut(500, ANY, b"one"), 0)
    other = bans.follow([RULE])
    monkeypatch.setattr(shut, "_live", lambda text, now: pytest.fail("the list was read again"))
    assert [_find(other, key) for key in (b"one", b"two")] == [True, False]
