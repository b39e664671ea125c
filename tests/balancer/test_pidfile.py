"""The pidfile: written whole, moved, removed if it is still ours."""

import os
from pathlib import Path

import pytest

from wsgistack.balancer.pidfile import Pidfile


def test_it_holds_our_number_and_goes_with_us(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.put(str(tmp_path / "pid"))
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert list(tmp_path.iterdir()) == []


def test_another_path_takes_its_place(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.put(str(tmp_path / "a"))
    pidfile.put(str(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    pidfile.put("")
    assert list(tmp_path.iterdir()) == []


def test_one_that_a_successor_wrote_is_left_alone(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.put(str(tmp_path / "pid"))
    (tmp_path / "pid").write_text("1\n")
    pidfile.remove()
    assert (tmp_path / "pid").read_text() == "1\n"


def test_a_pipe_in_its_place_is_left_alone(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.put(str(tmp_path / "pid"))
    (tmp_path / "pid").unlink()
    os.mkfifo(tmp_path / "pid")
    pidfile.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


def test_a_path_that_cannot_be_leaves_the_one_before(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.put(str(tmp_path / "pid"))
    with pytest.raises(FileNotFoundError):
        pidfile.put(str(tmp_path / "nope" / "pid"))
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]
    pidfile.remove()
    pidfile.remove()
