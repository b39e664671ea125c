"""What refused clients read where a site has words of its own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from wsgistack.errors import SettingError
from wsgistack.ratelimit.bodies import LARGEST_BYTES, Refusal, make_bodies
from wsgistack.ratelimit.middleware import RateLimit

NOW = 1_795_000_000_000_000
EVIL = Refusal(429, "Too Many Requests", "https://example.org/a", 'a "b" <c> \\ \n&', "api", 60)
NEVER = EVIL._replace(title="no", wait_s=None)


def write(folder: Path, text: str) -> Path:
    path = folder / "template"
    path.write_text(text)
    return path


def test_a_page_of_ones_own_is_filled_in_and_escaped(tmp_path: Path) -> None:
    page = make_bodies(page=write(tmp_path, "<h1>$status $phrase</h1>$title $policy ${wait_s}s $$1 é")).page
    assert page(EVIL) == (
        "<h1>429 Too Many Requests</h1>a &quot;b&quot; &lt;c&gt; \\ \n&amp; api 60s $1 é".encode()
    )
    assert page(NEVER).endswith("api s $1 é".encode())


def test_a_problem_of_ones_own_is_filled_in_and_escaped(tmp_path: Path) -> None:
    text = '{"type": "$type", "title": "$title", "status": $status, "of": ["$policy"], "wait": $wait_s}'
    problem = make_bodies(problem=write(tmp_path, text)).problem
    assert json.loads(problem(EVIL)) == {
        "type": "https://example.org/a",
        "title": 'a "b" <c> \\ \n&',
        "status": 429,
        "of": ["api"],
        "wait": 60,
    }
    assert json.loads(problem(NEVER))["wait"] is None


def test_a_function_makes_them_too() -> None:
    bodies = make_bodies(
        page=lambda refusal: f"come back in {refusal.wait_s}",
        problem=lambda refusal: json.dumps({"code": refusal.status}).encode(),
    )
    assert (bodies.page(EVIL), bodies.problem(EVIL)) == (b"come back in 60", b'{"code": 429}')


@pytest.mark.parametrize(
    ("setting", "text", "complaint"),
    [
        ("page", "$statu", r"page: .*'\$statu' is not one of status, .* \(did you mean 'status'\?\)"),
        ("page", "costs $ 5", r"page: .*a '\$' that begins no name; a dollar is '\$\$'"),
        ("page", "x" * (LARGEST_BYTES + 1), "page: .*: more than 65536 bytes"),
        ("page", "$title" + " " * (LARGEST_BYTES - 6), "page: .*for 429 it gives more than 65536 bytes"),
        ("problem", "{", "problem: .*for 429 it gives no JSON"),
        ("problem", "[1]", r"problem: .*for 429 it gives no object of JSON: \[1\]"),
        ("problem", '{"wait": 1$wait_s}', "problem: .*for 403 it gives no JSON"),
    ],
)
def test_a_template_is_tried_when_the_application_is_made(
    setting: str, text: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=complaint):
        make_bodies(**{setting: write(tmp_path, text)})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"page: .*none: No such file or directory"):
        make_bodies(page=tmp_path / "none")
    with pytest.raises(SettingError, match=r"page: /dev/zero: not a regular file"):
        make_bodies(page="/dev/zero")
    (tmp_path / "bytes").write_bytes(b"ok \xff")
    with pytest.raises(SettingError, match=r"problem: .*: byte 3 is not UTF-8"):
        make_bodies(problem=tmp_path / "bytes")


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda refusal: None, "None, not text"),
        (lambda refusal: 1 // 0, "ZeroDivisionError"),
        (lambda refusal: "x" * (LARGEST_BYTES + 1), "more than 65536 bytes"),
        (7, "7 is neither the path of a template nor a function"),
    ],
)
def test_a_function_is_tried_too(function: Any, complaint: str) -> None:
    with pytest.raises(SettingError, match=f"page: .*{complaint}"):
        make_bodies(page=function)


def test_a_function_that_fails_later_costs_nobody_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def page(refusal: Refusal) -> str:
        if refusal.policy == "bad":
            raise ValueError("no")
        return "fine"

    make = make_bodies(page=page).page
    assert make(EVIL) == b"fine"
    with caplog.at_level(logging.ERROR):
        assert b"Too Many Requests" in make(EVIL._replace(policy="bad"))
    assert "refusal_body_failed setting=page reason='ValueError: no'" in caplog.text


def test_who_is_refused_and_who_is_denied_read_them(tmp_path: Path) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    (tmp_path / "deny").write_text("203.0.113.7\n")
    limited = RateLimit(
        app,
        "1/minute",
        now=lambda: NOW,
        deny_file=tmp_path / "deny",
        page=write(tmp_path, "own $status"),
        problem=lambda refusal: '{"own": true}',
    )

    def ask(accept: str, peer: str = "192.0.2.1") -> tuple[int, str, str]:
        request = Request.blank("/", environ={"REMOTE_ADDR": peer}, accept=accept)
        response = request.get_response(limited)
        assert response.content_length in (None, len(response.body))
        return response.status_int, response.content_type, response.text

    ask("")
    assert ask("text/html") == (429, "text/html", "own 429")
    assert ask("*/*") == (429, "application/problem+json", '{"own": true}')
    assert ask("text/html", "203.0.113.7") == (403, "text/html", "own 403")
