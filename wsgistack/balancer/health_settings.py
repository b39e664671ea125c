"""The settings of a pool that are about health: checks, ejection, slow start, panic, breaker."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from wsgistack.balancer.checks import CHECKS
from wsgistack.balancer.expectation import parse_expectation, unescape
from wsgistack.errors import SettingError
from wsgistack.settings import (
    DURATION,
    HOST,
    INT,
    NUMBER,
    SIZE,
    STATUSES,
    TARGET,
    TEXT,
    Kind,
    Setting,
    Value,
    make_choice,
)

__all__ = ["HEALTH_SETTINGS", "refuse_contradictions"]

LONGEST_COMMAND = 255


def _parse_method(text: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}", text, re.ASCII):
        raise ValueError(text)
    return text


def _parse_send(text: str) -> str:
    text = str(TEXT.parse(text))
    try:
        unescape(text)
    except ValueError as error:
        raise SettingError(f"health_send: {error}") from None
    return text


def _parse_expect(text: str) -> str:
    text = str(TEXT.parse(text))
    try:
        parse_expectation(text)
    except ValueError as error:
        raise SettingError(f"health_expect: {error}") from None
    return text


def _parse_command(text: str) -> str:
    text = str(TEXT.parse(text))
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingError(f"health_command: {error} in '{text}'") from None
    if text and not (words and words[0].startswith("/")):
        raise SettingError(f"health_command: '{text}' does not begin with the absolute path of a program")
    return text


CHECK = make_choice(lambda: ["none", *CHECKS.names()], "Unknown health check '{text}'")
METHOD = Kind("method", _parse_method, str, "Expecting an HTTP method for parameter '{name}', such as GET")
SEND = Kind("escaped", _parse_send, TEXT.show, TEXT.complaint)
EXPECT = Kind("expectation", _parse_expect, TEXT.show, TEXT.complaint)
COMMAND = Kind("command", _parse_command, TEXT.show, TEXT.complaint)


CHECKING = [
    # Before health_check, so that a dump that asks for `command` says first which.
    Setting("health_command", COMMAND, "", "program of a command check, with its arguments; never a shell"),
    Setting("health_check", CHECK, "tcp", "none, tcp (it accepts), http (it answers) or command (a program)"),
    Setting("health_method", METHOD, "GET", "method of an http check"),
    Setting("health_path", TARGET, "/", "what an http check asks for"),
    Setting("health_host", HOST, "", "Host of an http check; empty for the node's address"),
    Setting("health_status", STATUSES, "200-399", "statuses that pass, ranges or single ones"),
    Setting("health_send", SEND, "", "what a tcp check says first; \\r \\n \\t \\0 \\s \\\\ \\xHH"),
    Setting("health_expect", EXPECT, "", "what answer or body must contain; ~ begins a pattern"),
    Setting("health_expect_bytes", SIZE, 16384, "how much of it is read for that", least=1, most=2**20),
    Setting("health_interval", DURATION, 1.0, "from one check of a node to its next", least=0.05),
    Setting("health_fast_interval", DURATION, 0.25, "the same while the node fails its checks", least=0.05),
    Setting("health_jitter", INT, 10, "per cent by which these vary by chance", most=50),
    Setting("health_timeout", DURATION, 1.0, "a check that takes longer has failed", least=0.01),
    Setting("health_fall", INT, 3, "failures in a row that take a node out", least=1, most=1000),
    Setting("health_rise", INT, 2, "passes in a row that take it back", least=1, most=1000),
]

EJECTING = [
    Setting("eject_statuses", STATUSES, "500-599", "response statuses that count against a node"),
    Setting("eject_failures", INT, 5, "requests failed in a row that eject a node; 0 for never", most=10**6),
    Setting(
        "eject_rate_deviations",
        NUMBER,
        3.0,
        "standard deviations by which its success rate may lie below the others'; 0 for any",
        most=100,
    ),
    Setting("eject_rate_nodes", INT, 3, "nodes with enough requests that this needs", least=2, most=1024),
    Setting("eject_rate_requests", INT, 50, "requests of a node in 10 s that are enough", least=1),
    Setting(
        # What the balancer itself takes is in both times: a node ten times slower is seen as less.
        "eject_latency_factor",
        NUMBER,
        4.0,
        "times the others' median latency from which a node is too slow; 0 for never",
        most=1000,
    ),
    Setting("eject_latency_least", DURATION, 0.005, "the least difference that counts as slow"),
    Setting(
        "eject_time", DURATION, 1.0, "the first ejection; each in a row lasts a quarter longer", least=0.1
    ),
    Setting("eject_time_most", DURATION, 60.0, "the longest", least=0.1),
    Setting("eject_most_percent", INT, 50, "of a pool's nodes that may be ejected; one always", most=100),
    Setting("panic_threshold", INT, 30, "per cent of usable nodes below which all are used", most=100),
    Setting(
        "slow_start", DURATION, 5.0, "in which a node that comes back gets its full share; 0 for at once"
    ),
]

BREAKING = [
    Setting("breaker_percent", INT, 0, "failed requests that open the pool's breaker; 0 for never", most=100),
    Setting("breaker_requests", INT, 50, "requests within breaker_window that this needs", least=1),
    Setting("breaker_window", DURATION, 10.0, "the time over which they are counted", least=1, most=60),
    Setting("breaker_time", DURATION, 5.0, "how long it stays open: 503 at once", least=0.1),
    Setting("breaker_share", INT, 10, "per cent of requests let through when half-open", least=1, most=100),
]

HEALTH_SETTINGS = [*CHECKING, *EJECTING, *BREAKING]


def refuse_contradictions(settings: Mapping[str, Value]) -> None:
    """Raise SettingError when a pool's *settings* cannot hold together."""
    if settings["health_check"] == "command" and not settings["health_command"]:
        raise SettingError("health_check: command needs a program: set health_command first")
    if (
        settings["health_check"] == "http"
        and settings["health_method"] == "HEAD"
        and settings["health_expect"]
    ):
        raise SettingError("health_expect: the answer to HEAD has no body")
