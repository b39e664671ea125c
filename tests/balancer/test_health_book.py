"""Who remembers, what traffic does to a pool, and what the log is told."""

from collections.abc import Mapping

import pytest

from wsgistack.balancer.health import State
from wsgistack.balancer.health_book import HealthBook, Members, Verdict
from wsgistack.balancer.model import ProbeResult
from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.settings import Value

NODES = ("a", "b", "c")


class Scene:
    """A book with one pool of nodes a, b and c, their counters, and a clock."""

    def __init__(self, nodes: tuple[str, ...] = NODES, **chosen: Value) -> None:
        self.book = HealthBook()
        self.settings: dict[str, Value] = POOL_SETTINGS.defaults() | chosen
        self.members = Members("mypool", self.settings, nodes)
        self.now = 100.0
        self.counts = dict.fromkeys(nodes, Outcomes())
        self.look()

    def check(self, node: str, results: str) -> list[bool]:
        """Absorb checks, `+`, `-` (no answer) or `x` (refused); return whether the snapshot changes."""
        return [
            self.book.absorb_check(
                self.members,
                ProbeResult("mypool", node, one == "+", "" if one == "+" else "oh", one == "x"),
                self.now,
            )
            for one in results
        ]

    def end(self, node: str, good: int = 0, bad: int = 0, *, each_s: float = 0.01) -> None:
        """Let requests end at a node, the bad ones last."""
        was = self.counts[node]
        streak = bad if good else was.streak + bad
        spent_us = was.spent_us + round(good * each_s * 1e6)
        self.counts[node] = Outcomes(was.good + good, was.bad + bad, streak, spent_us=spent_us)

    def look(self, after_s: float = 0.1) -> bool:
        """Let time pass and look at the traffic."""
        self.now = round(self.now + after_s, 3)
        return self.book.sample([self.members], self.counts, self.now)

    def serve(self, seconds: float, *, each_s: Mapping[str, float]) -> None:
        """Let every node that is used answer ten requests a look."""
        for _ in range(round(seconds * 10)):
            for node, verdict in self.verdicts().items():
                if verdict.up:
                    self.end(node, 1 if verdict.on_trial else 10, each_s=each_s[node])
            self.look()

    def states(self) -> dict[str, State]:
        return {node: self.book.get("mypool", node).state for node in self.members.addresses}

    def verdicts(self) -> dict[str, Verdict]:
        return self.book.judge(self.members)

    def told(self) -> list[str]:
        return [news.event for news in self.book.take_news()]


def test_two_pools_judge_one_address_apart() -> None:
    scene = Scene()
    assert scene.check("a", "---") == [False, False, True]
    assert scene.states()["a"] == "down"
    assert scene.book.get("other", "a").state == "unchecked"


def test_a_node_that_fails_its_checks_is_left_out_and_comes_back_warming_up() -> None:
    scene = Scene()
    scene.check("a", "---")
    assert scene.verdicts() == {"a": Verdict(up=False), "b": Verdict(up=True), "c": Verdict(up=True)}
    assert scene.check("a", "++") == [False, True]
    assert scene.verdicts()["a"] == Verdict(up=True, warm_from=100.1)
    scene.look(after_s=4.9)
    assert scene.verdicts()["a"].warm_from == 100.1
    scene.look(after_s=0.1)
    assert scene.verdicts()["a"] == Verdict(up=True)
    assert scene.told() == ["node_down", "node_up"]


def test_without_a_slow_start_it_gets_its_full_share_at_once() -> None:
    scene = Scene(slow_start=0.0)
    scene.check("a", "---++")
    assert scene.verdicts()["a"] == Verdict(up=True)


def test_another_kind_of_check_begins_with_nodes_that_are_trusted() -> None:
    scene = Scene()
    scene.check("a", "---")
    scene.check("b", "+")
    scene.book.forget_checks("other")
    assert scene.states() == {"a": "down", "b": "up", "c": "unchecked"}
    scene.book.forget_checks("mypool")
    assert scene.states() == {"a": "unchecked", "b": "unchecked", "c": "unchecked"}


def test_a_forgotten_address_has_no_past_in_any_pool() -> None:
    scene = Scene()
    scene.check("a", "---")
    scene.end("b", bad=5)
    scene.look()
    assert (scene.states()["a"], scene.states()["b"]) == ("down", "ejected")
    scene.book.forget("a")
    scene.book.forget("b")
    assert scene.states() == dict.fromkeys(NODES, "unchecked")
    assert not scene.look(after_s=9.0)


@pytest.mark.parametrize(("bad", "state"), [(4, "unchecked"), (5, "ejected"), (50, "ejected")])
def test_failures_in_a_row_eject_a_node(bad: int, state: str) -> None:
    scene = Scene()
    scene.end("a", bad=bad)
    assert scene.look() is (state == "ejected")
    assert scene.states()["a"] == state


