"""The keeper's place, as far as it can be seen without a process."""

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gevent.event import Event

from wsgistack.balancer.events import Log
from wsgistack.balancer.keeping import MOST_SILENT, Keeping, choose_folder
from wsgistack.balancer.language.replies import Error, Order


def never() -> Any:
    """Start no keeper: nobody needs one here."""
    raise AssertionError("a keeper was started")


def make_keeping(folder: Path) -> Keeping:
    """Return the place of a keeper that nobody has needed yet."""
    board: Any = SimpleNamespace(ready=None)
    return Keeping(board, str(folder), Log(lambda line: None), Event(), start=never)


def test_the_folder_is_made_when_it_is_needed_for_us_alone_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    keeping = make_keeping(folder)
    assert not folder.exists()
    keeping.prepare()
    keeping.prepare()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "k0").touch()
    keeping.close()
    assert not folder.exists()


def test_nobody_elses_folder_is_touched(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    make_keeping(folder).close()
    assert folder.exists()


def test_no_two_balancers_choose_the_same_folder() -> None:
    assert choose_folder() != choose_folder()


def test_without_a_service_that_has_a_cache_there_is_no_keeper(tmp_path: Path) -> None:
    keeping = make_keeping(tmp_path / "x")
    keeping.publish({"snapshot": {"version": 1, "services": {"mysite": {"cache": None}}}})
    assert keeping.seat is None
    assert keeping.wait() == ""
    assert keeping.perform(Order(("pages",), "stats", "", True)) == Error(
        "the keeper of the page caches is not there; try again"
    )


def make_watched(tmp_path: Path) -> tuple[Keeping, list[str], Any]:
    """Return a place, what happened there, and a seat that has no process."""
    happened: list[str] = []
    board: Any = SimpleNamespace(ready=None)
    log = Log(lambda line: happened.append(line.split()[2]))
    keeping = Keeping(board, str(tmp_path / "x"), log, Event(), start=never)
    seat: Any = SimpleNamespace(pid=7, kill=lambda: happened.append("killed"))
    keeping.seat = seat
    return keeping, happened, seat


def test_a_keeper_that_says_nothing_any_more_is_killed_once(tmp_path: Path) -> None:
    keeping, happened, seat = make_watched(tmp_path)
    keeping.hear(seat, {"type": "alive"})
    for _ in range(MOST_SILENT - 1):
        keeping.look()
    assert happened == []
    keeping.look()
    keeping.look()
    assert happened == ["keeper_stuck", "killed"]


def test_a_keeper_that_speaks_lives(tmp_path: Path) -> None:
    keeping, happened, seat = make_watched(tmp_path)
    for _ in range(3 * MOST_SILENT):
        keeping.hear(seat, {"type": "alive"})
        keeping.look()
    assert happened == []


def test_a_keeper_that_starts_may_take_its_time(tmp_path: Path) -> None:
    keeping, happened, seat = make_watched(tmp_path)
    keeping.hear(seat, {"type": "alive"})
    keeping.lost(seat)
    for _ in range(3 * MOST_SILENT):
        keeping.look()
    assert happened == []
