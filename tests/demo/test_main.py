"""The demo's configuration carries the ports that were chosen."""

import re
from pathlib import Path

from demo.__main__ import CONFIGURATION, PORTS, make_stage


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
