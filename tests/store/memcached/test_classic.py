"""Servers without the meta protocol: the same answers, through pymemcache."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from pymemcache.client.base import Client

from tests.conftest import PATIENT
from tests.store.memcached.stage import KINDS, Fake, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.addresses import parse_address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.classic import VERBS, Classic
from wsgistack.store.memcached.envelope import ENVELOPE, open_envelope
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.plain import Plain
from wsgistack.store.memcached.replies import Item, Reply
from wsgistack.store.memcached.ring import MemcacheRing

CALLS: list[Callable[[], Call]] = [
    lambda: requests.get(b"a"),
    lambda: requests.get(b"none"),
    lambda: requests.get(b"a", ttl=100),
    lambda: requests.get_many([b"a", b"none", b"n"]),
    lambda: requests.store("set", b"new", b"value", 9, 60),
    lambda: requests.get(b"new"),
    lambda: requests.store("add", b"a", b"value", 9, 60),
    lambda: requests.append_many([requests.Append(b"log", b"x", 60, None)]),
    lambda: requests.append_many(
        [requests.Append(b"log", b"y", 60, (10**9, b"-")), requests.Append(b"log", b"z", 60, None)]
    ),
    lambda: requests.store("replace", b"none", b"value", 9, 60),
    lambda: requests.store("append", b"a", b"+", 0, 0),
    lambda: requests.store("prepend", b"a", b"-", 0, 0),
    lambda: requests.store("set", b"a", b"v", 0, 0, cas=10**9),
    lambda: requests.store("set", b"none", b"v", 0, 0, cas=1),
    lambda: requests.store("add", b"swapped", b"v", 0, 60, is_swap=True),
    lambda: requests.store_many([(b"x", b"1", 1), (b"y", b"2", 0)], 60),
    lambda: requests.get_many([b"x", b"y"]),
    lambda: requests.touch(b"a", 60),
    lambda: requests.touch(b"none", 60),
    lambda: requests.arithmetic(b"n", 5),
    lambda: requests.arithmetic(b"n", -100),
    lambda: requests.arithmetic(b"none", 1),
    lambda: requests.arithmetic(b"begun", 1, first=7, ttl=60),
    lambda: requests.arithmetic(b"begun", 1, first=7, ttl=60, refresh=True),
    lambda: requests.arithmetic(b"a", 1),
    lambda: requests.arithmetic_many(
        [
            requests.Sum(b"n", 3, 0, 60, False),
            requests.Sum(b"counted", -3, 50, 60, True),
            requests.Sum(b"n", -1, 0, 0, True),
        ]
    ),
    lambda: requests.count_many([b"n", b"counted"], 1, 77, 0),
    lambda: requests.delete_many([b"x", b"none"]),
    lambda: requests.line(b"version"),
    lambda: requests.flush(),
    lambda: requests.get(b"a"),
]


def without_tokens(call: Call) -> object:
    """Return the answer without what differs from run to run."""
    if not isinstance(call.answer, list):
        return call.answer or call.failure
    same: dict[type, dict[str, int]] = {Item: {"cas": 0}, Reply: {"cas": 0, "ttl": -2}}
    return [
        one._replace(**same[type(one)]) if isinstance(one, tuple) else one  # type: ignore[arg-type]  # numbers all
        for one in call.answer
    ]


def test_each_call_has_the_answer_that_the_meta_protocol_gives(memcached: Memcached) -> None:
    node = Node(parse_address(memcached.address), limit_s=5, on_away=lambda node: None)
    plain = Plain(connect_timeout_s=5)
    classic = Classic(node.address, socket, timeout_s=5, connect_timeout_s=5)

    def run(make: Callable[[], Call], *, through_pymemcache: bool) -> object:
        call = make()
        if through_pymemcache:
            classic.run(call)
        else:
            plain.run([(node, call)])
        return without_tokens(call)

    answers = []
    for through_pymemcache in (False, True):
        for key in (b"a", b"n", b"none", b"new", b"x", b"y", b"begun", b"counted"):
            run(lambda key=key: requests.delete_many([key]), through_pymemcache=False)  # type: ignore[misc]  # bound here
        run(lambda: requests.store_many([(b"a", b"A", 3), (b"n", b"10", 2)], 0), through_pymemcache=False)
        answers.append([run(make, through_pymemcache=through_pymemcache) for make in CALLS])
    plain.close()
    classic.close()
    assert answers[1] == answers[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_meta_is_found_out_and_served(kind: str, memcached: Memcached) -> None:
    asked: list[bytes] = []

    def answer(data: bytes, number: int) -> bytes | None:
        asked.append(data[:3])
        if data.startswith(b"m"):
            return b"ERROR\r\n" * data.count(b"\r\n")
        with socket.create_connection(("127.0.0.1", memcached.port)) as real:
            real.sendall(data)
            return real.recv(65_536)

    with Fake(answer) as old:
        ring = MemcacheRing([old.address], **PATIENT)

        def script() -> list[object]:
            stored = ring.set_many({"a": "text", "n": 5})
            found = [
                stored,
                ring.get("a"),
                ring.get_many(["a", "n", "none"]),
                ring.incr("n", 1),
                ring.delete("a"),
            ]
            ring.close()
            return found

        assert run_as(kind, script) == [[], "text", {"a": "text", "n": 5}, 6, True]
    assert asked.count(b"mg ") == 1


def test_without_leases_callers_draw_lots_before_the_end(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    ring._cluster.nodes()[0].is_classic = True
    built: list[float] = []

    def build() -> int:
        built.append(time.monotonic())
        time.sleep(0.05)
        return len(built)

    assert [ring.fetch("page", build, 100, tags=["t"]) for _ in range(20)] == [1] * 20
    ring.invalidate_tags("t")
    assert ring.fetch("page", build, 100, tags=["t"]) == 2
    assert [ring.fetch("short", build, 1) for _ in range(3)] == [3] * 3
    wait_until(lambda: ring.fetch("short", build, 1) == 4)
    ring.close()


@pytest.mark.parametrize(
    ("ttl", "left_s"), [(100, 100), (2_592_000, 2_592_000), (3_456_000, 3_456_000), (0, None)]
)
def test_the_end_of_a_value_is_known_whatever_its_time_to_live(
    ttl: float, left_s: int | None, memcached: Memcached
) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    ring._cluster.nodes()[0].is_classic = True
    began = time.time()
    assert ring.fetch("page", lambda: b"built", ttl) == b"built"
    ended = time.time()
    with closing(Client(memcached.address)) as client:
        ends_at = open_envelope(client.get("page"), ENVELOPE)[0].ends_at
    if left_s is None:
        assert ends_at == 0
    else:
        assert began + left_s - 1 <= ends_at <= ended + left_s + 1
    ring.close()


def test_every_verb_has_its_classic_form() -> None:
    assert {call().verb for call in CALLS} | {"lease", "release", "invalidate", "stats"} == set(VERBS)
