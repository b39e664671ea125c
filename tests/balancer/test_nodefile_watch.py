"""A nodefile that is written, replaced, cut short, removed."""

import os
from pathlib import Path

import pytest

from wsgistack.balancer.files import Disk
from wsgistack.balancer.nodefile_watch import News, NodefileWatch

DISK = Disk()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A nodefile that was written at second 1000."""
    file = tmp_path / "nodes"
    write(file, "10.0.0.1\n", at=1000.0)
    return file


@pytest.fixture
def watch(file: Path) -> NodefileWatch:
    """Looked at once, long after it was written."""
    watch = NodefileWatch(str(file))
    assert watch.look(DISK, 1010.0) == News("10.0.0.1\n")
    return watch


def write(file: Path, text: str, *, at: float) -> None:
    file.write_text(text)
    os.utime(file, (at, at))


def test_what_does_not_change_is_no_news(watch: NodefileWatch) -> None:
    assert [watch.look(DISK, 1010.0 + n) for n in range(3)] == [None] * 3


def test_a_change_is_read_once_it_rests(file: Path, watch: NodefileWatch) -> None:
    write(file, "10.0.0.1", at=1020.0)
    assert watch.look(DISK, 1020.5) is None
    write(file, "10.0.0.1\n10.0.0.2\n", at=1021.0)
    assert watch.look(DISK, 1021.5) is None
    assert watch.look(DISK, 1022.5) == News("10.0.0.1\n10.0.0.2\n")
    assert watch.look(DISK, 1023.5) is None


def test_a_file_renamed_over_it_is_seen_though_time_and_size_are_the_same(
    file: Path, watch: NodefileWatch
) -> None:
    other = file.with_name("other")
    write(other, "10.0.0.9\n", at=1000.0)
    other.rename(file)
    assert [watch.look(DISK, 1020.0), watch.look(DISK, 1021.0)] == [None, News("10.0.0.9\n")]


def test_a_second_change_within_one_tick_of_the_clock_is_seen(file: Path, watch: NodefileWatch) -> None:
    write(file, "10.0.0.2\n", at=1020.0)
    assert watch.look(DISK, 1020.1) is None
    assert watch.look(DISK, 1020.2) == News("10.0.0.2\n")
    inode = os.stat(file).st_ino
    write(file, "10.0.0.3\n", at=1020.0)
    assert os.stat(file).st_ino == inode
    assert watch.look(DISK, 1021.2) == News("10.0.0.3\n")


def test_a_file_that_vanishes_is_told_once_and_so_is_its_return(file: Path, watch: NodefileWatch) -> None:
    file.unlink()
    assert watch.look(DISK, 1020.0) == News(error="No such file or directory")
    assert watch.look(DISK, 1021.0) is None
    write(file, "10.0.0.1\n", at=1000.0)
    assert watch.look(DISK, 1022.0) is None
    assert watch.look(DISK, 1023.0) == News("10.0.0.1\n")
    assert watch.look(DISK, 1024.0) is None


def test_a_directory_in_its_place_is_told(file: Path, watch: NodefileWatch) -> None:
    file.unlink()
    file.mkdir()
    assert watch.look(DISK, 1020.0) is None
    news = watch.look(DISK, 1021.0)
    assert news is not None and news.error
