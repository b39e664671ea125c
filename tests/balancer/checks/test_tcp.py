"""A tcp check: connecting alone, or a question and its answer."""

import pytest

from wsgistack.balancer.checks import Talk
from wsgistack.balancer.checks.tcp import prepare
from wsgistack.balancer.model import HealthCheck
from wsgistack.balancer.pool_settings import POOL_SETTINGS


def plan(**chosen: str) -> Talk:
    settings = POOL_SETTINGS.defaults()
    for name, value in chosen.items():
        settings[name] = POOL_SETTINGS.parse(name, value)
    return prepare(HealthCheck("tcp", "mypool", "127.0.0.1:11211", settings))


def test_a_connection_is_enough_when_nothing_is_expected() -> None:
    assert plan().send == b""
    assert plan().hear(b"", False) == ""


def test_the_question_is_sent_with_its_escapes() -> None:
    assert plan(health_send="get\\sx\\r\\n\\x00").send == b"get x\r\n\0"


@pytest.mark.parametrize(
    ("expect", "answer", "ended", "said"),
    [
        ("+PONG", b"", False, None),
        ("+PONG", b"+PO", False, None),
        ("+PONG", b"+PONG\r\n", False, ""),
        ("+PONG", b"hello +PONG", False, ""),
        ("+PONG", b"+PO", True, "answer does not contain '+PONG'"),
        ("+PONG", b"-ERR" * 10, False, "answer does not contain '+PONG'"),
        ("+PONG", b"x" * 16 + b"+PONG", False, "answer does not contain '+PONG'"),
        ("~^VERSION [0-9]", b"VERSION 1", False, None),
        ("~^VERSION [0-9]", b"VERSION 1", True, ""),
        ("~^VERSION [0-9]", b"VERSION x.........", False, "answer does not match '^VERSION [0-9]'"),
    ],
)
def test_the_answer_is_judged(expect: str, answer: bytes, ended: bool, said: str | None) -> None:
    assert plan(health_expect=expect, health_expect_bytes="16b").hear(answer, ended) == said
