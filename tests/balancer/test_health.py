"""One node's health, by the table."""

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer import health as module
from wsgistack.balancer.health import TABLE, Happening, NodeHealth, Rules, State, due, ejection_s
from wsgistack.balancer.model import HealthCheck
from wsgistack.balancer.pool_settings import POOL_SETTINGS

RULES = Rules(fall=3, rise=2, eject_time_s=1.0, eject_time_most_s=60.0, slow_start_s=5.0)
CHECK = HealthCheck("tcp", "mypool", "127.0.0.1:8001", POOL_SETTINGS.defaults() | {"health_jitter": 0})
LETTERS: dict[str, Happening] = {
    "+": "passed",
    "-": "failed",
    "x": "refused",
    "g": "good",
    "b": "bad",
    "o": "outlier",
    "t": "elapsed",
}


def after(letters: str, rules: Rules = RULES) -> NodeHealth:
    health = NodeHealth()
    for now, letter in enumerate(letters):
        health = health.seen(LETTERS[letter], rules, float(now))
    return health


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("", "unchecked"),
        ("+", "up"),
        ("--", "unchecked"),
        ("---", "down"),
        ("--+", "up"),
        ("+--", "up"),
        ("+---", "down"),
        ("+--+--", "up"),
        ("----", "down"),
        ("---+", "down"),
        ("---++", "warming"),
        ("---+-+", "down"),
        ("---+-++", "warming"),
        ("---++t", "up"),
        ("---++--", "warming"),
        ("---++---", "down"),
    ],
)
def test_checks_in_a_row_change_the_state(letters: str, state: str) -> None:
    assert after(letters).state == state


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("xx", "unchecked"),
        ("xxx", "dead"),
        ("+xxx", "dead"),
        ("--x", "dead"),
        ("xx-", "down"),
        ("---x", "dead"),
        ("xxx-", "down"),
        ("xxx+", "dead"),
        ("xxx++", "warming"),
        ("oxxx", "dead"),
        ("otxxx", "dead"),
    ],
)
def test_the_last_failure_says_whether_it_is_dead_or_only_down(letters: str, state: str) -> None:
    assert after(letters).state == state


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("o", "ejected"),
        ("+o", "ejected"),
        ("+o+++", "ejected"),
        ("+ogg", "ejected"),
        ("+ot", "trial"),
        ("+o-t", "ejected"),
        ("+o-t+", "ejected"),
        ("+o-t+t", "trial"),
        ("+o-t--", "down"),
        ("+otb", "ejected"),
        ("+oto", "ejected"),
        ("+otgg", "trial"),
        ("+otggb", "ejected"),
        ("+otggg", "warming"),
        ("+ott", "warming"),
        ("+otttt", "up"),
        ("+ottto", "ejected"),
        ("+o---", "down"),
        ("+o---o", "down"),
        ("+bbbbb", "up"),
    ],
)
def test_an_ejected_node_comes_back_by_way_of_a_trial_and_warming_up(letters: str, state: str) -> None:
    assert after(letters).state == state


@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("what", get_args(Happening))
def test_the_drawn_table_is_the_table(state: State, what: Happening) -> None:
    drawn = drawn_table()[state][what]
    step = TABLE[state].get(what)
    written = "" if step is None else step.state if step.needs == "one" else f"{step.state}:{step.needs}"
    assert drawn == written


def drawn_table() -> dict[str, dict[str, str]]:
    """Return the table of the module's docstring as {state: {fact: "next" or "next:needs"}}."""
    assert module.__doc__ is not None
    lines = module.__doc__.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["state", "takes"])
    starts = [i for i, c in enumerate(lines[head + 1]) if c == "-" and lines[head + 1][i - 1] == " "]
    names = lines[head].split()
    found: dict[str, dict[str, str]] = {}
    for line in lines[head + 2 :]:
        if not line.strip():
            return found
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], 200], strict=True)]
        if cells[0]:
            row = found[cells[0]] = dict(zip(names[2:], cells[2:], strict=True))
        else:
            for name, cell in zip(names[2:], cells[2:], strict=True):
                row[name] += cell
    return found


def test_only_one_that_is_out_is_left_out() -> None:
    usable = [state for state in get_args(State) if NodeHealth(state).is_usable]
    assert usable == ["unchecked", "up", "warming", "trial"]


@given(letters=st.text("+-xgbot", max_size=40))
def test_whatever_happens_nobody_returns_at_once(letters: str) -> None:
    health = NodeHealth()
    for now, letter in enumerate(letters):
        before, health = health, health.seen(LETTERS[letter], RULES, float(now))
        if not before.is_usable and health.is_usable:
            assert health.state in ("trial", "warming")
        assert (health.until is None) == (health.state not in ("warming", "ejected", "trial"))


@given(letters=st.text("+-xgbot", max_size=60))
def test_a_node_that_passes_its_checks_and_serves_well_is_up_in_the_end(letters: str) -> None:
    health = after(letters + "++")
    for now in range(len(letters) + 2, len(letters) + 6):
        health = health.seen("elapsed", RULES, float(now))
    assert health.state == "up"


