"""What a refused client gets: status, fields and a body it can read.  RFC 6585 §4, RFC 9457"""

from __future__ import annotations

from http import HTTPStatus

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.bodies import Bodies, Refusal, make_bodies
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

DENIAL = Refusal(403, "Forbidden", "about:blank", "Forbidden", "", None)
BODIES = make_bodies()
CLASSES = {4: "Client Error", 5: "Server Error"}


def status_of(decision: Decision) -> int:
    """Return the status of a refusal: the rule's own, else 503 for concurrency and where nobody could count
    the request, and 429 for the rest.
    """
    assert decision.refused is not None
    if decision.is_blind:
        return 503
    return decision.refused.rule.status or (503 if decision.refused.rate.algorithm == "concurrent" else 429)


def phrase_of(status: int) -> str:
    """Return the reason phrase of a status, its class where it has none.

    >>> phrase_of(429), phrase_of(499)
    ('Too Many Requests', 'Client Error')
    """
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return CLASSES[status // 100]


def make_answer(
    decision: Decision, accept: str, fields: Fields, bodies: Bodies = BODIES
) -> tuple[str, Fields, bytes]:
    """Return status line, fields and body for a refused *decision*.

    *accept* is the request's Accept field, *fields* those that tell the quotas.  A request whose cost
    is above what its limit can ever give gets no Retry-After: waiting would not help.
    """
    assert decision.refused is not None
    status = status_of(decision)
    code, title = QUOTA_EXCEEDED if status < 500 else REDUCED_CAPACITY
    if decision.refused.ban is not None:
        code, title = ABNORMAL_USAGE
    wait_s = None if decision.wait_us == NEVER else int(retry_after(decision.wait_us))
    refusal = Refusal(status, phrase_of(status), TYPES + code, title, decision.refused.policy, wait_s)
    line, answer, body = _answer(refusal, accept, bodies)
    if wait_s is not None:
        answer.append(("Retry-After", str(wait_s)))
    return line, answer + fields, body


def make_denial(accept: str, bodies: Bodies = BODIES) -> tuple[str, Fields, bytes]:
    """Return status line, fields and body for who is on a list of those that are denied: 403."""
    return _answer(DENIAL, accept, bodies)


def _answer(refusal: Refusal, accept: str, bodies: Bodies) -> tuple[str, Fields, bytes]:
    if prefers_html(accept):
        kind, body = "text/html; charset=utf-8", bodies.page(refusal)
    else:
        kind, body = "application/problem+json", bodies.problem(refusal)
    fields = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),  # MUST NOT be stored: RFC 6585 §4
        ("Vary", "Accept"),
    ]
    return f"{refusal.status} {refusal.phrase}", fields, body


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
