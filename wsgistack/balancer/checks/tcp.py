"""The node accepts a connection and, if that is asked for, answers with the expected bytes."""

from __future__ import annotations

from wsgistack.balancer.checks import Talk
from wsgistack.balancer.expectation import parse_expectation, unescape
from wsgistack.balancer.model import HealthCheck

__all__ = ["HELP", "NAME", "prepare"]

NAME = "tcp"
HELP = "it accepts; with health_send and health_expect, and answers"


def prepare(check: HealthCheck) -> Talk:
    """Return what to say and how to judge the answer."""
    send = unescape(check.text("health_send"))
    wanted = parse_expectation(check.text("health_expect"))
    most = int(check.number("health_expect_bytes"))

    def hear(data: bytes, ended: bool) -> str | None:
        if wanted is None:
            return ""
        if not wanted.is_pattern and wanted.is_in(data[:most]):
            return ""
        if ended or len(data) >= most:
            return wanted.judge(data[:most], "answer")
        return None

    return Talk(hear, send, most)
