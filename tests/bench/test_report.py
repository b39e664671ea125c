"""bench/report.py: medians, ratios and the page."""

from pathlib import Path

import pytest

from bench.figures import FIGURES, Plan, Sample
from bench.report import BEGIN, END, Result, number, render, stated_fields, verdicts, write_between_markers

ZERO = {"user": 0.0, "system": 0.0, "rps": 0.0, "busy": 0.0}


def samples(*totals: float | None) -> list[Sample | None]:
    return [None if total is None else ZERO | {"total": total} for total in totals]


def result() -> Result:
    return Result(
        FIGURES["small"], {"wsgistack": samples(13, 14, 20), "nginx": samples(20, 14, 16), "haproxy": []}
    )


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert result().ratio("nginx") == 1.0  # of 0.65, 1.0 and 1.25; the medians give 14/16


def test_a_failed_round_counts_for_nobody() -> None:
    failed = Result(FIGURES["small"], {"wsgistack": samples(10, None, 30), "nginx": samples(20, 20, 20)})
    assert failed.ratio("nginx") == 1.0
    assert failed.median("wsgistack", "total") == 20
    assert failed.spread("wsgistack") == (10, 30)


def test_a_target_is_judged_only_where_its_peer_was_measured() -> None:
    assert verdicts(result()) == [("ratio to nginx", 1.0, 1.0, True)]


def test_a_limit_is_judged_without_any_peer() -> None:
    idle = Result(FIGURES["idle"], {"wsgistack": [{"rss": 5000.0}]})
    assert verdicts(idle) == [("wsgistack, bytes", 5000.0, 4096, False)]


def test_a_table_shows_who_was_measured_and_why_others_were_not() -> None:
    shown = result()
    shown.left_out["perlbal"] = "cannot serve 9 requests/s"
    shown.failures.append("round 2: too bad")
    text = render([shown], ["Command: `x`"], Plan())
    assert "| nginx | 0.000 | 0.000 | 16.00 | 0.000 | 0.000 | 14.00-20.00 | 1.00 |" in text
    assert "| haproxy |" not in text
    assert "- perlbal: cannot serve 9 requests/s\n- round 2: too bad" in text
    assert "| ratio to nginx | 1.00 | <= 1 | met |" in text


@pytest.mark.parametrize(("others", "said"), [(9.0, False), (55.0, True)])
def test_a_disturbed_figure_says_so(others: float, said: bool) -> None:
    disturbed = Result(FIGURES["small"], {"nginx": [ZERO | {"total": 1.0, "others": others}]})
    assert ("- other processes took 55 % of a core meanwhile" in render([disturbed], [], Plan())) is said


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.24, "0.240"), (13.7, "13.70"), (196.0, "196.0"), (59124.4, "59,124")],
)
def test_a_number_has_three_or_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(page, "new")
    assert page.read_text().startswith(f"before\n{BEGIN}\nMeasured on ")
    assert page.read_text().endswith(f"\n\nnew\n{END}\nafter\n")


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("mine")
    with pytest.raises(ValueError, match="expected the lines"):
        write_between_markers(page, "new")
    assert page.read_text() == "mine"


def test_the_fields_about_the_client_are_named() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 127.0.0.1\r\nVia: 1.1 b\r\n\r\n"
    assert (
        stated_fields({"us": head, "them": b"GET / HTTP/1.1\r\n\r\n"})
        == "us: x-forwarded-for, Via; them: none"
    )
