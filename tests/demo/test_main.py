"""The demo's configuration carries the ports that were chosen."""

import re
from pathlib import Path

import pytest

from demo.__main__ import CONFIGURATION, HINTS, PORTS, is_healthy, make_stage


def test_with_free_ports_no_default_port_is_left_in_the_configuration(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, free_ports=True, loud=False)
    written = stage.balancer.configuration.read_text()
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", written)}
    assert len(ports) == 5
    assert not ports & set(PORTS.values())
    assert f"SET listen = {stage.site}\n" in written
    assert f"SET listen = {stage.admin}\n" in written
    assert all(f"POOL mypool ADD {backend.address}\n" in written for backend in stage.pool)
    assert stage.spare.address not in written


def test_the_default_ports_are_those_of_the_file() -> None:
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", CONFIGURATION.read_text())}
    assert ports == set(PORTS.values()) - {PORTS["spare"]}


@pytest.mark.parametrize(
    "lines, healthy",
    [
        pytest.param(["127.0.0.1:8001 attempts 3", "127.0.0.1:8001 health mypool up", "."], True, id="up"),
        pytest.param(["127.0.0.1:8001 health mypool unchecked", "."], False, id="not yet looked at"),
        pytest.param(["127.0.0.1:8001 health mypool down", "."], False, id="too slow to start"),
        pytest.param(["127.0.0.1:8002 health mypool up", "."], False, id="another"),
    ],
)
def test_the_story_begins_when_a_node_is_found_well(lines: list[str], healthy: bool) -> None:
    assert is_healthy(lines, "127.0.0.1:8001") is healthy


def test_every_request_that_the_hints_name_is_a_whole_command() -> None:
    curls = [re.split(r" {2,}", line.strip())[0] for line in HINTS.splitlines() if "curl" in line]
    assert [curl.split()[-1].removeprefix("http://{site}/") for curl in curls] == ["", "news", ""]
    assert any(" -d " in curl for curl in curls)
