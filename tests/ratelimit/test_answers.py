"""What a refused client gets."""

from __future__ import annotations

import json

import pytest

from wsgistack.ratelimit.answers import make_answer, prefers_html, status_of
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000


def refusal(rule: Rule, hits: int = 2) -> Decision:
    limiter = Limiter([rule], trust=Trust(), now=lambda: NOW)
    request = EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})
    decision = [limiter.hit(request) for _ in range(hits)][-1]
    assert not decision.ok
    return decision


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=junk", False),
        ("application/problem+json, text/html", False),
        ("TEXT/HTML", True),
    ],
)
def test_a_browser_gets_a_page_and_a_program_a_problem(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


def test_a_program_reads_which_policy_it_violated() -> None:
    status, fields, body = make_answer(refusal(Rule("api", "1/minute")), "", [("RateLimit", '"api";r=0')])
    assert status == "429 Too Many Requests"
    assert dict(fields) == {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "Retry-After": "60",
        "RateLimit": '"api";r=0',
    }
    assert json.loads(body) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "violated-policies": ["api"],
    }


def test_concurrency_is_a_lack_of_capacity() -> None:
    decision = refusal(Rule("slots", "1 concurrent"))
    assert status_of(decision) == 503
    status, fields, body = make_answer(decision, "", [])
    assert status == "503 Service Unavailable"
    assert ("Retry-After", "1") in fields
    assert json.loads(body)["type"].endswith("#temporary-reduced-capacity")


def test_a_rule_says_its_own_status() -> None:
    assert status_of(refusal(Rule("slots", "1 concurrent", status=429))) == 429


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("api", "1/minute"), "quota-exceeded"),
        (Rule("api", "1/minute", status=403), "quota-exceeded"),
        (Rule("api", "1/minute", status=503), "temporary-reduced-capacity"),
        (Rule("api", "1 concurrent"), "temporary-reduced-capacity"),
        (Rule("api", "1 concurrent", status=429), "quota-exceeded"),
    ],
)
def test_a_problem_is_of_the_type_that_its_status_stands_for(rule: Rule, expected: str) -> None:
    _, _, body = make_answer(refusal(rule), "", [])
    assert json.loads(body)["type"] == f"https://iana.org/assignments/http-problem-types#{expected}"


@pytest.mark.parametrize(("status", "line"), [(499, "499 Client Error"), (599, "599 Server Error")])
def test_a_status_that_has_no_name_is_answered_too(status: int, line: str) -> None:
    rule = Rule("api", "1/minute", status=status)
    assert [make_answer(refusal(rule), accept, [])[0] for accept in ("", "text/html")] == [line, line]


def test_a_page_says_when_to_come_back() -> None:
    _, fields, body = make_answer(refusal(Rule("api", "1/minute")), "text/html", [])
    assert dict(fields)["Content-Type"] == "text/html; charset=utf-8"
    assert b"Please try again in 60 s." in body


def test_waiting_is_not_advised_where_it_does_not_help() -> None:
    decision = refusal(Rule("api", "5/minute", cost=6), hits=1)
    _, fields, body = make_answer(decision, "text/html", [])
    assert "Retry-After" not in dict(fields)
    assert b"try again" not in body
