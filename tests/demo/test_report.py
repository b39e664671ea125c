"""A story that did not hold says what somebody needs who cannot play it again."""

import socket
from pathlib import Path
from threading import Thread

import pytest

from demo.__main__ import make_stage
from demo.processes import Trouble
from demo.report import LOG_LINES, tell
from demo.story import Stage, _must_be_clean
from demo.visitors import Load


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return make_stage(tmp_path, free_ports=True, loud=False)


def test_it_ends_with_what_went_wrong_and_has_the_end_of_the_log(stage: Stage) -> None:
    stage.balancer.log.write_text("".join(f"line {number}\n" for number in range(LOG_LINES + 1)))
    told = tell(stage, Trouble("2 failed\nfirst\nsecond"))
    assert told[-4:] == ["-- demo: the story did not hold", "   Trouble: 2 failed", "   first", "   second"]
    assert "line 1" in told
    assert "line 0" not in told


def test_a_balancer_that_is_gone_is_told_too(stage: Stage) -> None:
    assert any("does not answer" in line for line in tell(stage, OSError("refused")))


def test_it_has_what_the_admin_port_says_of_the_nodes(stage: Stage) -> None:
    host, _, port = stage.admin.rpartition(":")
    with socket.create_server((host, int(port))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100) == b"nodes\r\n"
                connection.sendall(b"127.0.0.1:1 health mypool down\r\n.\r\n")

        thread = Thread(target=answer)
        thread.start()
        told = tell(stage, Trouble("x"))
        thread.join()
    assert "   nodes: 127.0.0.1:1 health mypool down" in told


def test_every_failure_is_told_with_its_time() -> None:
    load = Load("127.0.0.1:1")
    load.failures += ["2026-01-01T00:00:00.000Z one", "2026-01-01T00:00:01.000Z two"]
    with pytest.raises(Trouble, match=r"2 of 2 requests failed.*:\n2026.*one\n2026.*two"):
        _must_be_clean(load)
