"""From any configuration to any other by commands, and what they leave alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.balancer.stage import Stage
from tests.balancer.test_dump import BEGINNING, commands
from wsgistack.balancer.blueprint import Blueprint
from wsgistack.balancer.difference import difference
from wsgistack.balancer.language.session import Session

SITE = [
    "CREATE POOL mypool",
    "POOL mypool ADD 127.0.0.1:8001",
    "POOL mypool ADD 127.0.0.1:8002 weight=2",
    "CREATE SERVICE mysite",
    "SET role = reverse_proxy",
    "SET listen = 127.0.0.1:8080",
    "SET pool = mypool",
    "SET buffer_size = 120k",
    "HEADER mysite INSERT X-A: 1",
    "ENABLE mysite",
]


def made_by(*lines: str) -> Stage:
    stage = Stage()
    stage.session = Session.of_file({})
    for line in lines:
        assert stage.say(line) == [], line
    return stage


def blueprint(*lines: str) -> Blueprint:
    return made_by(*lines).control.blueprint()


def without(line: str, *more: str) -> list[str]:
    assert line in SITE
    return [*(one for one in SITE if one != line), *more]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (SITE, []),
        (without("POOL mypool ADD 127.0.0.1:8001"), ["POOL REMOVE mypool 127.0.0.1:8001"]),
        ([*SITE, "POOL mypool ADD 127.0.0.1:8003 max=4"], ["POOL ADD mypool 127.0.0.1:8003 max=4"]),
        ([*SITE, "POOL mypool ADD 127.0.0.1:8001"], []),
        ([*SITE, "POOL mypool ADD 127.0.0.1:8002"], ["POOL ADD mypool 127.0.0.1:8002"]),
        ([*SITE, "POOL mypool DRAIN 127.0.0.1:8002"], ["POOL DRAIN mypool 127.0.0.1:8002"]),
        ([*SITE, "SET mypool.balance_method = least"], ["SET mypool.balance_method = least"]),
        (without("SET buffer_size = 120k"), ["SET mysite.buffer_size = 256k"]),
        ([*SITE, "DEFAULT server_tokens = off"], ["DEFAULT server_tokens = off"]),
        ([*SITE, "DEFAULT server_tokens = on"], []),
        ([*SITE, "SERVER max_connections = 9"], ["SERVER max_connections = 9"]),
        ([*SITE, "DISABLE mysite"], ["DISABLE mysite"]),
        (
            [*SITE, "SET mysite.listen = 127.0.0.1:8080, 127.0.0.1:8081"],
            ["SET mysite.listen = 127.0.0.1:8080, 127.0.0.1:8081"],
        ),
        (without("HEADER mysite INSERT X-A: 1", "HEADER mysite REMOVE x-b"), ["HEADER mysite CLEAR", "HEADER mysite REMOVE x-b"]),
        (
            [*SITE, "CREATE POOL other", "SET mysite.pool = other", "DELETE POOL mypool"],
            ["CREATE POOL other", "SET mysite.pool = other", "DELETE POOL mypool"],
        ),
        (
            [*SITE, "CREATE SERVICE b", "SET role = reverse_proxy", "SET listen = 127.0.0.1:8081", "ENABLE b"],
            ["CREATE SERVICE b", "SET b.role = reverse_proxy", "SET b.listen = 127.0.0.1:8081", "ENABLE b"],
        ),
        ([*SITE, "DELETE SERVICE mysite"], ["DELETE SERVICE mysite"]),
        (
            [*SITE, "DELETE SERVICE mysite", "CREATE SERVICE mysite", "SET role = management"],
            ["DELETE SERVICE mysite", "CREATE SERVICE mysite", "SET mysite.role = management"],
        ),
        (
            [
                *SITE,
                "SET mysite.listen = 127.0.0.1:8081",
                "CREATE SERVICE b",
                "SET role = reverse_proxy",
                "SET listen = 127.0.0.1:8080",
                "ENABLE b",
            ],
            [
                "DISABLE mysite",
                "CREATE SERVICE b",
                "SET b.role = reverse_proxy",
                "SET b.listen = 127.0.0.1:8080",
                "SET mysite.listen = 127.0.0.1:8081",
                "ENABLE mysite",
                "ENABLE b",
            ],
        ),
    ],
    ids=[
        "nothing",
        "a node less",
        "a node more",
        "the order counts for nothing",
        "another weight",
        "a drain",
        "a pool's setting",
        "a service's setting",
        "a default",
        "a default that is the default",
        "the server",
        "switched off",
        "one more address",
        "fields",
        "another pool",
        "another service",
        "a service less",
        "another role",
        "an address moves to another service",
    ],
)  # fmt: skip
def test_a_change_is_told_by_these_commands(lines: list[str], expected: list[str]) -> None:
    assert difference(blueprint(*SITE), blueprint(*lines)) == expected


def test_a_node_that_is_replaced_goes_on_draining() -> None:
    old = blueprint(*SITE, "POOL DRAIN mypool 127.0.0.1:8002", "POOL DRAIN mypool 127.0.0.1:8001")
    new = blueprint(
        *SITE,
        "POOL ADD mypool 127.0.0.1:8002 weight=9",
        "POOL DRAIN mypool 127.0.0.1:8002",
    )
    assert difference(old, new) == [
        "POOL ADD mypool 127.0.0.1:8002 weight=9",
        "POOL UNDRAIN mypool 127.0.0.1:8001",
        "POOL DRAIN mypool 127.0.0.1:8002",
    ]


@given(st.lists(commands, max_size=25), st.lists(commands, max_size=25))
def test_from_anything_to_anything(first: list[str], second: list[str]) -> None:
    stages = []
    for lines in (first, second):
        stage = Stage()
        for line in [*BEGINNING, *lines]:
            stage.say(line)
        stages.append(stage)
    start, goal = stages[0], stages[1].control.blueprint()
    start.session = Session.of_file({})
    for line in difference(start.control.blueprint(), goal):
        assert start.say(line) == [], line
    assert difference(start.control.blueprint(), goal) == []
    assert difference(goal, start.control.blueprint()) == []
    open_now = sorted(start.ports.open_now)
    assert open_now == sorted((n, a) for n, s in goal.services.items() if s.enabled for a in s.listen)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["SET mysite.split = beta 5% cookie"]),
        (["SET mysite.split = beta 5% cookie"], []),
        (["SET mysite.split = beta 5% cookie"], ["SET mysite.split = beta 6% ip"]),
        (
            ["SET mysite.split = beta 5% cookie"],
            ["SET mysite.pool = beta", "SET mysite.split = mypool 5% cookie"],
        ),
    ],
    ids=["comes", "goes", "changes", "changes places with the pool"],
)
def test_a_split_is_changed_and_taken_away(before: list[str], after: list[str]) -> None:
    stage = made_by(*SITE, "CREATE POOL beta", *before)
    target = blueprint(*SITE, "CREATE POOL beta", *after)
    for line in difference(stage.control.blueprint(), target):
        assert stage.say(line) == []
    assert stage.control.blueprint() == target


def test_a_pool_goes_after_the_split_that_had_it() -> None:
    stage = made_by(*SITE, "CREATE POOL beta", "SET mysite.split = beta 5% cookie")
    lines = difference(stage.control.blueprint(), blueprint(*SITE))
    assert lines == ["SET mysite.split = none", "DELETE POOL beta"]
