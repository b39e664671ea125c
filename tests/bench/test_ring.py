"""The bench of the ring: its delay takes its time, its tables say what was measured."""

from __future__ import annotations

import socket
import time

import pytest

from bench.ring import FIGURES, OURS, Bench, Figure, _delay, _table, _verdicts
from bench.ring_peers import PEERS
from tools.real_memcached import Memcached

FIGURE = Figure("a figure", "get", "us", aim=25)


def test_the_delay_takes_its_time_and_changes_nothing(memcached: Memcached) -> None:
    with _delay(memcached.port) as port, socket.create_connection(("127.0.0.1", port)) as way:
        began = time.perf_counter()
        way.sendall(b"version\r\n")
        assert way.recv(100).startswith(b"VERSION 1.")
        assert time.perf_counter() - began >= 0.0023


@pytest.mark.slow
def test_a_measurement_gives_a_number() -> None:
    bench = Bench(core=0, seconds=0.05)
    with bench.servers(1) as servers:
        found = bench.ask("wsgistack", FIGURES[0], [servers[0].address])
    assert found["us"] > 1


@pytest.mark.slow
@pytest.mark.parametrize(("figure", "unit", "most"), [(OURS[0], "builds", 1), (OURS[1], "gap_ms", 500)])
def test_what_only_the_ring_does_is_measured(figure: Figure, unit: str, most: float) -> None:
    bench = Bench(core=0, seconds=0.05)
    with bench.servers(1) as servers:
        found = bench.ask("wsgistack", figure, [servers[0].address])
    assert 0 < found[unit] <= most


def test_a_table_compares_with_ours() -> None:
    results = {"wsgistack": [{"us": 10.0}, {"us": 30.0}, {"us": 20.0}], "other": [{"us": 50.0}]}
    lines = _table(FIGURE, results)
    assert lines[-2:] == ["| wsgistack | 20.00 | 1.00 |", "| other | 50.00 | 2.50 |"]


@pytest.mark.parametrize(("us", "word"), [(24.0, "met"), (26.0, "**missed**")])
def test_an_aim_is_met_or_missed(us: float, word: str) -> None:
    assert _verdicts([(FIGURE, {"wsgistack": [{"us": us}]})])[-1].endswith(f"| <= 25 | {word} |")


def test_the_peers_of_the_development_requirements_are_here() -> None:
    assert [name for name, peer in PEERS.items() if peer.find()][:3] == [
        *("wsgistack", "HashClient", "HashClient pooled"),
    ]
