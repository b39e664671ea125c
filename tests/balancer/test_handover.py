"""What one control plane exports the next one knows again: rows, health, names."""

import json

from tests.balancer.stage import Stage
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.model import ProbeResult, Resolved

LINES = [
    "create pool mypool",
    "pool mypool add 10.0.0.1",
    "pool mypool add app.example:81",
]


def successor(stage: Stage, *lines: str) -> Stage:
    exported = json.loads(json.dumps(stage.control.export()))
    again = Stage()
    again.control.restore(exported)
    again.do(*lines)
    again.control.restore_names(exported)
    return again


def test_rows_health_and_names_go_on_in_the_next_one() -> None:
    stage = Stage()
    stage.do("create pool first", "pool first add 10.9.9.9", *LINES)
    stage.control.absorb(Resolved("app.example", (Record("10.1.0.1"),)), 1000.0)
    for second in range(3):
        stage.control.absorb(ProbeResult("mypool", "10.0.0.1:80", False, "refused"), 1000.0 + second)
    again = successor(stage, *LINES)
    assert again.control.snapshot.pools["mypool"].nodes == stage.control.snapshot.pools["mypool"].nodes
    assert [node.up for node in again.control.snapshot.pools["mypool"].nodes] == [False, True]
    again.do("pool mypool add 10.0.0.2")
    assert again.control.snapshot.pools["mypool"].nodes[-1].slot == 3


def test_a_name_that_is_not_in_the_file_any_more_is_not_known() -> None:
    stage = Stage()
    stage.do(*LINES)
    stage.control.absorb(Resolved("app.example", (Record("10.1.0.1"),)), 1000.0)
    again = successor(stage, *LINES[:2])
    assert again.say("names") == ["."]
    again.do(LINES[2])
    assert len(again.control.snapshot.pools["mypool"].nodes) == 1


def test_what_another_version_knows_besides_is_passed_over() -> None:
    stage = Stage()
    stage.control.restore(
        {
            "health": [["mypool", "10.0.0.1:80", {"state": "down", "passed": False, "aura": "green"}]],
            "moon": 1,
        }
    )
    stage.do(*LINES[:2])
    assert stage.say("node 10.0.0.1")[-2].startswith("10.0.0.1:80 health mypool down")
