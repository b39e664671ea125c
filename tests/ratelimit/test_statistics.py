"""How decisions turn out, and how long they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from wsgistack.ratelimit import RateLimit, Rule
from wsgistack.ratelimit.__main__ import main
from wsgistack.ratelimit.rows import COLUMNS, Usage
from wsgistack.ratelimit.statistics import HOUR_US, Statistics, find_times, near_ratio
from wsgistack.ratelimit.usage import to_csv, to_json, to_prometheus

START = 498_888 * HOUR_US
MOST_HOURS = 10 * 366 * 24


@pytest.fixture(params=["memory", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where figures are kept."""
    return tmp_path if request.param == "folder" else None


def row(*counts: int) -> tuple[int, ...]:
    return (*counts, *[0] * (len(COLUMNS) - len(counts)))


def test_outcomes_and_times_are_counted_by_hour(place: Path | None) -> None:
    statistics = Statistics(place)
    statistics.note(START, [("api", "passed"), ("api-2", "near")], 3)
    statistics.note(START, [("api", "passed")], 5)
    statistics.note(START + HOUR_US, [("api", "refused"), ("plan", "would_refuse")], 999_999)
    assert statistics.rows() == [
        Usage(498_888, "(decision)", b"5", row(2, 8)),
        Usage(498_888, "api", b"", row(2)),
        Usage(498_888, "api-2", b"", row(0, 1)),
        Usage(498_889, "(decision)", b"+Inf", row(1, 999_999)),
        Usage(498_889, "api", b"", row(0, 0, 1)),
        Usage(498_889, "plan", b"", row(0, 0, 0, 1)),
    ]
    assert [one.hour for one in statistics.rows(since=498_889)] == [498_889] * 3


def test_processes_that_name_the_same_folder_are_added_up(tmp_path: Path) -> None:
    first, second = Statistics(tmp_path), Statistics(tmp_path)
    for statistics in (first, second, second):
        statistics.note(START, [("api", "near")], 1)
    assert first.rows()[1] == Usage(498_888, "api", b"", row(0, 3))
    first.forked()
    first.note(START, [("api", "near")], 1)
    assert second.rows()[1] == Usage(498_888, "api", b"", row(0, 4)), "a child has a file of its own"


def test_without_a_place_on_the_disk_they_are_in_memory(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path / "none")
    statistics.note(START, [("api", "near")], 1)
    assert statistics.rows()[1].counts == row(0, 1)


def test_the_times_of_an_hour_are_a_histogram(place: Path | None) -> None:
    statistics = Statistics(place)
    for took_us in (1, 2, 2, 7, 100_001):
        statistics.note(START, [], took_us)
    found = find_times(statistics.rows(), 498_888)
    assert found is not None
    assert (found[0][:4], found[0][-2:], found[1]) == ([1, 3, 3, 4], [4, 5], 100_013)
    assert find_times(statistics.rows(), 498_887) is None


def test_the_ratio_is_of_what_passed() -> None:
    assert (near_ratio(row(3, 1, 9, 9)), near_ratio(row())) == (0.25, 0.0)


class Site:
    """A metered application."""

    def __init__(self, place: Path | None, *rules: Rule) -> None:
        self.app = RateLimit(self._serve, rules=rules, meter=place or True, now=lambda: START)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    def ask(self, times: int) -> None:
        for _ in range(times):
            Request.blank("/", environ={"REMOTE_ADDR": "192.0.2.1"}).get_response(self.app)

    def counts(self) -> dict[str, tuple[int, ...]]:
        assert self.app.meter is not None
        rows = self.app.meter.statistics.rows()
        assert sum(one.counts[0] for one in rows if one.rule == "(decision)") > 0
        return {one.rule: one.counts[:4] for one in rows if one.rule != "(decision)"}


def test_each_limit_that_had_a_say_is_counted(place: Path | None) -> None:
    site = Site(place, Rule("api", "10/hour; 100/day", ban="5 in 1 hour for 1 hour"))
    site.ask(12)
    assert site.counts() == {"api": (7, 3, 2, 0), "api-2": (10, 0, 0, 0)}, "a refused one took nothing"


def test_what_a_rule_in_dry_run_would_have_refused_is_told_apart(place: Path | None) -> None:
    site = Site(place, Rule("api", "50/hour"), Rule("plan", "5/hour", dry_run=True))
    site.ask(7)
    assert site.counts() == {"api": (7, 0, 0, 0), "plan": (3, 2, 0, 2)}


def test_operators_read_them_beside_the_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path, Rule("api", "10/hour"))
    site.ask(11)
    assert site.app.usage_page is not None
    page = site.app.usage_page
    told = Request.blank(f"/?hours={MOST_HOURS}").get_response(page).json
    (limit,), (times,) = told["limits"], told["decisions"]
    assert limit == {
        "hour": "2026-11-30T00:00Z",
        "limit": "api",
        "passed": 7,
        "near": 3,
        "refused": 1,
        "would_refuse": 0,
        "near_ratio": 0.3,
    }
    assert times["at_most_us"]["+Inf"] == 11
    assert main(["usage", str(tmp_path), "--format", "prometheus", "--hours", str(MOST_HOURS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    hour = 'hour="2026-11-30T00:00Z"'
    assert f'wsgistack_ratelimit_decisions_total{{limit="api",{hour},outcome="near"}} 3' in lines
    assert f'wsgistack_ratelimit_decision_seconds_bucket{{{hour},le="+Inf"}} 11' in lines
    assert f"wsgistack_ratelimit_decision_seconds_count{{{hour}}} 11" in lines


def test_figures_have_their_bounds_in_seconds_and_no_place_in_csv() -> None:
    figures = [Usage(498_888, "(decision)", b"5", row(2, 8)), Usage(498_880, "api", b"", row(1))]
    lines = to_prometheus([], figures).splitlines()
    hour = 'hour="2026-11-30T00:00Z"'
    bucket = f'wsgistack_ratelimit_decision_seconds_bucket{{{hour},le="'
    assert [line[len(bucket) :] for line in lines if line.startswith(bucket)][:4] == [
        '0.000001"} 0',
        '0.000002"} 0',
        '0.000005"} 2',
        '0.00001"} 2',
    ]
    assert f"wsgistack_ratelimit_decision_seconds_sum{{{hour}}} 0.000008" in lines
    assert not [line for line in lines if 'limit="api"' in line], "eight hours ago"
    assert to_csv([], figures) == to_csv([])
    assert json.loads(to_json([]))["limits"] == []
