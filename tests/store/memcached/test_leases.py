"""What to do with what was found, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.store.memcached.envelope import Envelope
from wsgistack.store.memcached.leases import Make, Outdated, Serve, Stored, Verdict, WaitForOther, judge
from wsgistack.store.memcached.replies import Reply

PLAIN = Stored(b"v", 0, Envelope({}))
TAGGED = Stored(b"v", 0, Envelope({"t": 5}))
TIMED = Stored(b"v", 0, Envelope({}, ends_at=1000.0, took_s=2.0))


def reply(marks: bytes = b"", *, ttl: int = 50, value: bytes = b"v") -> Reply:
    """Return an answer to a lease, of an item with the token 9."""
    return Reply(b"VA", value, 0, 9, ttl, marks)


# (the reply, what it holds, versions of tags, grace) -> the verdict
CASES: dict[str, tuple[Reply | None, Stored | None, dict[str, int | None], float, Verdict]] = {
    "a value": (reply(), PLAIN, {}, 0, Serve(PLAIN, False)),
    "a value without an end": (reply(ttl=-1), PLAIN, {}, 30, Serve(PLAIN, False)),
    "a value with a tag that is current": (reply(), TAGGED, {"t": 5}, 0, Serve(TAGGED, False)),
    "nothing, and we are the first": (reply(b"W", value=b""), None, {}, 0, Make(9, None, True)),
    "nothing, and another is the first": (reply(b"Z", value=b""), None, {}, 0, WaitForOther()),
    "an empty item that nobody may fill": (reply(value=b""), None, {}, 0, Make(None, None, False)),
    "a value that cannot be read, and we are the first": (reply(b"W"), None, {}, 0, Make(9, None, False)),
    "stale, and we are the first": (reply(b"WX"), PLAIN, {}, 30, Make(9, PLAIN, False)),
    "stale, and another is the first": (reply(b"XZ"), PLAIN, {}, 30, Serve(PLAIN, True)),
    "stale without grace, we": (reply(b"WX"), PLAIN, {}, 0, Make(9, None, False)),
    "stale without grace, another": (reply(b"XZ"), PLAIN, {}, 0, WaitForOther()),
    "behind its end": (reply(b"Z", ttl=29), PLAIN, {}, 30, Serve(PLAIN, True)),
    "before its end, and we are the first": (reply(b"W", ttl=34), PLAIN, {}, 30, Make(9, PLAIN, False)),
    "before its end, and another is the first": (reply(b"Z", ttl=34), PLAIN, {}, 30, Serve(PLAIN, False)),
    "outdated by a tag": (reply(), TAGGED, {"t": 6}, 30, Outdated(9)),
    "outdated by a tag that is gone": (reply(), TAGGED, {"t": None}, 30, Outdated(9)),
    "outdated, and we are the first": (reply(b"WX"), TAGGED, {"t": 6}, 30, Make(9, TAGGED, False)),
    "outdated, and another is the first": (reply(b"XZ"), TAGGED, {"t": 6}, 30, Serve(TAGGED, True)),
    "outdated without grace, another": (reply(b"XZ"), TAGGED, {"t": 6}, 0, WaitForOther()),
    "nobody answered": (None, None, {}, 30, Make(None, None, False)),
    "no room for a stub": (Reply(b"SERVER_ERROR", b"out of memory"), None, {}, 30, Make(None, None, False)),
    "classic: nothing": (Reply(b"EN"), None, {}, 30, Make(None, None, False)),
    "classic: a value": (Reply(b"VA", b"v"), PLAIN, {}, 30, Serve(PLAIN, False)),
    "classic: outdated": (Reply(b"VA", b"v"), TAGGED, {"t": 6}, 30, Make(None, None, False)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_its_verdict(name: str) -> None:
    said, stored, versions, grace, verdict = CASES[name]
    assert judge(said, stored, versions, grace=grace, now=990.0, draw=lambda: 0.5) == verdict


@pytest.mark.parametrize(
    ("now", "draw", "makes"),
    [
        (990.0, 0.5, False),  # 2 s * ln 2 ahead: 991.4
        (998.7, 0.5, True),
        (995.4, 0.1, True),  # 2 s * ln 10 ahead: 1000.005
        (995.3, 0.1, False),
        (1000.0, 1.0, True),
        (999.9, 1.0, False),
        (940.0, 0.0, False),  # the least draw is 55 s ahead
    ],
)
def test_without_leases_the_lot_decides_how_early(now: float, draw: float, makes: bool) -> None:
    verdict: Any = judge(Reply(b"VA", b"v"), TIMED, {}, grace=0, now=now, draw=lambda: draw)
    assert verdict == (Make(None, TIMED, False) if makes else Serve(TIMED, False))
