"""What a refused client gets: status, fields and a body it can read.  RFC 6585 §4, RFC 9457"""

from __future__ import annotations

import html
import json
from http import HTTPStatus

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import Fields, retry_after

__all__ = ["make_answer", "make_denial", "prefers_html", "status_of"]

TYPES = "https://iana.org/assignments/http-problem-types#"
QUOTA_EXCEEDED = ("quota-exceeded", "Request cannot be satisfied as assigned quota has been exceeded")
ABNORMAL_USAGE = (
    "abnormal-usage-detected",
    "Request not satisfied due to detection of abnormal request pattern",
)
REDUCED_CAPACITY = (
    "temporary-reduced-capacity",
    "Request cannot be satisfied due to temporary server capacity constraints",
)


def status_of(decision: Decision) -> int:
    """Return the status of a refusal: the rule's own, else 503 for concurrency and 429 for the rest."""
    assert decision.refused is not None
    return decision.refused.rule.status or (503 if decision.refused.rate.algorithm == "concurrent" else 429)


def make_answer(decision: Decision, accept: str, fields: Fields) -> tuple[str, Fields, bytes]:
    """Return status line, fields and body for a refused *decision*.

    *accept* is the request's Accept field, *fields* those that tell the quotas.  A request whose cost
    is above what its limit can ever give gets no Retry-After: waiting would not help.
    """
    assert decision.refused is not None
    status = status_of(decision)
    code, title = QUOTA_EXCEEDED if status == 429 else REDUCED_CAPACITY
    if decision.refused.ban is not None:
        code, title = ABNORMAL_USAGE
    if prefers_html(accept):
        kind, body = "text/html; charset=utf-8", _page(status, title, decision)
    else:
        kind, body = "application/problem+json", _problem(status, code, title, decision)
    answer = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),  # MUST NOT be stored: RFC 6585 §4
        ("Vary", "Accept"),
    ]
    if decision.wait_us != NEVER:
        answer.append(("Retry-After", retry_after(decision.wait_us)))
    return f"{status} {HTTPStatus(status).phrase}", answer + fields, body


def make_denial(accept: str) -> tuple[str, Fields, bytes]:
    """Return status line, fields and body for who is on a list of those that are denied: 403."""
    if prefers_html(accept):
        kind, body = "text/html; charset=utf-8", _html("Forbidden", "This address is not served here.")
    else:
        kind, body = (
            "application/problem+json",
            b'{"type": "about:blank", "title": "Forbidden", "status": 403}',
        )
    fields = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    return "403 Forbidden", [*fields, ("Cache-Control", "no-store"), ("Vary", "Accept")], body


def prefers_html(accept: str) -> bool:
    """Tell whether a client would rather have HTML than JSON: a browser, in short.  RFC 9110 §12.5.1

    >>> prefers_html("text/html,application/xhtml+xml,*/*;q=0.8"), prefers_html("*/*"), prefers_html("")
    (True, False, False)
    """
    weights = {"text/html": -1.0, "application/json": -1.0}
    for part in accept.lower().split(","):
        name, *parameters = [word.strip() for word in part.split(";")]
        name = "application/json" if name.endswith("+json") else name
        if name in weights:
            weights[name] = max(weights[name], _weight(parameters))
    return weights["text/html"] > max(weights["application/json"], 0.0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _problem(status: int, code: str, title: str, decision: Decision) -> bytes:
    assert decision.refused is not None
    problem = {
        "type": TYPES + code,
        "title": title,
        "status": status,
        "violated-policies": [decision.refused.policy],
    }
    return json.dumps(problem).encode()


def _page(status: int, title: str, decision: Decision) -> bytes:
    again = "" if decision.wait_us == NEVER else f" Please try again in {retry_after(decision.wait_us)} s."
    return _html(HTTPStatus(status).phrase, f"{title}.{again}")


def _html(phrase: str, text: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{phrase}</title>'
        f"<h1>{phrase}</h1><p>{html.escape(text)}</p></html>"
    ).encode()