@given(letters=st.text("+-xgbot", max_size=60))
def test_ejections_never_last_longer_than_the_most(letters: str) -> None:
    health = NodeHealth()
    rules = Rules(eject_time_s=1.0, eject_time_most_s=3.0)
    for now, letter in enumerate(letters):
        health = health.seen(LETTERS[letter], rules, float(now))
        if health.state == "ejected" and health.until is not None and health.since is not None:
            assert 1.0 <= health.until - health.since <= 3.0


def test_ejections_in_a_row_last_a_quarter_longer_each() -> None:
    health, lengths = NodeHealth("up"), []
    now = 100.0
    for _ in range(4):
        health = health.seen("outlier", RULES, now)
        assert health.until is not None
        lengths.append(health.until - now)
        now = health.until
        health = health.seen("elapsed", RULES, now)
    assert lengths == [1.0, 1.25, 1.5625, 1.953125]
    assert (health.ejected_times, health.severity) == (4, 4)


def test_one_ejection_is_forgiven_for_every_ten_eject_times_in_service() -> None:
    health = NodeHealth("up", severity=4, back_at=100.0)
    assert [health.severity_at(RULES, now) for now in (100.0, 109.9, 110.0, 135.0, 999.0)] == [4, 4, 3, 1, 0]
    assert health.seen("outlier", RULES, 135.0).severity == 2


def test_severity_grows_no_further_than_the_longest_time() -> None:
    rules = Rules(eject_time_s=1.0, eject_time_most_s=2.0)
    health = after("o" + "tb" * 50, rules)
    assert health.severity == 5  # 1.25 ** 4 is the first that is above 2
    assert health.ejected_times == 51
    assert [ejection_s(n, rules) for n in (4, 5, 50)] == [1.953125, 2.0, 2.0]


@pytest.mark.parametrize("most_s", [1.0, 0.5], ids=["as long as the first", "shorter than it"])
def test_times_that_cannot_grow_do_not(most_s: float) -> None:
    rules = Rules(eject_time_s=1.0, eject_time_most_s=most_s)
    assert after("otbtb", rules).severity == 1
    assert ejection_s(1, rules) == most_s


def test_a_state_with_a_time_is_over_when_that_is() -> None:
    health = NodeHealth("up").seen("outlier", RULES, 100.0)
    assert [health.is_over(now) for now in (100.0, 100.9, 101.0, 99.0)] == [False, False, True, True]
    assert not NodeHealth("up").is_over(1e9)


def test_it_remembers_why_and_since_when() -> None:
    health = NodeHealth()
    for now in (5.0, 6.0, 7.0):
        health = health.seen("failed", RULES, now, why="status 503")
    health = health.seen("passed", RULES, 8.0)
    assert (health.state, health.since, health.why) == ("down", 7.0, "status 503")


def test_another_check_begins_with_nothing_but_the_ejections() -> None:
    assert after("---").without_checks() == NodeHealth("unchecked", checked_at=None)
    assert after("+").without_checks().state == "unchecked"
    ejected = after("+-o").without_checks()
    assert (ejected.state, ejected.in_a_row, ejected.passed) == ("ejected", 0, True)


@pytest.mark.parametrize(
    ("now", "seconds"),
    [(10.0, 1.0), (10.25, 0.75), (11.0, 0.0), (99.0, 0.0), (5.0, 1.0)],
    ids=["at once after", "in between", "due", "overdue", "the clock was set back"],
)
def test_a_check_is_due_an_interval_after_the_last(now: float, seconds: float) -> None:
    assert due(NodeHealth().seen("passed", RULES, 10.0), CHECK, now, random.Random(1)) == seconds


def test_the_first_check_is_due_at_once() -> None:
    assert due(NodeHealth(), CHECK, 10.0, random.Random(1)) == 0.0


@pytest.mark.parametrize(
    ("letters", "seconds"),
    [("+", 1.0), ("+-", 0.25), ("+-+", 1.0), ("---", 0.25), ("---+", 0.25), ("---++", 1.0)],
    ids=["well", "suspected", "well again", "down", "down and passing", "back"],
)
def test_a_node_in_trouble_is_checked_more_often(letters: str, seconds: float) -> None:
    assert due(after(letters), CHECK, float(len(letters) - 1), random.Random(1)) == seconds


def test_the_fast_interval_never_slows_checks_down() -> None:
    settings = {**CHECK.settings, "health_interval": 0.1, "health_fast_interval": 5.0}
    check = HealthCheck("tcp", "mypool", CHECK.node, settings)
    assert due(after("---"), check, 2.0, random.Random(1)) == pytest.approx(0.1)


def test_chance_moves_a_check_by_the_jitter_at_most() -> None:
    settings = {**CHECK.settings, "health_jitter": 20}
    check = HealthCheck("tcp", "mypool", CHECK.node, settings)
    rng = random.Random(1)
    dues = [due(NodeHealth().seen("passed", RULES, 10.0), check, 10.0, rng) for _ in range(200)]
    assert 0.8 <= min(dues) < 0.85 and 1.15 < max(dues) <= 1.2
