"""Metering in the data plane: each request counted once, by limit, key, status and hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.limited import LimitedWorld, make_limit
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.metering import Book, read_usage
from wsgistack.errors import SettingError
from wsgistack.ratelimit.clients import hash_credential
from wsgistack.ratelimit.usage import show_key

HOUR_S = 3600
ASKER = "192.0.2.9"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "usage")


def make(worlds: list[LimitedWorld], folder: str, *limits: Limit, **more: Any) -> LimitedWorld:
    world = LimitedWorld(*limits, **more)
    worlds.append(world)
    for plane in world.planes:
        plane.open_meter(folder)
    return world


def rows(folder: str) -> list[tuple[int, str, str, tuple[int, ...]]]:
    """Return (hour after the first, rule, key, counts) of all rows."""
    found = read_usage(folder, since=0)
    first = min(row.hour for row in found)
    return [(row.hour - first, row.rule, show_key(row.key), row.counts) for row in found]


def test_requests_are_counted_by_status_and_those_that_are_refused_twice(
    worlds: list[LimitedWorld], folder: str
) -> None:
    world = make(worlds, folder, make_limit("api", rate="2/minute"), workers=2)
    assert [world.ask(worker=worker).status for worker in (0, 1, 0, 1, 1)] == [200, 200, 429, 429, 429]
    assert rows(folder) == [(0, "api", ASKER, (0, 2, 0, 3, 0, 3, 0))]


def test_a_limit_that_only_watches_counts_whom_it_would_refuse(
    worlds: list[LimitedWorld], folder: str
) -> None:
    world = make(worlds, folder, make_limit("dry", rate="1/minute", dry_run="on"))
    assert world.statuses(3) == [200, 200, 200]
    assert rows(folder) == [(0, "dry", ASKER, (0, 3, 0, 0, 0, 0, 2))]


def test_who_is_not_limited_is_metered_all_the_same(worlds: list[LimitedWorld], folder: str) -> None:
    world = make(worlds, folder, make_limit("off", meter="off"), make_limit("all", 1, key="global"))
    assert world.statuses(2) == [200, 200]
    assert rows(folder) == [(0, "all", "*", (0, 2, 0, 0, 0, 0, 0))]


def test_a_credential_is_counted_as_the_wsgi_edge_counts_it_and_so_is_its_sender(
    worlds: list[LimitedWorld], folder: str
) -> None:
    world = make(worlds, folder, make_limit("api", key="header:x-key", rate="9/minute"))
    assert world.ask(("X-Key", "sesame")).status == 200
    found = {row.key: row.counts[1] for row in read_usage(folder, since=0)}
    assert found == {hash_credential("sesame"): 1, bytes([192, 0, 2, 9]): 1}


def test_hours_are_apart_and_a_request_belongs_to_that_in_which_it_ends(
    worlds: list[LimitedWorld], folder: str
) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"))
    assert world.ask().status == 200
    world.nodes[0].thinks_s = (9.0,)
    world.net.now += HOUR_S - world.net.clock()[1] % HOUR_S - 8
    world.tick_at = world.net.now
    world.run_for(1)
    late = world.visitor()
    late.send()
    assert late.read().status == 200
    assert rows(folder) == [
        (0, "api", ASKER, (0, 1, 0, 0, 0, 0, 0)),
        (1, "api", ASKER, (0, 1, 0, 0, 0, 0, 0)),
    ]


def test_keys_without_a_row_are_counted_together_and_the_heaviest_are_known_by_estimate(
    worlds: list[LimitedWorld], folder: str
) -> None:
    world = make(worlds, folder, make_limit("api", key="header:x-key", rate="99/minute"))
    world.planes[0].open_meter(folder, most=2)
    for key, times in (("a", 1), ("b", 3), ("c", 2)):
        assert world.statuses(times, ("X-Key", key)) == [200] * times
    found = {row.key: row.counts[1] for row in read_usage(folder, since=0)}
    assert found == {hash_credential("a"): 1, bytes([192, 0, 2, 9]): 6, b"(others)": 5}
    assert sorted(world.board.top(0, heavy=True).values()) == [2, 3]


def test_who_left_before_he_was_answered_is_not_counted(worlds: list[LimitedWorld], folder: str) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"))
    world.nodes[0].thinks_s = (5.0,)
    visitor = world.visitor()
    visitor.send()
    world.run_for(0.1)
    world.net.shut(visitor.end, reset=True)
    world.run_for(6)
    assert rows(folder) == [(0, "api", ASKER, (0, 0, 0, 0, 0, 0, 0))]


def test_what_a_worker_counted_outlives_it(worlds: list[LimitedWorld], folder: str) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"), workers=2)
    assert world.ask(worker=0).status == 200
    world.crash(0)
    world.planes[0].open_meter(folder)
    assert world.ask(worker=0).status == 200
    assert rows(folder) == [(0, "api", ASKER, (0, 2, 0, 0, 0, 0, 0))]


def test_nothing_is_counted_any_more_once_it_is_switched_off(worlds: list[LimitedWorld], folder: str) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"))
    world.nodes[0].thinks_s = (1.0,)
    visitor = world.visitor()
    visitor.send()
    world.run_for(0.1)
    world.planes[0].open_meter("")
    assert visitor.read().status == world.ask().status == 200
    assert rows(folder) == [(0, "api", ASKER, (0, 0, 0, 0, 0, 0, 0))]


def test_without_room_requests_go_on_and_are_told_as_unmetered(
    worlds: list[LimitedWorld], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"))

    def refuse(self: Book, *row: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Book, "add", refuse)
    assert world.statuses(3) == [200, 200, 200]
    assert world.board.limit(0)["unmetered"] == 3
    monkeypatch.undo()
    world.run_for(2)
    assert world.ask().status == 200
    assert rows(folder) == [(0, "api", ASKER, (0, 1, 0, 0, 0, 0, 0))]


def test_a_folder_that_cannot_be_is_refused_and_the_one_before_goes_on(
    worlds: list[LimitedWorld], folder: str, tmp_path: Path
) -> None:
    world = make(worlds, folder, make_limit("api", rate="9/minute"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"meter: .*file: File exists"):
        world.planes[0].open_meter(str(tmp_path / "file"))
    assert world.ask().status == 200
    assert rows(folder) == [(0, "api", ASKER, (0, 1, 0, 0, 0, 0, 0))]
