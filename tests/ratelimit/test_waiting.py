"""Requests that wait for their turn under a rate with a delay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit import RateLimit, Rule
from wsgistack.ratelimit.waiting import Waiting, check_most_waiting, make_waiting

NOW = 1_795_000_000_000_000
ENVIRON = {"REMOTE_ADDR": "192.0.2.1", "REQUEST_METHOD": "GET", "PATH_INFO": "/"}


class Site:
    """An application on a clock that sleeps move on; *during* happens while somebody sleeps."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.now = NOW
        self.sleeps: list[float] = []
        self.served_at: list[int] = []
        self.during: list[Any] = []
        self.app = RateLimit(self._serve, *arguments, now=lambda: self.now, **options)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.served_at.append((self.now - NOW) // 1000)
        start_response("200 OK", [])
        return [b"ok"]

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        while self.during:
            self.during.pop()()
        self.now += round(seconds * 1e6)

    def ask(self) -> tuple[str, dict[str, str]]:
        seen: list[Any] = []

        def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Any:
            seen.append((status, headers))

        body = self.app(dict(ENVIRON), start_response)
        list(body)
        getattr(body, "close", lambda: None)()
        return seen[0][0][:3], dict(seen[0][1])


@pytest.fixture
def make_site(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Site]:
    """A function that makes sites; the last one is whom sleeping is about."""

    def make(*arguments: Any, **options: Any) -> Site:
        site = Site(*arguments, **options)
        monkeypatch.setattr("wsgistack.ratelimit.waiting.time.sleep", site.sleep)
        return site

    return make


def test_what_is_beyond_the_first_of_a_burst_is_served_at_the_pace_of_the_rate(
    make_site: Callable[..., Site],
) -> None:
    """nginx's `rate=10r/s` with `burst=4 delay=1`, which counts the first request as no excess."""
    site = make_site("10/second burst 5 delay=2", most_waiting=1)
    assert [site.ask()[0] for _ in range(7)] == ["200"] * 7
    assert site.served_at == [0, 0, 100, 200, 300, 400, 500]
    assert site.sleeps == [0.1] * 5


def test_those_that_come_together_wait_longer_and_longer_and_the_rest_is_refused(
    make_site: Callable[..., Site],
) -> None:
    site = make_site("10/second burst 4 delay 1", most_waiting=100)
    delays = [site.app.limiter.hit_from("192.0.2.1").delay() for _ in range(5)]
    assert [one and one[1] for one in delays] == [None, 100_000, 200_000, 300_000, None]
    assert site.ask()[0] == "429"
    assert site.sleeps == []


@pytest.mark.parametrize("rate", ["10/second burst 5", "10/second burst 5 nodelay"])
def test_without_a_delay_a_burst_is_served_at_once(make_site: Callable[..., Site], rate: str) -> None:
    site = make_site(rate)
    assert [site.ask()[0] for _ in range(6)] == ["200"] * 5 + ["429"]
    assert site.sleeps == []


def test_who_finds_too_many_waiting_is_refused_and_takes_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site("10/second burst 5 delay 1", most_waiting=1)
    told: list[Any] = []
    site.ask()
    site.during.append(lambda: told.append(site.ask()))
    assert site.ask()[0] == "200"
    assert told[0][0] == "429"
    assert told[0][1]["Retry-After"] == "1"
    assert site.served_at == [0, 100]
    assert [site.ask()[0] for _ in range(2)] == ["200"] * 2, "a place is free again"
    assert site.served_at == [0, 100, 200, 300], "and the refused one took no turn"


def test_who_is_taken_off_while_he_waits_gives_back_his_turn(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site("10/second burst 5 delay 1", most_waiting=1)
    site.ask()

    def kill(seconds: float) -> None:
        raise SystemExit

    monkeypatch.setattr("wsgistack.ratelimit.waiting.time.sleep", kill)
    with pytest.raises(SystemExit):
        site.ask()
    monkeypatch.setattr("wsgistack.ratelimit.waiting.time.sleep", site.sleep)
    assert site.ask()[0] == "200"
    assert site.served_at == [0, 100]


def test_of_several_limits_the_longest_delay_counts(make_site: Callable[..., Site]) -> None:
    site = make_site("100/second burst 3 delay 1; 10/second burst 3 delay 2", most_waiting=1)
    assert [site.ask()[0] for _ in range(3)] == ["200"] * 3
    assert site.sleeps == [0.01, pytest.approx(0.09)]


def test_a_dry_run_lets_nobody_wait(make_site: Callable[..., Site]) -> None:
    for options in ({"dry_run": True}, {"rules": [Rule("r", "1/second burst 2 delay 1", dry_run=True)]}):
        rate = () if "rules" in options else ("1/second burst 2 delay 1",)
        site = make_site(*rate, **options)
        assert [site.ask()[0] for _ in range(3)] == ["200"] * 3
        assert site.sleeps == []


def test_it_is_off_until_somebody_says_how_many_may_wait() -> None:
    with pytest.raises(SettingError) as caught:
        RateLimit(lambda environ, start_response: [], "10/second burst 5 delay 1")
    assert str(caught.value) == (
        "rule default: '10/second burst 5 delay 1' lets requests wait, and most_waiting, how many of them"
        " may at once, is 0"
    )
    for most in (-1, True, 10**6, "7"):
        with pytest.raises(SettingError, match="is not a number from 0 to 100000"):
            check_most_waiting(most)  # type: ignore[arg-type]
    assert make_waiting([], 5) is None


def test_who_waits_in_the_parent_does_not_in_its_child(make_site: Callable[..., Site]) -> None:
    site = make_site("10/second burst 5 delay 1", most_waiting=1)
    waiting = site.app._waiting
    assert isinstance(waiting, Waiting)
    site.ask()
    site.during.append(waiting.forked)
    site.ask()
    assert [site.ask()[0] for _ in range(2)] == ["200", "200"]
