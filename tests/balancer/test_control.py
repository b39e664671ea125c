"""The control plane: versions, facts, and that no line of any kind harms it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.balancer.stage import Stage
from wsgistack.balancer.control import Session
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.balancer.language.replies import Ask, Error, Reply, Task, encode
from wsgistack.balancer.model import ProbeResult, Resolved
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.errors import CommandError


def test_the_dialogue_of_the_manual_works_to_the_letter() -> None:
    stage = Stage()
    stage.make_site()
    assert stage.say("pool mypool add 127.0.0.1:8003") == ["OK"]
    stage.stats.node(0).update({"attempts": 12, "connects": 12, "requests": 358, "responsecodes": {200: 358}})
    assert stage.say("nodes 127.0.0.1:8001")[:2] == [
        "127.0.0.1:8001 attempts 12",
        "127.0.0.1:8001 responsecodes 200 358",
    ]


def test_nothing_has_version_0() -> None:
    stage = Stage()
    assert stage.control.snapshot.version == 0
    assert stage.control.snapshot.as_wire()["server"]["workers"] == 2


def test_the_version_grows_only_when_something_changes() -> None:
    stage = Stage()
    stage.make_site()
    first = stage.control.snapshot
    for line in (
        "show pool",
        "set mysite.pool = mypool",
        "nope",
        "pool mypool remove 9.9.9.9",
        "verbose off",
    ):
        stage.say(line)
        assert stage.control.snapshot is first
    stage.say("pool mypool add 127.0.0.1:8003")
    assert stage.control.snapshot.version == first.version + 1
    assert len(first.pools["mypool"].nodes) == 2


def test_a_snapshot_read_while_a_port_opens_is_not_the_last() -> None:
    stage = Stage()
    stage.do("create service s", "set role = reverse_proxy", "set listen = 127.0.0.1:5")
    seen: list[bool] = []

    def opening(service: str, address: str) -> None:
        seen.append(stage.control.snapshot.services[service].enabled)

    stage.ports.open = opening  # type: ignore[method-assign]  # as the supervisor does
    stage.do("enable s")
    assert seen == [False]
    assert stage.control.snapshot.services["s"].enabled


def test_facts_change_the_snapshot_when_they_change_something() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("pool mypool add app.example")
    first = stage.control.snapshot
    failed = ProbeResult("mypool", "127.0.0.1:8001", False, "ECONNREFUSED")
    stage.control.absorb(failed, 1.0)
    stage.control.absorb(failed, 2.0)
    assert stage.control.snapshot is first
    stage.control.absorb(failed, 3.0)
    assert stage.control.snapshot.version == first.version + 1
    assert [node.up for node in stage.control.snapshot.pools["mypool"].nodes] == [False, True]
    stage.control.absorb(Resolved("app.example", (Record("10.0.0.1"),)), 4.0)
    assert stage.control.snapshot.version == first.version + 2
    assert "127.0.0.1:8001 health mypool down" in stage.say("nodes 127.0.0.1:8001")


def test_what_probes_need_is_here() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("pool mypool add app.example")
    assert [(check.pool, check.node) for check in stage.control.checks()] == [
        ("mypool", "127.0.0.1:8001"),
        ("mypool", "127.0.0.1:8002"),
    ]
    assert stage.control.due("mypool", "127.0.0.1:8001", 5.0, random.Random(1)) == 0.0
    assert stage.control.due("mypool", "app.example:80", 5.0, random.Random(1)) is None
    assert stage.control.hosts() == ["app.example"]
    assert stage.control.service("admin").role == "management"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("frob", "ERROR: unknown command: frob"),
        (
            "pol mypool add 1.2.3.4",
            f"ERROR: unknown command: pol (did you mean 'pool'?); usage: {COMMANDS.get('pool').usage}",
        ),
        ("!", "ERROR: invalid command"),
        ("${ip:lo}", "ERROR: ${ip:lo}: variables are expanded in a configuration file only"),
        (
            "get / http/1.1",
            "ERROR: unknown command: get (did you mean 'set'?); usage: SET [<name>.]<param> = <value>",
        ),
    ],
)
def test_what_is_no_command_is_said(line: str, reply: str) -> None:
    assert Stage().say(line) == [reply]


def test_attempt_raises_what_run_says() -> None:
    stage = Stage()
    with pytest.raises(CommandError, match="Pool 'x' not found"):
        stage.control.attempt("pool x add 1.2.3.4", stage.session, 0.0)
    assert stage.control.run("pool x add 1.2.3.4", stage.session, 0.0) == Error("Pool 'x' not found")


words = st.sampled_from(
    [
        *COMMANDS.names(),
        *(row.name for row in SERVICE_SETTINGS),
        *[
            "mypool",
            "mysite",
            "admin",
            "pool",
            "service",
            "add",
            "remove",
            "insert",
            "=",
            ".",
            ",",
            ":",
            "weight=3",
            "127.0.0.1:8001",
            "on",
            "off",
            "5",
            "x",
        ],
    ]
)
lines = st.one_of(st.text(), st.lists(words | st.text(max_size=4), max_size=7).map(" ".join))


@given(st.lists(lines, max_size=8), st.none() | st.just({"A": "1"}))
def test_no_line_does_more_than_be_refused(
    given_lines: list[str], environment: dict[str, str] | None
) -> None:
    stage = Stage()
    stage.make_site()
    stage.session.environment = environment
    for line in given_lines:
        reply: Reply = stage.control.run(line, stage.session, 5.0)
        if isinstance(reply, Ask):
            reply = reply.answer([])
        if isinstance(reply, Task):
            continue
        printed = encode(reply, verbose=True)
        assert printed == b"" or printed.endswith(b"\r\n")
        assert stage.control.run("uptime", Session(), 5.0) is not None
        stage.control.snapshot.as_wire()


def test_control_is_not_calm_while_there_is_something_to_publish() -> None:
    stage = Stage()
    stage.make_site()
    stage.control.sample(stage.now)
    assert stage.control.snapshot.version
    assert stage.control.is_calm(stage.now + 3.0)
    for _ in range(3):
        stage.control.absorb(ProbeResult("mypool", "127.0.0.1:8001", False, "oh"), stage.now + 3.0)
    assert not stage.control.is_calm(stage.now + 3.0)
    assert stage.control.snapshot.version
    assert stage.control.is_calm(stage.now + 3.0)
