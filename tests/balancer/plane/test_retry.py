"""The table of what may be sent again: one row each, and each reason why not."""

from typing import Any

import pytest

from wsgistack.balancer.plane.retry import judge

AGAIN = ""


@pytest.mark.parametrize(
    ("failure", "case", "refused"),
    [
        pytest.param("connect", {"sent": False, "idempotent": False}, AGAIN, id="a POST, nothing sent"),
        pytest.param(
            "reset", {"sent": False, "idempotent": False}, AGAIN, id="a POST, reset before a byte of it"
        ),
        pytest.param("reset", {"idempotent": False}, "unsafe", id="a POST, sent and reset"),
        pytest.param("stale", {"idempotent": False}, "unsafe", id="a POST on a kept connection"),
        pytest.param("timeout", {"idempotent": False}, "unsafe", id="a POST, no answer"),
        pytest.param("status", {"idempotent": False}, "unsafe", id="a POST, 503"),
        pytest.param("stale", {}, AGAIN, id="a kept connection that was closed"),
        pytest.param("stale", {"retry_on": ()}, AGAIN, id="that is no failure to list"),
        pytest.param("reset", {}, AGAIN, id="reset"),
        pytest.param("timeout", {}, AGAIN, id="timeout"),
        pytest.param("status", {}, AGAIN, id="status"),
        pytest.param("invalid", {}, AGAIN, id="invalid"),
        pytest.param("reset", {"answered": True}, "answered", id="the client has seen a byte"),
        pytest.param("reset", {"whole": False}, "incomplete", id="a body that was not kept"),
        pytest.param("connect", {"retry_on": ("reset",)}, "unlisted", id="connect is not listed"),
        pytest.param("reset", {"retry_on": ("connect",)}, "unlisted", id="reset is not listed"),
        pytest.param("timeout", {"retry_on": ("connect", "reset")}, "unlisted", id="timeout is not listed"),
        pytest.param("invalid", {"retry_on": ("connect",)}, "unlisted", id="invalid is not listed"),
        pytest.param("reset", {"retries": 2, "limit": 3}, AGAIN, id="below the limit"),
        pytest.param("reset", {"retries": 3, "limit": 3}, "limit", id="at the limit"),
        pytest.param("connect", {"limit": 0}, "limit", id="retries are off"),
        pytest.param("stale", {"limit": 0}, AGAIN, id="a kept connection counts for none"),
        pytest.param("status", {"others": False}, "alone", id="the only node's 503 is the answer"),
        pytest.param("invalid", {"others": False}, "alone", id="the only node talks nonsense"),
        pytest.param("reset", {"others": False}, AGAIN, id="the only node may have restarted"),
        pytest.param("reset", {"left_ms": 0}, "late", id="the deadline is over"),
        pytest.param("reset", {"within_budget": False}, "budget", id="budget spent"),
        pytest.param("timeout", {"within_budget": False}, "budget", id="budget spent, timeout"),
        pytest.param("status", {"within_budget": False}, "budget", id="budget spent, status"),
        pytest.param("error", {"within_budget": False, "delays_ms": (0,)}, "budget", id="budget spent, 500"),
        pytest.param(
            "connect", {"within_budget": False, "sent": False}, AGAIN, id="a refused connection is free"
        ),
        pytest.param("stale", {"within_budget": False}, AGAIN, id="so is a kept connection that was closed"),
    ],
)
def test_what_may_be_sent_again(failure: str, case: dict[str, Any], refused: str) -> None:
    assert judge(failure, **case)["refused"] == refused


@pytest.mark.parametrize(
    ("failure", "case", "forgets"),
    [
        pytest.param("stale", {}, True, id="a kept connection was closed"),
        pytest.param("connect", {"sent": False}, False, id="refused"),
        pytest.param("timeout", {}, False, id="hangs"),
        pytest.param("status", {}, False, id="answered 503"),
        pytest.param("reset", {}, True, id="reset"),
        pytest.param("reset", {"asked_again": True}, False, id="reset for the second time"),
        pytest.param("error", {"delays_ms": (0,), "asked_again": True}, True, id="500, however often"),
    ],
)
def test_when_a_node_may_be_asked_twice(failure: str, case: dict[str, Any], forgets: bool) -> None:
    assert judge(failure, **case)["forgets"] is forgets


@pytest.mark.parametrize(
    ("errors", "refused", "delay_ms"),
    [(0, AGAIN, 0), (1, AGAIN, 250), (2, AGAIN, 500), (3, "limit", 0), (9, "limit", 0)],
)
def test_a_500_waits_by_the_schedule_and_ends_with_it(errors: int, refused: str, delay_ms: int) -> None:
    verdict = judge("error", delays_ms=(0, 250, 500), errors=errors, retries=3, limit=3, others=False)
    assert verdict["refused"] == refused
    assert verdict["delay_ms"] == delay_ms
    assert not verdict["counts"]


def test_a_delay_beyond_the_deadline_is_not_begun() -> None:
    assert judge("error", delays_ms=(500,), left_ms=500)["refused"] == "late"
    assert judge("error", delays_ms=(500,), left_ms=501)["refused"] == AGAIN


@pytest.mark.parametrize(
    ("failure", "sent", "spends"),
    [
        ("stale", True, False), ("stale", False, False), ("connect", False, False), ("reset", True, True),
        ("reset", False, False), ("timeout", True, True), ("status", True, True), ("invalid", True, True),
        ("error", True, True),
    ],
)  # fmt: skip
def test_only_work_for_a_node_costs_budget(failure: str, sent: bool, spends: bool) -> None:
    assert judge(failure, sent=sent, delays_ms=(0,))["spends"] is spends
