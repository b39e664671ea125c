"""Who asks, and how often, plain and compiled: the same."""

from __future__ import annotations

import gc
import tracemalloc
from collections import UserDict
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack import account, account_cy, passage, passage_cy
from wsgistack.clocks import SteadyClock
from wsgistack.http.identity import NAMES, PREFIXES, tells_identity
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import legacy
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.shut import Shut

TWINS = [account, account_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
NOW_US = 1_795_000_000_000_000


class Mapping(UserDict[str, Any]):
    """What PEP 3333 forbids a server to give."""


class Text(str):
    """What it forbids, too."""

    __slots__ = ()


def passage_of(twin: ModuleType, environ: dict[str, Any] | None = None) -> Any:
    """Return a request on its way, as the accounts of *twin* get it."""
    module = passage if twin is account else passage_cy
    return module.Passage(environ or {}, lambda *head: len, (), lambda: 0)


@BOTH
@pytest.mark.parametrize(
    "fields",
    [("HTTP_FORWARDED",), ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")],
    ids=["one", "three"],
)
@pytest.mark.parametrize("kind", [dict, Mapping], ids=["dict", "another mapping"])
def test_what_is_believed_is_all_that_is_left(twin: ModuleType, kind: Any, fields: tuple[str, ...]) -> None:
    asked: list[tuple[str | None, ...]] = []

    def learn(*values: str | None) -> dict[str, str]:
        asked.append(values)
        return {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}

    environ = kind(
        {
            "REMOTE_ADDR": "10.0.0.1",
            "REMOTE_HOST": "proxy",
            "wsgi.url_scheme": "http",
            "HTTP_X_REAL_IP": "2",
            **dict.fromkeys(fields, "1"),
        }
    )
    twin.Belief(fields, learn).enter(environ)
    assert asked == [("10.0.0.1", *["1" for _ in fields])]
    assert dict(environ) == {
        "REMOTE_ADDR": "192.0.2.1",
        "wsgistack.peer": "10.0.0.1",
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_FOR": "192.0.2.1",
        "HTTP_X_FORWARDED_PROTO": "http",
    }


@BOTH
@pytest.mark.parametrize(
    "fields", [("HTTP_FORWARDED",), ("HTTP_A", "HTTP_B", "HTTP_FORWARDED")], ids=["one", "three"]
)
@pytest.mark.parametrize(
    ("told", "times"),
    [("a" * 240, 1), ("a" * 257, 2), (Text("a" * 257), 2), (None, 1), (7, 1)],
    ids=["short", "long", "a long one of its own kind", "nothing", "no text"],
)
def test_what_was_told_is_remembered_unless_it_is_long(
    twin: ModuleType, fields: tuple[str, ...], told: Any, times: int
) -> None:
    """Else any client fills the memory with what it writes."""
    asked: list[Any] = []
    belief = twin.Belief(fields, lambda peer, *values: asked.append(values[-1]))
    for _ in range(2):
        belief.enter({"REMOTE_ADDR": "10.0.0.1", "HTTP_FORWARDED": told})
    assert asked == [told] * times


@BOTH
def test_names_that_clients_invent_take_no_place_in_memory(twin: ModuleType) -> None:
    tracemalloc.start()
    try:
        belief = twin.Belief((), lambda *values: None)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(400):
            environ = {
                "HTTP_X_FORWARDED_" + f"{number:05}" * 2000: "1",
                "HTTP_X_" + f"{number:05}" * 2000: "1",
            }
            belief.enter(environ)
            assert len(environ) == 2  # the other one, and wsgistack.peer
        del environ
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < 100_000  # of 8 MB
    finally:
        tracemalloc.stop()


@BOTH
def test_of_whom_nothing_is_believed_the_address_stays(twin: ModuleType) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "REMOTE_HOST": "a", "HTTP_X_REAL_IP": "1"}
    twin.Belief(("HTTP_FORWARDED",), lambda *values: None).enter(environ)
    assert environ == {"REMOTE_ADDR": "10.0.0.1", "REMOTE_HOST": "a", "wsgistack.peer": "10.0.0.1"}


VARIABLES = [f"HTTP_{name.upper().replace('-', '_')}" for name in (*NAMES, *PREFIXES, "forwarded")]


@BOTH
@given(
    variables=st.lists(
        st.sampled_from(VARIABLES)
        | st.sampled_from(VARIABLES).map(str.lower)
        | st.sampled_from(["HTTP_x-REAL_IP", "HTTP_X_Forwarded", "HTTP_", "HTTP_X", "HTTP_X_", "X_REAL_IP"])
        | st.sampled_from(
            [
                "HTTP_HOST",
                "HTTP_COOKIE",
                "HTTP_REFERER",
                "HTTP_PRAGMA",
                "HTTP_X_CLIENT",
                Text("HTTP_X_REAL_IP"),
            ]
        )
        | st.text("HTP_XRELIP-\u212a\u0130f", max_size=16).map("HTTP_".__add__),
        max_size=8,
    )
)
@settings(max_examples=examples(50), deadline=None)
def test_no_variable_that_tells_who_asks_is_left(twin: ModuleType, variables: list[str]) -> None:
    environ = dict.fromkeys(variables, "1")
    twin.Belief((), lambda *values: None).enter(environ)
    rest = {name for name in variables if not (name.startswith("HTTP_") and tells_identity(name))}
    assert environ.keys() - {"wsgistack.peer"} == rest


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


def limiter_of(rate: str) -> Limiter:
    return Limiter([Rule("a", rate)], trust=Trust(), now=lambda: NOW_US)


def quotas_of(
    twin: ModuleType, limiter: Limiter, *, form: Any = None, prepare: Callable[[Any], object] = id
) -> Any:
    """Return what decides by *limiter*; who is refused gets a text that says so."""
    return twin.Quotas(
        limiter,
        limiter.claims_of_peer,
        Decision,
        limiter.teller if form is None else None,
        form,
        prepare=prepare,
        refuse=lambda environ, decision: f"for {environ['REMOTE_ADDR']}: {decision.wait_us}",
    )


def ask(twin: ModuleType, quotas: Any) -> tuple[Any, Decision, list[tuple[str, str]]]:
    """Return the answer to a request, what was decided, and the fields of the response."""
    found = passage_of(twin, {"REMOTE_ADDR": "192.0.2.1"})
    answer = quotas.enter(found.environ, found)
    found.start_response("200 OK", [])
    return answer, found.environ["wsgistack.ratelimit"], found.headers


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
    quotas = quotas_of(twin, limiter_of("2/minute"), form=form)
    answer, decision, fields = ask(twin, quotas)
    assert (answer, decision.ok, decision.remaining, decision.would_refuse, fields) == (
        None,
        True,
        1,
        (),
        told,
    )
    assert ask(twin, quotas)[0] is None
    answer, decision, fields = ask(twin, quotas)
    assert (answer, decision.wait_us, fields) == ("for 192.0.2.1: 30000000", 30_000_000, [])


@BOTH
def test_several_limits_are_told_together(twin: ModuleType) -> None:
    quotas = quotas_of(twin, limiter_of("2/minute; 60/hour"))
    told = [ask(twin, quotas)[2][1][1] for _ in range(2)]
    assert told == ['"a";r=1;t=30, "a-2";r=59;t=60', '"a";r=0;t=30, "a-2";r=58;t=60']
    assert ask(twin, quotas)[0] == "for 192.0.2.1: 30000000"


@BOTH
def test_it_is_prepared_for_decisions_until_it_is_at_rest(twin: ModuleType) -> None:
    prepared: list[Any] = []
    quotas = quotas_of(twin, limiter_of("2/minute"), prepare=prepared.append)
    ask(twin, quotas)
    quotas.is_at_rest = True
    ask(twin, quotas)
    assert [environ["REMOTE_ADDR"] for environ in prepared] == ["192.0.2.1"]


@BOTH
def test_who_is_shut_out_is_refused_and_let_in_again(twin: ModuleType) -> None:
    limiter = limiter_of("5/minute")
    quotas = quotas_of(twin, limiter)
    key = Trust().key_of_peer("192.0.2.1")
    limiter.shut.put(Shut(NOW_US + 7, "a", key), NOW_US)
    answer, decision, fields = ask(twin, quotas)
    assert (answer, decision.ok, decision.about(), fields) == ("for 192.0.2.1: 7", False, [("a", key)], [])
    limiter.shut.drop("a", key, NOW_US)
    assert [ask(twin, quotas)[0] for _ in range(2)] == [None, None]


@BOTH
def test_a_limiter_that_counts_elsewhere_from_now_on_is_asked_there(twin: ModuleType) -> None:
    limiter, other = limiter_of("1/minute"), limiter_of("1/minute")
    quotas = quotas_of(twin, limiter)
    clock = SteadyClock(lambda: NOW_US * 1000, lambda: 0)
    limiter.now = clock.read
    assert [ask(twin, quotas)[0] is None for _ in range(2)] == [True, False]
    limiter.table, limiter.bound = other.table, None
    assert [ask(twin, quotas)[0] is None for _ in range(2)] == [True, False]
    limiter.now = lambda: NOW_US + 60_000_000
    assert ask(twin, quotas)[0] is None


@BOTH
def test_notes_are_settled_when_they_are_many_or_due(twin: ModuleType) -> None:
    settled: list[int] = []
    now = [100.0]
    notes: Any = twin.Notes(lambda: settled.append(len(notes.take())), lambda: now[0])
    for _ in range(257):
        notes.add("a")
    assert settled == [256]
    notes.bring_at = 101.0
    notes.add("b")
    assert settled == [256]
    now[0] = 101.0
    notes.add("c")
    assert (settled, notes.take()) == ([256, 3], [])


class Taker:
    """Takes notes when it is collected, which a new list may set off."""

    def __init__(self, notes: Any, taken: list[Any]) -> None:
        self.notes = notes
        self.taken = taken
        self.me = self

    def __del__(self) -> None:
        self.taken += self.notes.take()


@BOTH
def test_a_note_is_taken_once(twin: ModuleType) -> None:
    notes = twin.Notes(lambda: None, lambda: 0.0)
    notes.add("one")
    taken: list[Any] = []
    thresholds = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        Taker(notes, taken)
        gc.set_threshold(1)
        gc.enable()
        last = notes.take()
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    gc.collect()
    assert taken + last == ["one"]


@BOTH
def test_a_note_tells_what_is_counted(twin: ModuleType) -> None:
    notes = twin.Notes(pytest.fail, lambda: 0.0)
    for environ in ({"REQUEST_METHOD": "GET", "wsgistack.buckets": {"a": "b"}}, {}):
        end = passage_of(twin, environ)
        end.status, end.took_us, end.sent, end.cache_status = "200", 7, 5, "c; hit"
        notes.at_end(end)
    assert notes.take() == [("GET", "200", 7, 5, "c; hit", {"a": "b"}), ("", "200", 7, 5, "c; hit", None)]
