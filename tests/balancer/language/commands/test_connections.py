"""pending, queues, states, socks: the captured formats from the workers' rows."""

from typing import Any

import pytest

from tests.balancer.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """The site of the manual."""
    stage = Stage()
    stage.make_site()
    return stage


def test_pending_lists_service_node_and_age(stage: Stage) -> None:
    stage.rows = [
        [{"service": "mysite", "node": "10.0.0.2:80", "age": 1.9}],
        [{"service": "mysite", "node": "10.0.0.1:80", "age": 0.2}],
    ]
    assert stage.say("pending") == ["mysite 10.0.0.1:80 0", "mysite 10.0.0.2:80 1", "."]


def test_queues_adds_the_workers_up_and_takes_the_oldest(stage: Stage) -> None:
    stage.rows = [
        [
            {"service": "mysite", "lane": "normal", "count": 2, "age": 3.5},
            {"service": "mysite", "lane": "highpri", "count": 4, "age": 0.5},
        ],
        [
            {"service": "mysite", "lane": "normal", "count": 1, "age": 7.2},
            {"service": "mysite", "lane": "lowpri", "count": 5, "age": 9.1},
            {"service": "gone", "lane": "normal", "count": 9, "age": 9},
        ],
    ]
    assert stage.say("queues") == [
        "mysite-normal.age 7",
        "mysite-normal.count 3",
        "mysite-highpri.age 0",
        "mysite-highpri.count 4",
        "mysite-lowpri.age 9",
        "mysite-lowpri.count 5",
        ".",
    ]


STATES: list[list[dict[str, Any]]] = [
    [
        {"kind": "node", "state": "wait_res", "service": "mysite", "count": 1},
        {"kind": "client", "state": "wait_res", "service": "mysite", "count": 2},
    ],
    [
        {"kind": "node", "state": "wait_res", "service": "mysite", "count": 1},
        {"kind": "client", "state": "reading_headers", "service": "other", "count": 4},
        {"kind": "new", "state": "odd", "service": "other"},
    ],
]


def test_states_counts_by_class_and_state(stage: Stage) -> None:
    stage.rows = STATES
    assert stage.say("states") == [
        "Perlbal::BackendHTTP wait_res 2",
        "Perlbal::ClientProxy reading_headers 4",
        "Perlbal::ClientProxy wait_res 2",
        "new odd 1",
        ".",
    ]


def test_states_of_one_service(stage: Stage) -> None:
    stage.rows = STATES
    assert stage.say("states MySite") == [
        "Perlbal::BackendHTTP wait_res 2",
        "Perlbal::ClientProxy wait_res 2",
        ".",
    ]


SOCKS = [
    [
        {
            "kind": "client",
            "fd": 11,
            "age": 2.1,
            "service": "mysite",
            "state": "wait_res",
            "peer": "127.0.0.1:53192",
            "local": "127.0.0.1:17001",
            "requests": 1,
            "target": "http://unknown/sleep2",
            "node": "127.0.0.1:17012",
        },
        {
            "kind": "node",
            "fd": 13,
            "age": 2.0,
            "service": "mysite",
            "state": "bored",
            "peer": "127.0.0.1:17011",
            "requests": 0,
            "client": None,
        },
    ],
    [
        {"kind": "listener", "fd": 4, "age": 39, "service": "balancer", "local": "127.0.0.1:17001"},
        {
            "kind": "node",
            "fd": 9,
            "age": 2.0,
            "service": "mysite",
            "state": "wait_res",
            "peer": "127.0.0.1:17011",
            "local": "127.0.0.1:45340",
            "requests": 5,
            "client": 12,
        },
        {"kind": "client", "fd": 10, "age": 0, "state": "persist_wait", "peer": "127.0.0.1:5"},
    ],
    [{"kind": "manage", "fd": 3, "age": 6, "peer": "127.0.0.1:41054"}],
]


def test_socks_lists_them_by_descriptor(stage: Stage) -> None:
    stage.rows = SOCKS
    expected = [
        "   fd    age",
        "    3     6s Perlbal::ClientManage(R): open to 127.0.0.1:41054",
        "    4    39s Perlbal::TCPListener(R): open: listening on 127.0.0.1:17001 for service 'balancer'",
        (
            "    9     2s Perlbal::BackendHTTP(R): open to 127.0.0.1:17011:"
            " localport=45340; client=12; uses=5; wait_res"
        ),
        "   10     0s Perlbal::ClientProxy(R): open to 127.0.0.1:5: reqs=0; persist_wait",
        (
            "   11     2s Perlbal::ClientProxy(R): open to 127.0.0.1:53192:"
            " localport=17001; reqs=1; wait_res; http://unknown/sleep2; backend=127.0.0.1:17012"
        ),
        "   13     2s Perlbal::BackendHTTP(R): open to 127.0.0.1:17011: uses=0; bored",
        ".",
    ]
    assert stage.say("socks") == expected
    assert stage.say("socks all") == expected


def test_socks_summary_counts_them(stage: Stage) -> None:
    stage.rows = [*SOCKS, [{"kind": "client", "fd": 1, "age": 0, "buffered": 1536}]]
    assert stage.say("socks summary") == [
        "    2 Perlbal::BackendHTTP",
        "    1 Perlbal::ClientManage",
        "    3 Perlbal::ClientProxy",
        "    1 Perlbal::TCPListener",
        "Aggregate write buffer: 1.5k",
        "            Open files: 0",
        ".",
    ]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("socks foo", "."),
        ("socks a b", "ERROR: Invalid syntax to 'socks' command; usage: socks [all|summary]"),
        ("states nope", "ERROR: Service not found."),
        ("pending x", "ERROR: The 'pending' command takes no arguments"),
        ("queues x", "ERROR: The 'queues' command takes no arguments"),
        ("pending", "."),
    ],
)
def test_a_line_gets_its_reply(stage: Stage, line: str, reply: str) -> None:
    assert stage.say(line) == [reply]
