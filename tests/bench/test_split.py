"""What the page says of splits: medians, and nanoseconds by form."""

from bench.split import CASES, FORMS, decisions, render


def test_each_form_of_a_split_is_timed() -> None:
    found = decisions(runs=1, count=50)
    assert list(found) == list(FORMS)
    assert min(found.values()) > 0


def test_the_page_has_medians() -> None:
    text = render({name: [10.0, 11.0, 30.0] for name in CASES}, {"ip": 400.4}, "Command")
    assert "| by address | 11.00 | 10.00 | 30.00 |" in text
    assert "| ip | 400 |" in text
