"""Rules and states together."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.clients import Trust, everybody, header_key
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import draft10
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.wsgi import EnvironRequest

START = 1_795_000_000_000_000
SECOND = 1_000_000


class Stage:
    """A limiter on a clock of its own."""

    def __init__(self, *rules: Rule) -> None:
        self.now = START
        self.limiter = Limiter(rules, trust=Trust(), now=lambda: self.now)

    def hit(self, path: str = "/", peer: str = "192.0.2.1", **environ: Any) -> Decision:
        return self.limiter.hit(EnvironRequest({"REMOTE_ADDR": peer, "PATH_INFO": path, **environ}))

    def passes(self, times: int, path: str = "/", **environ: Any) -> int:
        return sum(self.hit(path, **environ).ok for _ in range(times))


def test_each_client_has_a_quota_of_its_own() -> None:
    stage = Stage(Rule("r", "3/minute"))
    assert (stage.passes(10), stage.passes(10, peer="192.0.2.2")) == (3, 3)
    stage.now += 20 * SECOND
    assert stage.passes(10) == 1


def test_every_rule_that_is_about_a_request_must_have_room() -> None:
    stage = Stage(Rule("all", "5/minute"), Rule("api", "2/minute", path="/api/*"))
    assert stage.passes(10, "/api/x") == 2
    assert stage.passes(10, "/other") == 3, "what was refused took nothing of the other rule"
    refused = stage.hit("/api/x").refused
    assert refused is not None and refused.policy == "all"


def test_unlimited_lets_pass_the_rules_behind_it() -> None:
    stage = Stage(Rule("static", "unlimited", path="/static/*"), Rule("all", "1/minute"))
    assert (stage.passes(10, "/static/logo"), stage.passes(10, "/x")) == (10, 1)
    assert stage.hit("/static/logo").quotas() == []
    assert stage.hit("/static/logo").remaining is None


def test_a_rule_may_count_everybody_together() -> None:
    stage = Stage(Rule("all", "3/minute", key=everybody))
    assert [stage.hit(peer=f"192.0.2.{i}").ok for i in range(5)] == [True, True, True, False, False]


RULES: list[tuple[str, dict[str, Any]]] = [
    ("5/minute; 7/second burst 2", {}),
    ("9/hour fixed", {"key": everybody}),
    ("4/hour", {"ban": "2 in 1 minute for 1 minute"}),
]


def test_what_is_the_same_for_all_requests_is_decided_as_where_it_is_not() -> None:
    """A path that every request has makes a limiter look at each: the long way."""
    quick, long = (
        Stage(*[Rule(f"r{i}", rate, path=path, **more) for i, (rate, more) in enumerate(RULES)])
        for path in ("", "*")
    )
    assert (quick.limiter.asks_who_only, long.limiter.asks_who_only) == (True, False)
    for step in range(60):
        for stage in (quick, long):
            stage.now += step * SECOND // 7
        peer = f"192.0.2.{step % 3}"
        ours, theirs = quick.limiter.hit_from(peer) if step % 2 else quick.hit(peer=peer), long.hit(peer=peer)
        assert (ours.ok, ours.wait_us, ours.remaining) == (theirs.ok, theirs.wait_us, theirs.remaining)
        assert ours.about() == theirs.about()
        assert draft10(ours) == draft10(theirs)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("r", "5/minute", path="/x"),
        Rule("r", "5/minute", key=header_key("X-Key")),
        Rule("r", "5/minute", cost=lambda request: 1),
        Rule("r", "5/minute", dry_run=True),
    ],
    ids=["path", "key", "cost", "dry run"],
)
def test_where_a_request_makes_a_difference_it_is_looked_at(rule: Rule) -> None:
    assert not Limiter([rule], trust=Trust(), now=lambda: START).asks_who_only


def test_behind_proxies_that_are_trusted_the_peer_is_not_who_asks() -> None:
    limiter = Limiter([Rule("r", "1/minute")], trust=Trust(trusted=["192.0.2.1"]), now=lambda: START)
    assert not limiter.asks_who_only
    clients = ["6.6.6.6", "6.6.6.7", "6.6.6.6"]
    requests = [EnvironRequest({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": one}) for one in clients]
    assert [limiter.hit(request).ok for request in requests] == [True, True, False]


def test_a_credential_needs_room_under_the_address_too_unless_it_is_known() -> None:
    unsure = Stage(Rule("api", "2/minute", key=header_key("X-Key")))
    assert [unsure.hit(HTTP_X_KEY=str(i)).ok for i in range(4)] == [True, True, False, False]
    sure = Stage(Rule("api", "2/minute", key=header_key("X-Key", known=lambda key: key in "01")))
    assert [sure.hit(HTTP_X_KEY=str(i)).ok for i in (0, 1, 0, 1, 0, 7, 8, 9)] == [True] * 4 + [
        False,
        True,
        True,
        False,
    ]


def test_what_is_no_request_is_limited_by_the_name_of_a_rule() -> None:
    made = Stage(Rule("mail", "3/hour; 100/day", path="/mail"), Rule("plan", "1/hour", dry_run=True)).limiter
    assert [made.hit_rule("mail", b"ann", cost=cost).ok for cost in (2, 2, 1)] == [True, False, True]
    refused = made.hit_rule("mail", b"ann")
    assert refused.refused is not None and refused.refused.policy == "mail"
    assert refused.wait_us == 1200 * SECOND
    assert made.hit_rule("mail", b"ben").remaining == 2
    assert [len(made.hit_rule("plan", b"ann").would_refuse) for _ in range(2)] == [0, 1]
    assert made.hit_rule("plan", b"ann").ok
    with pytest.raises(SettingError, match=r"rule mial: no rule has this name \(did you mean 'mail'\?\)"):
        made.hit_rule("mial", b"ann")


def test_a_tier_has_its_own_rate() -> None:
    tiers = {"gold": "4/minute", "free": "unlimited"}
    rule = Rule("api", "1/minute", tier=lambda asked: asked.variable("plan"), tiers=tiers)
    stage = Stage(rule)
    assert stage.passes(9) == 1
    assert stage.passes(9, plan="gold") == 4
    assert stage.passes(9, plan="free") == 9
    assert stage.passes(9, plan="no such plan") == 0


def test_a_request_may_cost_more() -> None:
    rule = Rule("api", "10/minute", cost=lambda asked: 5 if asked.path == "/export" else 1)
    stage = Stage(rule)
    assert stage.passes(9, "/export") == 2
    assert stage.passes(9) == 0


@pytest.mark.parametrize("cost", [-1, "3", True, None, 1.5])
def test_a_cost_that_is_no_number_is_an_error(cost: Any) -> None:
    stage = Stage(Rule("api", "10/minute", cost=lambda asked: cost))
    with pytest.raises(SettingError, match="rule api: cost gave"):
        stage.hit()


def test_a_dry_run_refuses_nobody_and_takes_nothing_from_others() -> None:
    stage = Stage(Rule("new", "1/minute", dry_run=True), Rule("old", "5/minute"))
    assert stage.passes(9) == 5
    assert [limit.rate.amount for limit, _, _ in stage.hit().quotas()] == [5]


def test_a_refused_request_counts_where_the_rule_says_so() -> None:
    stage = Stage(
        Rule("login", "2/10 seconds", count_refused=True),
    )
    assert stage.passes(2) == 2
    for _ in range(20):
        stage.now += SECOND
        assert not stage.hit().ok, "who does not wait is never served"
    stage.now += 200 * SECOND
    assert stage.hit().ok


def test_what_an_operation_cost_is_settled_afterwards() -> None:
    stage = Stage(Rule("api", "10/minute"))
    decision = stage.hit()
    assert decision.remaining == 9
    decision.charge(20)
    assert stage.hit().wait_us == 72 * SECOND, "12 units of debt are paid at 6 s each"
    stage.now += 72 * SECOND
    served = stage.hit()
    assert served.ok
    served.refund()
    assert stage.hit().ok
    assert not stage.hit().ok


def test_what_can_be_done_in_parts_takes_as_much_as_there_is_room_for() -> None:
    stage = Stage(
        Rule("rows", "10/minute; 8/hour fixed", ban="1 in 1 hour for 1 hour"),
        Rule("slots", "2 concurrent"),
        Rule("planned", "3/minute", dry_run=True),
    )
    first = stage.hit()
    assert [first.take(units) for units in (0, 3, 100, 1)] == [0, 3, 4, 0]
    refused = stage.hit()
    assert not refused.ok and refused.take(1) == 0
    first.refund(6)
    assert stage.limiter.table.get(1, b"\xc0\0\2\1") is not None
    stage.now += 7200 * SECOND
    again = stage.hit()
    assert (again.ok, again.take(5), again.remaining) == (True, 5, 1)


def test_what_nothing_limits_takes_all() -> None:
    stage = Stage(Rule("slots", "2 concurrent"))
    assert stage.hit().take(7) == 7


def test_what_was_taken_in_parts_is_refunded_with_the_rest() -> None:
    stage = Stage(Rule("r", "10/hour"))
    decision = stage.hit()
    assert decision.take(20) == 9
    decision.refund(100)
    assert stage.passes(20) == 10


def test_a_refund_gives_no_more_than_was_taken() -> None:
    stage = Stage(Rule("api", "3/minute"))
    decision = stage.hit()
    stage.hit()
    decision.refund(100)
    assert stage.passes(9) == 2


def test_a_refused_request_has_nothing_to_refund() -> None:
    stage = Stage(Rule("api", "1/minute"))
    stage.hit()
    for _ in range(3):
        stage.hit().refund()
        stage.hit().release()
    assert not stage.hit().ok


def test_a_place_is_free_when_it_is_released() -> None:
    stage = Stage(Rule("slots", "2 concurrent"))
    first, second = stage.hit(), stage.hit()
    assert not stage.hit().ok
    first.release()
    first.release()
    assert stage.hit().ok
    assert not stage.hit().ok
    second.release()
    assert stage.hit().ok


def test_two_rules_have_two_names() -> None:
    with pytest.raises(SettingError, match="rule r: two rules have this name"):
        Stage(Rule("r", "1/s"), Rule("r", "2/s"))


@pytest.mark.parametrize("keys", [(), None, [], b""])
def test_a_key_of_ones_own_that_gives_none_counts_by_the_address(keys: Any) -> None:
    site = Limiter(
        [Rule("api", "1/minute", key=lambda asker: keys)], trust=Trust(), now=lambda: 1_795_000_000_000_000
    )
    found = [site.hit(EnvironRequest({"REMOTE_ADDR": f"192.0.2.{i}"})).ok for i in (1, 1, 2)]
    assert found == [True, False, True]


@pytest.mark.parametrize("keys", [b"ann", "ann", ("ann",), [b"ann"], 7])
def test_a_key_of_ones_own_that_is_no_tuple_of_bytes_is_told(keys: Any) -> None:
    site = Limiter(
        [Rule("api", "1/minute", key=lambda asker: keys)], trust=Trust(), now=lambda: 1_795_000_000_000_000
    )
    with pytest.raises(
        SettingError, match=r"rule api: key gave .*, not a tuple of bytes such as \(b'ann',\)"
    ):
        site.hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"}))


def test_a_key_that_is_too_long_for_stores_is_counted_by_its_hash() -> None:
    asked: list[bytes] = [b"a" * 100_000, b"a" * 100_000, b"a" * 99_999, b"b" * 64]
    site = Limiter(
        [Rule("api", "1/minute", key=lambda asker: (asked.pop(0),))],
        trust=Trust(),
        now=lambda: 1_795_000_000_000_000,
    )
    decisions = [site.hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})) for _ in range(4)]
    assert [one.ok for one in decisions] == [True, False, True, True]
    assert [len(key) for one in decisions for _, key in one.about()] == [16, 16, 16, 64]


def test_what_is_unlimited_in_a_dry_run_lets_nobody_pass_the_rules_behind_it() -> None:
    rules = [Rule("static", "unlimited", dry_run=True), Rule("all", "1/minute")]
    site = Limiter(rules, trust=Trust(), now=lambda: 1_795_000_000_000_000)
    assert [site.hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})).ok for _ in range(2)] == [True, False]


@pytest.mark.parametrize("cost", [-1, True, 1.5, None])
def test_what_is_limited_by_name_costs_a_number(cost: Any) -> None:
    site = Limiter([Rule("mail", "2/minute")], trust=Trust(), now=lambda: 1_795_000_000_000_000)
    with pytest.raises(SettingError, match=r"rule mail: cost is .*, not a number from 0 on"):
        site.hit_rule("mail", b"ann", cost=cost)


def test_who_is_refused_takes_no_place_of_a_dry_run() -> None:
    rules = [Rule("planned", "2 concurrent", dry_run=True), Rule("api", "1/minute")]
    site = Limiter(rules, trust=Trust(), now=lambda: 1_795_000_000_000_000)
    first = site.hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"}))
    refused = [site.hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})) for _ in range(5)]
    assert [(one.ok, list(one.would_refuse)) for one in refused] == [(False, [])] * 5
    assert {rule for rule, _ in refused[0].about()} == {"planned", "api"}, "it is metered under both"
    first.release()
    assert site.table.get(0, b"\xc0\x00\x02\x01") is None
