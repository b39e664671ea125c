"""Perlbal's Throttle: the states of an address on virtual time, and patterns as workers search by them."""

import re

import pytest

from wsgistack.balancer.plane.throttle import ThrottleKernel
from wsgistack.balancer.throttle import next_delay_s, to_posix

SECOND = 1_000_000
BANNED = -1


def make_wire(rules: dict[str, int]) -> dict[str, int]:
    """Return rules in seconds as workers are told them."""
    given = {"threshold": 60, "initial": 3, "longest": 300, "ban": 60} | rules
    after = given.pop("ban_after", 0)
    return {f"{name}_us": s * SECOND for name, s in given.items()} | {"ban_after": after}


def ask(*times_s: float, **rules: int) -> list[float]:
    """Return by how many seconds requests at these times are delayed, -1 for a ban; rules in seconds."""
    kernel = ThrottleKernel(make_wire(rules))
    waits = [kernel.ask(int(1000 * SECOND + at * SECOND)) for at in times_s]
    return [wait / SECOND if wait != BANNED else BANNED for wait in waits]


@pytest.mark.parametrize(
    ("times", "rules", "delays"),
    [
        ((0,), {}, [0]),
        ((0, 60), {}, [0, 0]),
        ((0, 59.9), {}, [0, 3]),
        ((0, 1, 2, 3, 4), {}, [0, 3, 6, 12, 24]),
        ((0, 1, 4, 7), {}, [0, 3, 3, 3]),
        ((0, 1, 2, 8), {}, [0, 3, 6, 3]),
        ((0, 1, 64, 65), {}, [0, 3, 0, 3]),
        ((0, 1, 2, 3, 4, 5), {"longest": 10}, [0, 3, 6, 10, 10, 10]),
        ((0, 0, 0), {"initial": 0}, [0, 0, 0]),
        ((0, 0, 0), {"threshold": 0}, [0, 0, 0]),
        ((0, 1, 2, 3, 30, 62, 63), {"ban_after": 2}, [0, 3, BANNED, BANNED, BANNED, 0, 3]),
        ((0, 1, 5, 9), {"ban_after": 2}, [0, 3, 3, 3]),
        (tuple(range(100)), {"longest": 86_400}, [0, *(min(3 * 2**n, 86_400) for n in range(99))]),
    ],
    ids=[
        "who is new passes",
        "who waited passes",
        "who comes too soon is delayed",
        "each violation doubles",
        "who waits for his delay is on probation",
        "and begins anew",
        "who waits for delay and threshold passes",
        "up to a longest delay",
        "no delay",
        "no threshold",
        "a ban has an end",
        "no ban for who waits",
        "never more than the longest",
    ],
)
def test_an_address_is_delayed(times: tuple[float, ...], rules: dict[str, int], delays: list[float]) -> None:
    assert ask(*times, **rules) == delays


@pytest.mark.parametrize(
    ("pattern", "posix"),
    [
        ("^/webapp/", "^/webapp/"),
        (r"\.(php|cgi)$", r"\.(php|cgi)$"),
        (r"^/\d{2,4}/\w+\s?\S", "^/[0-9]{2,4}/[[:alnum:]_]+[[:space:]]?[^[:space:]]"),
        (r"[\d.]x[^\w]", "[0-9.]x[^[:alnum:]_]"),
        ("[]a]", "[]a]"),
    ],
)
def test_a_pattern_has_a_form_that_workers_search_by(pattern: str, posix: str) -> None:
    assert re.compile(pattern)
    assert to_posix(pattern) == posix


@pytest.mark.parametrize("pattern", ["(?i)a", "a*?", "a++", r"\bx", r"[\b]", r"[\]a]", r"(a)\1"])
def test_what_has_no_such_form_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"Perl's alone|every library"):
        to_posix(pattern)


@pytest.mark.parametrize(
    ("times", "rules"),
    [
        ((0, 1, 2, 8, 80, 81), {}),
        ((0, 1, 2, 3, 4), {"longest": 10}),
        ((0, 1, 2, 3, 30, 62, 63), {"ban_after": 2}),
        ((0, 0), {"initial": 0}),
    ],
)
def test_explain_foretells_what_workers_do(times: tuple[float, ...], rules: dict[str, int]) -> None:
    wire = make_wire(rules)
    kernel = ThrottleKernel(wire)
    for at in times:
        now = int((1000 + at) * SECOND)
        foretold = next_delay_s(wire, kernel.words, now)
        assert kernel.ask(now) / (SECOND if foretold != BANNED else 1) == foretold