def test_failures_with_good_ones_between_them_do_not() -> None:
    scene = Scene(eject_rate_deviations=0.0)
    for _ in range(20):
        scene.end("a", good=1, bad=4)
        assert not scene.look()


def test_a_pool_that_does_not_want_it_ejects_nobody() -> None:
    scene = Scene(eject_failures=0, eject_rate_deviations=0.0, eject_latency_factor=0.0)
    for _ in range(20):
        scene.end("a", bad=100)
        scene.end("b", good=100, each_s=0.001)
        scene.end("c", good=100, each_s=1.0)
        assert not scene.look()


def test_not_too_many_are_ejected_and_never_the_last() -> None:
    scene = Scene()
    for node in NODES:
        scene.end(node, bad=9)
    scene.look()
    assert scene.states() == {"a": "ejected", "b": "unchecked", "c": "unchecked"}
    pair = Scene(("a", "b"), eject_most_percent=100)
    pair.check("b", "xxx")
    pair.end("a", bad=9)
    assert not pair.look()
    assert pair.verdicts() == {"a": Verdict(up=True), "b": Verdict(up=False)}


def test_a_node_that_drains_is_none_to_count_on() -> None:
    scene = Scene(("a", "b"))
    scene.members = scene.members._replace(draining=("b",))
    scene.end("a", bad=9)
    assert not scene.look()
    scene.check("a", "---")
    assert scene.verdicts() == {"a": Verdict(up=True), "b": Verdict(up=True)}
    scene.check("b", "---")
    assert scene.verdicts()["b"] == Verdict(up=False)


def test_a_deleted_pool_is_forgotten() -> None:
    scene = Scene()
    scene.check("a", "---")
    scene.end("b", bad=5)
    scene.look()
    scene.book.forget_pool("other")
    assert (scene.states()["a"], scene.states()["b"]) == ("down", "ejected")
    scene.book.forget_pool("mypool")
    assert scene.states() == dict.fromkeys(NODES, "unchecked")


def test_an_ejected_node_is_tried_with_a_trickle_and_comes_back_warming_up() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    assert not scene.look(after_s=0.9)
    assert scene.verdicts()["a"] == Verdict(up=False)
    assert scene.look(after_s=0.1)
    assert scene.verdicts()["a"] == Verdict(up=True, on_trial=True)
    scene.end("a", good=2)
    assert not scene.look()
    scene.end("a", good=1)
    assert scene.look()
    assert scene.verdicts()["a"] == Verdict(up=True, warm_from=101.4)
    assert scene.told() == ["node_ejected", "node_tried", "node_back"]


def test_a_node_that_fails_its_trial_is_out_for_longer() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    scene.look(after_s=1.0)
    scene.end("a", bad=1)
    assert scene.look()
    health = scene.book.get("mypool", "a")
    assert (health.state, health.until, health.ejected_times) == ("ejected", 102.55, 2)
    assert health.why == "1 of 1 requests failed when it was tried"


def test_a_node_that_nobody_tries_comes_back_all_the_same() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    scene.look(after_s=1.0)
    assert scene.look(after_s=1.0)
    assert scene.states()["a"] == "warming"


def test_the_trickle_is_a_small_part_of_the_weights_and_one_request_at_a_time() -> None:
    tried, sound = Verdict(up=True, on_trial=True), Verdict(up=True)
    shares = [
        one.share_of(3, some_on_trial=some) for one, some in ((tried, True), (sound, True), (sound, False))
    ]
    assert shares == [3, 48, 3]
    assert (tried.most_of(0), tried.most_of(9), sound.most_of(0), sound.most_of(9)) == (1, 1, 0, 9)


def test_a_node_that_is_much_slower_is_ejected_within_two_seconds() -> None:
    scene = Scene()
    usual = dict.fromkeys(NODES, 0.01)
    scene.serve(3.0, each_s=usual)
    assert set(scene.states().values()) == {"unchecked"}
    scene.serve(1.5, each_s=usual | {"a": 0.1})
    assert scene.states() == {"a": "ejected", "b": "unchecked", "c": "unchecked"}
    assert scene.book.get("mypool", "a").why == "answers in 100 ms, the others in 10 ms"


def test_one_that_is_slow_for_a_moment_is_not() -> None:
    scene = Scene()
    usual = dict.fromkeys(NODES, 0.01)
    scene.serve(1.0, each_s=usual)
    for _ in range(5):
        scene.serve(0.4, each_s=usual | {"a": 0.1})
        scene.serve(1.0, each_s=usual)
    assert set(scene.states().values()) == {"unchecked"}


def test_one_that_is_still_slow_when_tried_goes_out_again_after_a_few_requests() -> None:
    scene = Scene()
    slow = dict.fromkeys(NODES, 0.01) | {"a": 0.1}
    scene.serve(1.5, each_s=slow)
    before = scene.counts["a"].good
    scene.serve(5.0, each_s=slow)
    assert scene.book.get("mypool", "a").ejected_times == 4
    assert scene.counts["a"].good - before == 9
    assert "node_back" not in scene.told()


