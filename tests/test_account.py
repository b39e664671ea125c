"""Who asks, and how often, plain and compiled: the same."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from wsgistack import account, account_cy, passage, passage_cy
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import legacy
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.rules import Rule

TWINS = [account, account_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
NOW_US = 1_795_000_000_000_000


def passage_of(twin: ModuleType, environ: dict[str, Any] | None = None) -> Any:
    """Return a request on its way, as the accounts of *twin* get it."""
    module = passage if twin is account else passage_cy
    return module.Passage(environ or {}, lambda *head: len, (), lambda: 0)


@BOTH
@pytest.mark.parametrize("fields", [("HTTP_FORWARDED",), ("HTTP_X_A", "HTTP_X_B", "HTTP_X_C")])
def test_what_is_believed_is_all_that_is_left(twin: ModuleType, fields: tuple[str, ...]) -> None:
    asked: list[tuple[str | None, ...]] = []

    def learn(*values: str | None) -> dict[str, str]:
        asked.append(values)
        return {"REMOTE_ADDR": "192.0.2.1"}

    belief = twin.Belief(fields, learn, lambda variables: tuple(set(variables) & set(fields)))
    environ = {
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_HOST": "proxy",
        "wsgi.url_scheme": "http",
        **dict.fromkeys(fields, "1"),
    }
    belief.enter(environ)
    assert asked == [("10.0.0.1", *["1" for _ in fields])]
    assert environ == {
        "REMOTE_ADDR": "192.0.2.1",
        "wsgistack.peer": "10.0.0.1",
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_PROTO": "http",
    }


@BOTH
def test_of_whom_nothing_is_believed_the_address_stays(twin: ModuleType) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "REMOTE_HOST": "a", "HTTP_X_REAL_IP": "1"}
    twin.Belief(("HTTP_FORWARDED",), lambda *values: None, lambda names: ("HTTP_X_REAL_IP",)).enter(environ)
    assert environ == {"REMOTE_ADDR": "10.0.0.1", "REMOTE_HOST": "a", "wsgistack.peer": "10.0.0.1"}


@BOTH
def test_a_door_asks_about_the_first_and_about_its_own_path(twin: ModuleType) -> None:
    asked: list[str] = []

    def ask(environ: dict[str, str], passage: Any) -> None:
        asked.append(environ["PATH_INFO"])

    door = twin.Door("/own", ask)
    for path in ("/first", "/second", "/own", "/own/too"):
        door.enter({"PATH_INFO": path}, passage_of(twin))
    assert asked == ["/first", "/own"]


@BOTH
def test_responses_are_billed_to_the_address(twin: ModuleType, tmp_path: Any) -> None:
    told: list[Any] = []
    for folder in (None, tmp_path):
        meter = Meter(folder)
        bills = twin.Bills(
            meter, lambda peer: (("all", peer.encode()),), told.append, lambda: 1_795_000_000.0
        )
        for status in ("200", "204", "404", "503", "999"):
            end = passage_of(twin, {"REMOTE_ADDR": "192.0.2.1"})
            end.status = status
            bills.at_end(end)
        ((_, rule, key, counts),) = meter.usage()
        assert (rule, key, counts[:5]) == ("all", b"192.0.2.1", (0, 2, 0, 1, 2))
    assert told == []


@BOTH
@pytest.mark.parametrize(("refused", "would"), [("a limit", ()), (None, ("a limit",))])
def test_what_a_limit_refused_is_counted_otherwise(twin: ModuleType, refused: Any, would: Any) -> None:
    told: list[Any] = []
    decision = SimpleNamespace(refused=refused, would_refuse=would)
    end = passage_of(twin, {"wsgistack.ratelimit": decision})
    twin.Bills(None, None, told.append, None).at_end(end)
    assert told == [end]


@BOTH
@pytest.mark.parametrize(
    ("form", "told"),
    [
        (None, [("RateLimit-Policy", '"a";q=2;w=60'), ("RateLimit", '"a";r=1;t=30')]),
        (legacy, [("X-RateLimit-Limit", "2"), ("X-RateLimit-Remaining", "1"), ("X-RateLimit-Reset", "30")]),
    ],
    ids=["draft 10", "another form"],
)
def test_who_passes_is_told_what_is_left_and_who_does_not_is_refused(
    twin: ModuleType, form: Any, told: list[tuple[str, str]]
) -> None:
    limiter = Limiter([Rule("a", "2/minute")], trust=Trust(), now=lambda: NOW_US)
    teller = limiter.teller if form is None else None
    quotas = twin.Quotas(limiter, limiter.claims_of_peer, Decision, teller, form)
    decided = []
    for _ in range(3):
        found = passage_of(twin, {"REMOTE_ADDR": "192.0.2.1"})
        decided.append(quotas.hit(found.environ, found))
        assert found.environ["wsgistack.ratelimit"] is decided[-1]
        found.start_response("200 OK", [])
        if len(decided) == 1:
            assert found.headers == told
    assert found.headers == []
    assert [decision.ok for decision in decided] == [True, True, False]
    assert decided[2].wait_us == 30_000_000
