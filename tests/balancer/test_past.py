"""Counters of balancers before us: added while they drain, kept when they are gone."""

import json
from typing import Any

from tests.balancer.pictures import make_service_counts
from tests.balancer.stage import make_counts
from wsgistack.balancer.outside import NodeCounts
from wsgistack.balancer.past import Past


def counts(**numbers: Any) -> NodeCounts:
    row = make_counts()
    row.update(numbers)  # type: ignore[typeddict-item]  # names of its fields
    return row


BEFORE = counts(
    attempts=5, handed=4, requests=3, in_flight=2, open=1, lastattempt=100.0, responsecodes={200: 2, 404: 1}
)
NOW = counts(attempts=1, handed=1, requests=1, in_flight=1, open=1, lastattempt=90.0, responsecodes={200: 1})


def make(counted: dict[int, Any] | None = None) -> Past:
    return Past(counted, lambda slot: BEFORE if slot == 7 else make_counts())


def over_the_wire(exported: object) -> Any:
    return json.loads(json.dumps(exported))


def test_without_a_past_counts_are_what_they_are() -> None:
    assert Past().add(7, NOW) == NOW


def test_while_it_drains_its_counts_and_its_requests_in_flight_are_added() -> None:
    past = make()
    both = past.add(7, NOW)
    assert (both["attempts"], both["requests"], both["in_flight"], both["open"]) == (6, 4, 3, 2)
    assert both["lastattempt"] == 100.0
    assert both["responsecodes"] == {200: 3, 404: 1}
    assert past.add(8, NOW) == NOW


def test_when_it_is_gone_its_counts_stay_and_its_requests_in_flight_do_not() -> None:
    past = make()
    past.settle(range(16))
    both = past.add(7, NOW)
    assert (both["attempts"], both["in_flight"], both["open"]) == (6, 1, 1)
    past.settle(range(16))
    assert past.add(7, NOW) == both


def test_what_is_exported_goes_on_counting_in_the_next_one() -> None:
    past = make()
    exported = over_the_wire(past.export(range(16)))
    assert list(exported) == ["7"]
    again = make({int(slot): counts for slot, counts in exported.items()})
    assert again.add(7, NOW)["attempts"] == 11
    assert again.add(7, NOW)["responsecodes"] == {200: 5, 404: 2}


def test_a_row_that_is_given_to_another_address_is_forgotten() -> None:
    past = make({7: dict(BEFORE)})
    past.forget(7)
    assert past.add(7, NOW) == NOW
    past.settle(range(16))
    assert past.add(7, NOW) == NOW


def test_a_service_keeps_its_counters_when_it_gets_another_row() -> None:
    before = make_service_counts()
    before["requests"], before["in_flight"] = 10, 2
    before["responses"] = {1: 0, 2: 9, 3: 0, 4: 0, 5: 1}
    before["latency"][1] = 10
    before["queue"] = {"normal": (2, 1.5), "highpri": (0, 0.0), "lowpri": (0, 0.0)}
    rows = {3: before}
    first = Past()
    told = over_the_wire(first.export_named({"mysite": 3, "old": 4}))
    past = Past()
    past.follow({"new": 3, "mysite": 5}, told, rows.__getitem__)

    now = make_service_counts()
    now["requests"], now["latency"] = 1, [1] * 64
    now["responses"] = {1: 0, 2: 1, 3: 0, 4: 0, 5: 0}
    now["queue"] = {"normal": (1, 0.5), "highpri": (0, 0.0), "lowpri": (0, 0.0)}
    both = past.add(5, now)
    assert (both["requests"], both["in_flight"]) == (11, 2)
    assert both["responses"] == {1: 0, 2: 10, 3: 0, 4: 0, 5: 1}
    assert both["latency"][:3] == [1, 11, 1]
    assert next(iter(both["queue"].items())) == ("normal", (3, 1.5))
    assert past.add(3, now) == now  # a new one, where the old one had it

    soon = Past()  # an upgrade while the one before that still drains
    soon.follow({"mysite": 0}, over_the_wire(past.export_named({"mysite": 5})), None)
    assert (soon.add(0, now)["requests"], soon.add(0, now)["in_flight"]) == (11, 0)

    past.settle(range(64))
    after = past.add(5, now)
    assert (after["requests"], after["in_flight"], after["queue"]["normal"]) == (11, 0, (1, 0.5))

    told = over_the_wire(past.export_named({"mysite": 5}))
    last = Past()
    last.follow({"mysite": 0}, told, None)  # a scoreboard of another version cannot be read
    assert last.add(0, now)["requests"] == 11
    assert last.add(0, now)["responses"] == {1: 0, 2: 10, 3: 0, 4: 0, 5: 1}


def test_buckets_of_another_version_are_left_out() -> None:
    past = Past()
    past.follow({"mysite": 0}, {"mysite": {"row": 0, "counted": {"latency": [1, 2]}}}, None)
    assert past.add(0, make_service_counts()) == make_service_counts()
