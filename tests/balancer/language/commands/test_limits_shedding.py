"""Limits that shed: their settings, what the limit command shows of them, and what explain says."""

from collections.abc import Iterator

import pytest

from tests.balancer.language.commands.test_limits import LimitedStage
from wsgistack.balancer.difference import difference


@pytest.fixture
def stage() -> Iterator[LimitedStage]:
    stage = LimitedStage()
    stage.make_site()
    stage.do("CREATE LIMIT api", "SET rate = 100/hour fixed")
    yield stage
    stage.board.close()


def make_shedding(stage: LimitedStage) -> None:
    stage.do(
        "CREATE LIMIT load",
        "SET rate = 10 concurrent",
        "SET key = service",
        "SET critical = /pay/*, header:X-Priority=critical",
        "SET sheddable = header:x-priority=batch",
        "SET mysite.limit = load",
    )


def test_a_limit_that_sheds_shows_its_levels_the_last_to_be_refused_first(stage: LimitedStage) -> None:
    make_shedding(stage)
    lines = stage.say("limit show load")
    assert "critical /pay/*, header:x-priority=critical" in lines
    assert "shares 0.8, 0.5" in lines
    assert lines[-5:-2] == [
        "critical 10 concurrent: served 0 shed 0",
        "normal 8 concurrent: served 0 shed 0",
        "sheddable 5 concurrent: served 0 shed 0",
    ]
    assert stage.say("limit show load mysite")[1:] == [
        "load service#0: sheddable 5 concurrent: 5 left",
        "load service#0: normal 8 concurrent: 8 left",
        "load service#0: critical 10 concurrent: 10 left",
        ".",
    ]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("GET /pay/1", "limit load (critical): 10 left of 10 concurrent"),
        ("GET /", "limit load (normal): 8 left of 8 concurrent, 10 left of 10 concurrent"),
        (
            "GET / X-Priority: batch",
            "limit load (sheddable): 5 left of 5 concurrent, 8 left of 8 concurrent, 10 left of 10 concurrent",
        ),
    ],
)
def test_explain_names_the_level_of_a_request(stage: LimitedStage, question: str, told: str) -> None:
    make_shedding(stage)
    assert told in stage.say(f"explain {question}")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("SET api.critical = /pay/*", "critical: only a limit with one rate, 'N concurrent', tells critical from sheddable requests; its rate is '100/hour fixed'"),
        ("SET load.rate = 5/second", "critical and sheddable: only a limit with one rate, 'N concurrent', tells critical from sheddable requests; its rate is '5/second'"),
        ("SET load.sheddable = batch", "sheddable: 'batch' is not a glob of a path (/pay/*)"),
    ],
)  # fmt: skip
def test_levels_go_with_a_rate_of_concurrency_alone(stage: LimitedStage, line: str, error: str) -> None:
    make_shedding(stage)
    (said,) = stage.say(line)
    assert error in said


def test_a_limit_that_sheds_no_more_is_told_so_before_its_rate(stage: LimitedStage) -> None:
    make_shedding(stage)
    before = stage.control.blueprint()
    stage.do("SET load.critical = none", "SET load.sheddable = none", "SET load.rate = 5/second")
    lines = difference(before, stage.control.blueprint())
    assert lines == ["SET load.critical = none", "SET load.sheddable = none", "SET load.rate = 5/second"]
    assert difference(stage.control.blueprint(), before)[0] == "SET load.rate = 10 concurrent"
