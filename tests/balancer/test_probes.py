"""When checks are made: not too many at once, and nodes that do not answer never delay the others."""

import time
from collections import Counter

import gevent
import gevent.event
import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer import probes
from wsgistack.balancer.model import HealthCheck, ProbeResult
from wsgistack.balancer.probes import MOST_SUSPECTED, Pace, Probes

HOLES = 150
PATIENCE_S = 60.0


class Field:
    """Nodes of which all but 10.1.0.1 answer nothing until `released`, and the probes that ask them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = Stage()
        self.stage.do("CREATE POOL mypool", "SET health_interval = 50ms", "SET health_fast_interval = 50ms")
        for n in range(HOLES):
            self.stage.do(f"POOL mypool ADD 10.0.0.{n}")
        self.stage.do("POOL mypool ADD 10.1.0.1")
        self.ended: Counter[str] = Counter()
        self.kinds: list[str] = []  # of the checks of the good one
        self.waiting = 0
        self.released = gevent.event.Event()
        monkeypatch.setattr(probes, "perform", self.perform)
        self.probes = Probes(self.stage.control, lambda fact: self.stage.control.absorb(fact, time.time()))

    def perform(self, check: HealthCheck) -> ProbeResult:
        good = check.node.startswith("10.1.")
        if not good and self.stage.control.is_suspected(check.pool, check.node):
            self.waiting += 1
            self.released.wait()
            self.waiting -= 1
        self.ended[check.node] += 1
        self.kinds += [check.kind] if good else []
        return ProbeResult(check.pool, check.node, good, "" if good else "no answer within 1 s")

    def until(self, is_so: object) -> None:
        assert callable(is_so)
        with gevent.Timeout(PATIENCE_S):
            while not is_so():
                gevent.sleep(0.01)


def test_nodes_that_do_not_answer_never_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(monkeypatch)
    field.probes.refresh()
    try:
        field.until(lambda: field.waiting == MOST_SUSPECTED)
        before = field.ended["10.1.0.1:80"]
        field.until(lambda: field.ended["10.1.0.1:80"] >= before + 5)
        assert field.waiting == MOST_SUSPECTED
        field.released.set()
        field.until(lambda: min(field.ended[f"10.0.0.{n}:80"] for n in range(HOLES)) >= 3)
    finally:
        field.probes.stop()


def test_a_check_that_is_set_anew_replaces_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(monkeypatch)
    field.probes.refresh()
    try:
        field.until(lambda: len(field.kinds) >= 2)
        field.stage.do("USE mypool", "SET health_check = http")
        field.probes.refresh()
        field.until(lambda: field.kinds[-4:] == ["http"] * 4)
        first = field.kinds.index("http")  # what was under way may have ended before it, but nothing after
        assert set(field.kinds[:first]) == {"tcp"}
        assert set(field.kinds[first:]) == {"http"}
    finally:
        field.probes.stop()


def test_what_begins_is_spread_over_time() -> None:
    pace = Pace(most_a_second=100)
    waits = [pace.wait(10.0) for _ in range(3)] + [pace.wait(10.5)]
    assert waits == pytest.approx([0.0, 0.01, 0.02, 0.0])
