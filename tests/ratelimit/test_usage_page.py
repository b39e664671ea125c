"""The application that shows what was metered."""

from __future__ import annotations

from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request

from wsgistack.ratelimit.meter import HOUR_US, Meter
from wsgistack.ratelimit.usage_page import UsagePage

START = 498_888 * HOUR_US


def get(page: UsagePage, target: str = "/", method: str = "GET") -> Any:
    response = Request.blank(target, method=method).get_response(validator(page))
    response.body  # noqa: B018 - reads and closes it
    return response


@pytest.fixture
def page() -> UsagePage:
    """A page about two requests, an hour and two days ago."""
    meter = Meter()
    meter.count(START - 48 * HOUR_US, [("api", b"*")], 200)
    meter.count(START, [("api", b"*")], 200)
    return UsagePage(meter, now_s=lambda: START / 1e6 + 3600)


def test_it_shows_the_last_day_as_json(page: UsagePage) -> None:
    response = get(page)
    assert (response.status_int, response.content_type) == (200, "application/json")
    assert response.headers["Cache-Control"] == "no-store"
    assert [row["hour"] for row in response.json["usage"]] == ["2026-11-30T00:00Z"]


def test_it_shows_other_forms_and_times(page: UsagePage) -> None:
    assert len(get(page, "/?format=csv&hours=100").text.splitlines()) == 3
    assert get(page, "/?format=prometheus").content_type == "text/plain"
    assert get(page, "/?format=csv", method="HEAD").body == b""


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("/?format=cvs", "did you mean 'csv'?"),
        ("/?hours=x", "hours: 'x' is not a number from 1 on"),
        ("/?hours=0", "hours: '0'"),
        ("/?hours=-5", "hours: '-5'"),
        ("/?hours=99999999999999999999", "hours: "),
    ],
)
def test_what_cannot_be_meant_is_told(page: UsagePage, target: str, complaint: str) -> None:
    response = get(page, target)
    assert response.status_int == 400
    assert complaint in response.text


def test_it_is_only_read(page: UsagePage) -> None:
    response = get(page, method="POST")
    assert (response.status_int, response.headers["Allow"]) == (405, "GET, HEAD")
