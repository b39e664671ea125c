"""The language of limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.errors import RateError
from wsgistack.ratelimit.rates import UNLIMITED, Rate, parse_rates

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("100/minute", [Rate(100, 60 * SECOND, burst=100)]),
        ("100 per 1 minute", [Rate(100, 60 * SECOND, burst=100)]),
        (
            "100/minute; 5/second",
            [Rate(100, 60 * SECOND, burst=100), Rate(5, SECOND, burst=5)],
        ),
        ("1/s, 2/m;", [Rate(1, SECOND, burst=1), Rate(2, 60 * SECOND, burst=2)]),
        ("1000/hour burst 50", [Rate(1000, 3600 * SECOND, burst=50)]),
        ("5/15 minutes exact", [Rate(5, 900 * SECOND, "exact", burst=5)]),
        ("5/500ms sliding", [Rate(5, SECOND // 2, "sliding", burst=5)]),
        ("5/0.5 seconds", [Rate(5, SECOND // 2, burst=5)]),
        ("1 PER 2 Hours FIXED", [Rate(1, 7200 * SECOND, "fixed", burst=1)]),
        ("3/year", [Rate(3, 365 * 86400 * SECOND, burst=3)]),
        (
            "10/calendar month Europe/Berlin",
            [Rate(10, 30 * 86400 * SECOND, "calendar", 10, calendar="month", zone="Europe/Berlin")],
        ),
        (
            "10/calendar day, 2/s",
            [
                Rate(10, 86400 * SECOND, "calendar", 10, calendar="day", zone="UTC"),
                Rate(2, SECOND, burst=2),
            ],
        ),
        ("20 concurrent", [Rate(20, 0, "concurrent", burst=20)]),
        ("10 mb/day burst 1 mb", [Rate(10 * 2**20, 86400 * SECOND, "gcra", 2**20, in_bytes=True)]),
        ("10/s burst 20 nodelay", [Rate(10, SECOND, burst=20)]),
        ("10/s burst 20 delay=5", [Rate(10, SECOND, burst=20, at_once=5)]),
        ("10/s delay 5 burst 20", [Rate(10, SECOND, burst=20, at_once=5)]),
        ("10/s delay 5; 2/m", [Rate(10, SECOND, burst=10, at_once=5), Rate(2, 60 * SECOND, burst=2)]),
        ("unlimited", [UNLIMITED]),
    ],
)
def test_limits_are_read(text: str, rates: list[Rate]) -> None:
    assert parse_rates(text) == tuple(rates)
    assert parse_rates("; ".join(str(rate) for rate in rates)) == tuple(rates)


@pytest.mark.parametrize(
    ("text", "column", "complaint"),
    [
        ("", 1, "'', column 1: met the end, expected an amount or 'unlimited'"),
        ("unlimitd", 1, "met 'unlimitd', expected an amount or 'unlimited' (did you mean 'unlimited'?)"),
        ("100/minte", 5, "met 'minte', expected a unit of time such as 'minute' (did you mean 'minute'?)"),
        ("100 pr minute", 5, "expected '/', 'per' or 'concurrent' (did you mean 'per'?)"),
        ("100/minute burts 4", 12, "met 'burts', expected the end, ';' or an option (did you mean 'burst'?)"),
        ("100/minute burst", 17, "met the end, expected the amount of a burst"),
        ("5/s; x", 6, "met 'x', expected an amount"),
        ("0/minute", 1, "met '0', expected a number from 1 to 1000000000000"),
        ("-1/minute", 1, "met '-', expected an amount"),
        ("nan/minute", 1, "met 'nan'"),
        ("99999999999999/s", 1, "met '99999999999999'"),
        ("5/calendar fortnight", 12, "expected one of minute, hour, day, week, month, year"),
        ("5/calendar day Mars/Olympus", 16, "expected the end or a time zone such as UTC or Europe/Berlin"),
        ("5/calendar day ../../etc/passwd", 16, "expected the end or a time zone"),
        ("5/second Europe/Berlin", 10, "met 'Europe', expected the end"),
        ("5/s sliding burst 3", None, "a burst goes with gcra only, not with 'sliding'"),
        ("5/s sliding delay 3", None, "a delay goes with gcra and requests only, not with 'sliding'"),
        ("5 kb/s delay 3", None, "a delay goes with gcra and requests only, not with bytes"),
        ("5/s delay 6", None, "a delay after 6 of a burst of 5"),
        ("10/minute burst 5 delay 1", None, "would wait up to 24 s for its turn, at most 10 s are meant"),
        ("10/s dealy 5", 6, "(did you mean 'delay'?)"),
        ("10/s delay", 11, "met the end, expected how many of a burst are served at once"),
        ("5/s burst 3 kb", None, "'5/s burst 3 kb': a burst of bytes in a limit of requests"),
        ("5/s exact sliding", 11, "met 'sliding' behind 'exact', one algorithm is meant"),
        ("5/s gcra fixed", 10, "met 'fixed' behind 'gcra', one algorithm is meant"),
        ("5/0 seconds", None, "a window of 0 seconds is not from 1 us to 100 years"),
        ("5/101 years", None, "a window of 101 years is not from 1 us to 100 years"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_column(text: str, column: int | None, complaint: str) -> None:
    with pytest.raises(RateError) as caught:
        parse_rates(text)
    assert complaint in str(caught.value)
    assert caught.value.column == column


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        rates = parse_rates(text)
    except RateError:
        return
    assert parse_rates("; ".join(str(rate) for rate in rates)) == rates


@pytest.mark.parametrize(
    ("text", "unit"),
    [("1/s", "requests"), ("1 kb/s", "content-bytes"), ("1 concurrent", "concurrent-requests")],
)
def test_a_quota_has_the_unit_of_the_draft(text: str, unit: str) -> None:
    assert parse_rates(text)[0].quota_unit == unit
