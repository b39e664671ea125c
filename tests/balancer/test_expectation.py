"""Texts with escapes and patterns, and a pattern that would never end."""

import signal
import time

import pytest

from wsgistack.balancer.expectation import parse_expectation, unescape


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("plain", b"plain"),
        ("\\r\\n\\t\\0\\s\\\\", b"\r\n\t\0 \\"),
        ("\\x00\\xfF\\x23", b"\x00\xff#"),
        ("\xe9", b"\xe9"),
    ],
)
def test_escapes_become_bytes(text: str, data: bytes) -> None:
    assert unescape(text) == data


@pytest.mark.parametrize(("text", "met"), [("\\q", "q"), ("a\\", ""), ("\\x1", "x"), ("\\xzz", "x")])
def test_an_unknown_escape_is_refused_with_the_known_ones(text: str, met: str) -> None:
    with pytest.raises(ValueError) as refused:
        unescape(text)
    assert str(refused.value) == f"'\\{met}' is none of \\r \\n \\t \\0 \\s \\\\ \\xHH"


def test_nothing_is_expected_of_an_empty_text() -> None:
    assert parse_expectation("") is None


@pytest.mark.parametrize("text", ["~(", "~[a", "~a**", "~(?P<x>a)(?P<x>b)"])
def test_a_faulty_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        parse_expectation(text)


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    expectation = parse_expectation("~(a+)+$")
    assert expectation is not None
    before, handler = time.monotonic(), signal.getsignal(signal.SIGALRM)
    said = expectation.judge(b"a" * 60 + b"b", "body")
    assert said == "'(a+)+$' took more than 0.1 s to look for"
    assert time.monotonic() - before < 10
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