def test_one_that_is_quick_again_comes_back() -> None:
    scene = Scene()
    usual = dict.fromkeys(NODES, 0.01)
    scene.serve(1.5, each_s=usual | {"a": 0.1})
    scene.serve(2.0, each_s=usual)
    assert scene.states()["a"] == "warming"


def test_one_that_fails_more_often_than_the_others_is_ejected() -> None:
    scene = Scene()
    for _ in range(7):
        scene.end("a", good=8, bad=2)
        scene.end("b", good=10)
        scene.end("c", good=10)
        scene.look()
    health = scene.book.get("mypool", "a")
    assert health.ejected_times == 1
    assert health.why == "80% of 50 requests went well, 100% elsewhere"


def test_what_it_was_ejected_for_does_not_eject_it_again_when_it_is_back() -> None:
    scene = Scene()
    for _ in range(7):
        scene.end("a", good=8, bad=2)
        scene.end("b", good=10)
        scene.end("c", good=10)
        scene.look()
    assert scene.states()["a"] == "ejected"
    scene.serve(4.0, each_s=dict.fromkeys(NODES, 0.01))
    assert scene.states()["a"] == "warming"
    assert scene.book.get("mypool", "a").ejected_times == 1


def test_a_pool_in_which_all_fail_alike_ejects_nobody_by_its_rate() -> None:
    scene = Scene(eject_failures=0)
    for _ in range(50):
        for node in NODES:
            scene.end(node, good=5, bad=5)
        scene.look()
    assert scene.told() == []


def test_with_too_few_sound_nodes_all_are_used_but_the_dead() -> None:
    scene = Scene(("a", "b", "c", "d"))
    scene.check("a", "---")
    scene.check("b", "xxx")
    scene.check("c", "---")
    assert {node: verdict.up for node, verdict in scene.verdicts().items()} == {
        "a": True,
        "b": False,
        "c": True,
        "d": True,
    }
    scene.check("a", "++")
    assert [verdict.up for verdict in scene.verdicts().values()] == [True, False, False, True]
    assert scene.told() == ["node_down", "node_down", "node_down", "pool_panic", "node_up", "pool_calm"]


def test_when_all_are_dead_nobody_is_used() -> None:
    scene = Scene()
    for node in NODES:
        scene.check(node, "xxx")
    assert [verdict.up for verdict in scene.verdicts().values()] == [False, False, False]
    assert scene.told()[-1] == "pool_down"
    scene.check("b", "++")
    assert [verdict.up for verdict in scene.verdicts().values()] == [False, True, False]
    assert scene.told() == ["node_up", "pool_calm"]


def test_health_outlives_the_membership() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    scene.members = scene.members._replace(addresses=("b", "c"))
    scene.look(after_s=0.5)
    scene.members = scene.members._replace(addresses=NODES)
    assert scene.states()["a"] == "ejected"
    scene.look(after_s=0.5)
    assert scene.states()["a"] == "trial"


def test_the_breaker_of_a_pool_opens_and_closes() -> None:
    scene = Scene(breaker_percent=50, breaker_requests=20, eject_failures=0)
    assert scene.book.admits(scene.members) == 100
    scene.end("a", bad=30)
    scene.end("b", good=10)
    assert scene.look()
    assert scene.book.admits(scene.members) == 0
    assert not scene.look(after_s=4.9)
    assert scene.look(after_s=0.2)
    assert scene.book.admits(scene.members) == 10
    scene.end("a", good=3)
    assert scene.look()
    assert scene.book.admits(scene.members) == 100
    scene.end("a", bad=1)
    assert not scene.look()  # what failed before it closed counts no more
    news = scene.book.take_news()
    assert [(one.event, one.fields["reason"]) for one in news] == [
        ("pool_open", "30 of 40 requests failed"),
        ("pool_half_open", None),
        ("pool_closed", None),
    ]


def test_a_quiet_pool_is_looked_at_only_once() -> None:
    scene = Scene()
    scene.end("a", good=1)
    scene.look()
    scene.look(after_s=0.5)
    assert [scene.look() for _ in range(5)] == [False] * 5


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    assert scene.look(after_s=-50.0)
    assert scene.states()["a"] == "trial"
    scene.end("b", bad=5)
    scene.end("a", good=3)
    scene.look()
    assert scene.states() == {"a": "warming", "b": "ejected", "c": "unchecked"}


def test_what_is_told_says_where_and_why_and_for_how_long() -> None:
    scene = Scene()
    scene.end("a", bad=5)
    scene.look()
    scene.check("b", "xxx")
    told = [(news.level, news.event, dict(news.fields)) for news in scene.book.take_news()]
    assert told == [
        (
            "warn",
            "node_ejected",
            {
                "node": "a",
                "pool": "mypool",
                "reason": "5 requests in a row failed",
                "for_s": "1",
                "times": 1,
            },
        ),
        ("warn", "node_down", {"node": "b", "pool": "mypool", "reason": "oh", "state": "dead"}),
    ]
