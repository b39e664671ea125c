"""Who is refused again and again is shut out for a time that grows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsgistack.errors import RateError
from wsgistack.ratelimit.answers import make_answer, status_of
from wsgistack.ratelimit.bans import Ban, BanCounter, parse_ban
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

START = 1_795_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("text", "ban"),
    [
        ("10 in 1 hour for 1 hour", Ban(10, HOUR, HOUR, 24 * HOUR)),
        ("3 IN minute FOR 30 s UP TO 10 minutes", Ban(3, MINUTE, 30 * SECOND, 10 * MINUTE)),
        ("1 in 1 second for 2 weeks", Ban(1, SECOND, 336 * HOUR, 336 * HOUR)),
    ],
)
def test_a_ban_is_a_sentence(text: str, ban: Ban) -> None:
    assert parse_ban(text) == ban
    assert parse_ban(str(ban)) == ban


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not like '10 in 1 hour for 15 minutes up to 1 day'"),
        ("10 in 1 hour", "is not like"),
        ("0 in 1 hour for 1 hour", "is not like"),
        ("10 in 1 hour for 1 hor", "did you mean 'hour'?"),
        ("10 in 1 hour for 1 hour sharp", "met 'sharp', expected the end"),
        ("10 in 1 hour for 1 hour up to 1 minute", "up to minute is shorter than the first ban"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RateError) as caught:
        parse_ban(text)
    assert complaint in str(caught.value)


def test_a_ban_grows_and_is_forgotten_after_good_behaviour() -> None:
    counter = BanCounter(parse_ban("2 in 1 minute for 1 minute up to 3 minutes"))
    state, now, lengths = None, START, []
    for _ in range(4):
        state = counter.charge(counter.charge(state, now, 1), now, 1)
        wait, _ = counter.decide(state, now, 0)
        lengths.append(wait)
        now += wait
    assert lengths == [MINUTE, 2 * MINUTE, 3 * MINUTE, 3 * MINUTE]
    assert state is not None
    assert counter.ends_at(state) == now + 3 * MINUTE
    state = counter.charge(state, now + 3 * MINUTE, 2)
    assert counter.decide(state, now + 3 * MINUTE, 0)[0] == MINUTE


def test_refusals_far_apart_make_no_ban() -> None:
    counter = BanCounter(parse_ban("2 in 1 minute for 1 hour"))
    state, now = None, START
    for _ in range(10):
        now += MINUTE
        state = counter.charge(state, now, 1)
        assert counter.decide(state, now, 0)[0] == 0
    assert counter.quota(state, now) == (1, 0)


class Stage:
    def __init__(self, *rules: Rule, **options: Any) -> None:
        self.now = START
        self.limiter = Limiter(rules, trust=Trust(), now=lambda: self.now, **options)

    def hit(self, peer: str = "192.0.2.1") -> Decision:
        return self.limiter.hit(EnvironRequest({"REMOTE_ADDR": peer}))


@pytest.mark.parametrize("store", [None, "memory://"])
def test_who_does_not_listen_is_shut_out(store: str | None) -> None:
    rule = Rule("login", "1/second", ban="3 in 1 minute for 1 hour")
    stage = Stage(rule, store=None if store is None else make_store(store))
    assert [stage.hit().ok for _ in range(4)] == [True, False, False, False]
    stage.now += 10 * MINUTE
    banned = stage.hit()
    assert banned.refused is not None and banned.refused.policy == "login-ban"
    assert banned.wait_us == 50 * MINUTE
    assert stage.hit("192.0.2.2").ok, "others are not"
    stage.now += 50 * MINUTE
    assert stage.hit().ok


def test_a_banned_client_is_told_of_abnormal_usage() -> None:
    stage = Stage(Rule("login", "1/minute", ban="1 in 1 minute for 1 hour"))
    stage.hit()
    stage.hit()
    banned = stage.hit()
    assert status_of(banned) == 429
    _, fields, body = make_answer(banned, "", [])
    assert ("Retry-After", "3600") in fields
    assert json.loads(body)["type"].endswith("#abnormal-usage-detected")
    assert [limit.policy for limit, _, _ in banned.quotas()] == ["login"]


def test_nobody_is_remembered_for_having_behaved() -> None:
    stage = Stage(Rule("login", "unlimited"), Rule("r", "5/second", ban="3 in 1 minute for 1 hour"))
    for number in range(50):
        assert stage.hit(f"192.0.2.{number}").ok
    assert len(stage.limiter.table) == 0  # type: ignore[arg-type]
    plain = Stage(Rule("r", "5/second", ban="3 in 1 minute for 1 hour"))
    for number in range(50):
        assert plain.hit(f"192.0.2.{number}").ok
    assert len(plain.limiter.table) == 50  # type: ignore[arg-type]


def test_a_dry_run_bans_nobody_and_says_whom_it_would_refuse() -> None:
    stage = Stage(Rule("new", "1/minute; 2 concurrent", ban="1 in 1 minute for 1 hour", dry_run=True))
    decisions = [stage.hit() for _ in range(4)]
    assert all(decision.ok for decision in decisions)
    assert [[limit.policy for limit in decision.would_refuse] for decision in decisions] == [
        [],
        ["new"],
        ["new-ban"],
        ["new-ban"],
    ]
    assert all(decision.quotas() == [] for decision in decisions)


def test_places_of_a_dry_run_are_given_back() -> None:
    stage = Stage(Rule("new", "1 concurrent", dry_run=True))
    for _ in range(5):
        decision = stage.hit()
        assert decision.would_refuse == ()
        decision.release()


def test_refusals_during_a_ban_change_nothing() -> None:
    counter = BanCounter(parse_ban("1 in 1 hour for 1 hour"))
    banned = counter.charge(None, 1_795_000_000_000_000, 1)
    assert counter.charge(banned, 1_795_000_000_000_001, 1) == banned
