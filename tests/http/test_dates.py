"""Dates: the three forms, and what is none of them.  RFC 9110 §5.6.7"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.http.dates import format_date, parse_date

MOMENT = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "SUN, 06 nov 1994 08:49:37 gmt",
    ],
    ids=["IMF-fixdate", "rfc850-date", "asctime-date", "another case"],
)
def test_a_date_is_read(text: str) -> None:
    assert parse_date(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 AEST",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "x" * 100_000,
    ],
)
def test_what_the_grammar_does_not_allow_is_no_date(text: str) -> None:
    assert parse_date(text) is None


def test_two_digits_are_a_year_of_at_most_fifty_years_ahead() -> None:
    assert parse_date("Thursday, 18-Aug-50 02:01:18 GMT") == 2544400878
    assert parse_date("Wednesday, 18-Aug-99 02:01:18 GMT") == 934941678


@given(st.integers(0, 253402300799))
def test_what_is_written_is_read(seconds: int) -> None:
    assert parse_date(format_date(seconds)) == seconds


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert isinstance(parse_date(text), int | None)
