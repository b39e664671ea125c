"""One limit as a value: what workers are told of it."""

from typing import Any

from tests.simulation.limited import make_limit


def test_workers_are_told_the_ban_first_and_then_each_rate() -> None:
    wire = make_limit(
        "api", 3, rate="100/minute; 5/second burst 7", key="header:x-key", methods="GET"
    ).as_wire()
    rates = wire.pop("rates")
    assert wire == {
        "slot": 3, "by": "header", "name": "x-key", "tells": True, "bans": False, "meter": "api", "methods": ["GET"], "exempt": [], "path": [], "levels": [],
        "dry_run": False, "count_refused": False, "ipv4_prefix": 32, "ipv6_prefix": 64,
    }  # fmt: skip
    assert [rate["numbers"]["kind"] for rate in rates] == ["ban", "gcra", "gcra"]
    assert rates[2]["numbers"] == {
        "kind": "gcra", "amount": 5, "window_us": 1_000_000, "burst": 7, "cost": 1, "length_us": 0, "longest_us": 0, "calendar": [],
    }  # fmt: skip
    assert rates[2]["policy"] == '"api-2";q=5;w=1;wsgistack-burst=7'
    assert rates[2]["prefix"] == '"api-2";r='
    assert rates[2]["status"] == "HTTP/1.1 429 Too Many Requests\r\n"


def test_a_status_that_has_no_name_is_told_as_its_class() -> None:
    rates = make_limit("api", rate="1/minute", status="499").as_wire()["rates"]
    assert [rate["status"] for rate in rates] == ["HTTP/1.1 499 Client Error\r\n"] * 2


def test_the_page_is_cut_where_the_wait_is_told() -> None:
    rate = make_limit("api", rate="1/minute").as_wire()["rates"][1]
    assert rate["page"].endswith("<p>Request cannot be satisfied as assigned quota has been exceeded.")
    assert rate["page_end"] == "</p></html>"


def test_a_refusal_for_concurrency_is_a_503_unless_the_limit_has_a_status() -> None:
    def codes(**settings: Any) -> list[int]:
        rates = make_limit("api", rate="5 concurrent; 9/minute", **settings).as_wire()["rates"]
        return [rate["code"] for rate in rates]

    assert codes() == [429, 503, 429]
    assert codes(status="403") == [403, 403, 403]


def test_the_calendar_of_a_window_is_told() -> None:
    numbers = make_limit("api", rate="9/calendar day Europe/Berlin").as_wire()["rates"][1]["numbers"]
    assert numbers["calendar"] == ["day", "Europe/Berlin"]


def test_a_ban_is_told_in_its_numbers() -> None:
    ban = make_limit("api", ban="3 in 1 minute for 2 s up to 8 s", cost="5").as_wire()["rates"][0]
    assert ban["numbers"] == {
        "kind": "ban", "amount": 3, "window_us": 60_000_000, "burst": 3, "cost": 1,
        "length_us": 2_000_000, "longest_us": 8_000_000, "calendar": [],
    }  # fmt: skip
    assert "abnormal-usage-detected" in ban["problem"]


def test_states_are_kept_where_the_rate_is_the_same_and_bans_where_the_limit_is() -> None:
    first, same = make_limit("api", rate="1/minute"), make_limit("api", 5, rate="1/minute", status="503")
    assert [step.id for step in first.steps] == [step.id for step in same.steps]
    faster = make_limit("api", rate="2/minute")
    assert faster.steps[0].id == first.steps[0].id
    assert faster.steps[1].id != first.steps[1].id
    for other in (
        make_limit("other", rate="1/minute"),
        make_limit("api", rate="1/minute", key="global"),
        make_limit("api", epoch=1, rate="1/minute"),
    ):
        assert not {step.id for step in other.steps} & {step.id for step in first.steps}


def test_a_limit_that_sheds_has_the_rates_and_marks_of_its_levels() -> None:
    limit = make_limit(
        "load", rate="100 concurrent", critical="/pay/*", sheddable="header:x-batch 10.0.0.0/8"
    )
    wire = limit.as_wire()
    assert [rate["numbers"]["amount"] for rate in wire["rates"]] == [1, 50, 80, 100]
    assert [rate["code"] for rate in wire["rates"][1:]] == [503, 503, 503]
    assert wire["tells"] is False
    assert wire["levels"] == [
        [["field", "x-batch", "*"], ["network", "", "10.0.0.0/8"]],
        [],
        [["path", "", "/pay/*"]],
    ]
    assert len({step.id for step in limit.steps}) == 4


def test_a_limit_that_sheds_may_answer_with_another_status() -> None:
    rates = make_limit("load", rate="9 concurrent", critical="/pay/*", status="429").as_wire()["rates"]
    assert [rate["code"] for rate in rates] == [429, 429, 429, 429]
