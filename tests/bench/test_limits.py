"""What the page says of limits: medians, ratios within a round, and nanoseconds by form."""

from bench.limits import CASES, FORMS, decisions, render


def test_each_form_of_a_limit_is_timed_for_each_number_of_clients() -> None:
    found = decisions(runs=1, count=50)
    assert list(found) == list(FORMS)
    assert all(len(costs) == 3 and min(costs) > 0 for costs in found.values())


def test_the_page_has_medians_and_what_is_asked_for() -> None:
    rounds = {name: [10.0, 11.0, 30.0] for name in CASES}
    rounds["wsgistack, one rate"] = [10.25, 12.0, 40.0]
    rounds["wsgistack, refused"] = [6.0, 5.5, 12.0]
    text = render(rounds, {"one rate": [151.4, 160.0, 244.6]}, "Command")
    assert "| wsgistack, one rate | 12.00 | 10.25 | 40.00 |" in text
    assert "| a refusal, of nginx's | 0.50 | 0.8 |" in text
    assert "| wsgistack: added by one rate, between the lowest | +0.25 µs | |" in text
    assert "| one rate | 151 | 160 | 245 |" in text
