"""One node: what opens its breaker, what is noted, and how it comes back."""

from __future__ import annotations

from wsgistack.store.memcached import requests
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.nodes import Node


def make_node() -> tuple[Node, list[str]]:
    """Return a node and the list of what it told."""
    told: list[str] = []
    return Node(Address("10.0.0.1", 11211), limit_s=0.2, on_away=lambda node: told.append(node.state)), told


def test_lost_writes_are_dirty_and_lost_reads_are_not() -> None:
    node, told = make_node()
    calls = [
        *(requests.get(b"a"), requests.get_many([b"b"]), requests.touch(b"c", 1)),
        *(
            requests.store("set", b"d", b"", 0, 0),
            requests.delete_many([b"e", b"f"]),
            requests.arithmetic(b"g", 1),
        ),
        *(requests.invalidate(b"h", 1), requests.count_many([b"i"], 1, 1, 0)),
    ]
    node.broke("lost", calls)
    assert node.journal.has_overflowed is False
    assert sorted(node.journal.take(99).keys) == [b"d", b"e", b"f", b"g", b"h", b"i"]
    assert (node.state, node.reason, told) == ("down", "lost", ["down"])


def test_a_lost_removal_of_all_makes_all_dirty() -> None:
    node, _ = make_node()
    node.broke("timeout", [requests.flush()])
    assert node.journal.take(9).overflowed is True


def test_a_second_failure_tells_nobody_again() -> None:
    node, told = make_node()
    node.broke("timeout", ())
    node.broke("refused", [requests.delete_many([b"a"])])
    assert (told, node.reason, node.journal.take(9).keys) == (["down"], "timeout", [b"a"])
    assert (node.counters.timeouts, node.counters.failures, node.counters.outages) == (1, 1, 1)


def test_a_node_is_read_only_when_it_is_clean() -> None:
    node, _ = make_node()
    node.broke("lost", [requests.delete_many([b"a"])])
    assert node.end_return() is False
    node.begin_return()
    assert (node.state, node.may_write, node.may_read) == ("returning", True, False)
    assert node.end_return() is False
    load = node.journal.take(9)
    assert node.end_return() is False
    node.journal.settle(load)
    assert (node.end_return(), node.state) == (True, "up")


def test_what_fails_while_it_returns_keeps_it_away() -> None:
    node, told = make_node()
    node.broke("lost", ())
    node.begin_return()
    node.broke("timeout", [requests.delete_many([b"a"])])
    assert (node.end_return(), node.state, told) == (False, "down", ["down", "down"])


def test_a_write_goes_past_a_node_only_while_it_takes_none() -> None:
    node, _ = make_node()
    assert node.divert([b"a"], "10.0.0.2:11211") is False
    node.broke("lost", ())
    assert node.divert([b"a"], "10.0.0.2:11211") is True
    assert node.begin_return() == ([(b"a", "10.0.0.2:11211")], set())
    assert node.divert([b"b"]) is True
    assert node.begin_return() == ([], set())
    assert node.divert([b"c"]) is False
    assert sorted(node.journal.take(9).keys) == [b"a", b"b"]


def test_what_is_owed_to_a_node_in_use_is_dirty_there() -> None:
    node, told = make_node()
    node.owe([b"a"])
    assert (node.state, told, node.journal.holds(b"a"), node.journal.holds(b"b")) == ("up", [], True, False)
    node.owe([], everything=True)
    assert node.journal.holds(b"b")


def test_another_process_is_noticed() -> None:
    node, _ = make_node()
    node.is_classic = False
    for pid, restarts, asked_again in [(b"7", 0, False), (b"7", 0, False), (b"8", 1, True)]:
        node.meet({b"pid": pid})
        assert (node.counters.restarts, node.is_classic is None) == (restarts, asked_again)
