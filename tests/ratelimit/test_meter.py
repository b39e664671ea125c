"""What each key asked for, by rule, status and hour."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.house.source import ROOT
from wsgistack.ratelimit.meter import HOUR_US, OTHERS, Meter
from wsgistack.ratelimit.rows import Usage, merge, read_folder

START = 498_888 * HOUR_US
A, B = ("api", b"a"), ("api", b"b")


def make(folder: Path | None, **options: int) -> Meter:
    return Meter(folder, **options)


@pytest.fixture(params=["memory", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where a meter counts."""
    return tmp_path if request.param == "folder" else None


def test_statuses_are_counted_by_class_and_hour(place: Path | None) -> None:
    meter = make(place)
    for status in (101, 200, 204, 301, 404, 429, 503, 999):
        meter.count(START, [A], status)
    meter.count(START + HOUR_US, [A, B], 200, would_refuse=[B])
    meter.count(START + HOUR_US, [A], 429, refused=[A])
    assert meter.usage() == [
        Usage(498_888, "api", b"a", (1, 2, 1, 2, 2, 0, 0)),
        Usage(498_889, "api", b"a", (0, 1, 0, 1, 0, 1, 0)),
        Usage(498_889, "api", b"b", (0, 1, 0, 0, 0, 0, 1)),
    ]
    assert [row.hour for row in meter.usage(since=498_889)] == [498_889] * 2


def test_a_count_is_corrected_in_its_own_hour(place: Path | None) -> None:
    meter = make(place)
    counted = meter.count(START, [A], 200)
    meter.count(START + HOUR_US, [B], 200)
    meter.correct(counted, 200, 500)
    assert meter.usage() == [
        Usage(498_888, "api", b"a", (0, 0, 0, 0, 1, 0, 0)),
        Usage(498_889, "api", b"b", (0, 1, 0, 0, 0, 0, 0)),
    ]


def test_a_late_response_counts_in_the_hour_that_is(place: Path | None) -> None:
    meter = make(place)
    meter.count(START + HOUR_US, [A], 200)
    meter.count(START, [A], 200)
    assert [(row.hour, row.counts[1]) for row in meter.usage()] == [(498_889, 2)]


def test_too_many_keys_are_counted_together_and_the_heaviest_known(place: Path | None) -> None:
    meter = make(place, max_keys=10)
    for number in range(2000):
        meter.count(START, [("api", b"%d" % (number % 100))], 200)
    for _ in range(50):
        meter.count(START, [("api", b"heavy")], 200)
        meter.count(START, [("other", b"x")], 200)
    rows = {(row.rule, row.key): row.counts[1] for row in meter.usage()}
    assert len(rows) == 12
    assert rows["api", OTHERS] == 1850
    assert rows["other", OTHERS] == 50
    assert sum(rows.values()) == 2100, "nothing is lost"
    top = meter.top(3)
    assert top[:2] == [("api", b"heavy", 50), ("other", b"x", 50)]
    assert top[2][2] == 20


def test_old_hours_are_dropped(place: Path | None) -> None:
    meter = make(place, keep_hours=3)
    for hour in range(6):
        meter.count(START + hour * HOUR_US, [A], 200)
    assert [row.hour - 498_888 for row in meter.usage()] == [3, 4, 5]


def test_processes_share_a_folder_and_restarts_lose_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        meter = make(tmp_path)
        meter.count(START, [A], 200)
        del meter
    assert [row.counts[1] for row in make(tmp_path).usage()] == [2]


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom wsgistack.ratelimit.meter import Meter\n"
        f"meter = Meter({str(tmp_path)!r})\n"
        f"for _ in range(1000): meter.count({START}, [('api', b'a')], 200)\n"
        "print('counted', flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"counted\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert merge(read_folder(tmp_path)) == [Usage(498_888, "api", b"a", (0, 1000, 0, 0, 0, 0, 0))]


def test_a_fork_counts_in_rows_of_its_own(tmp_path: Path) -> None:
    meter = make(tmp_path)
    meter.count(START, [A], 200)
    program = (
        "import os\nfrom wsgistack.ratelimit.meter import Meter\n"
        f"meter = Meter({str(tmp_path)!r})\n"
        f"meter.count({START}, [('api', b'a')], 200)\n"
        "children = [os.fork() for _ in range(2)]\n"
        f"for _ in range(500): meter.count({START}, [('api', b'a')], 200)\n"
        "if all(children): [os.waitpid(child, 0) for child in children]\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    assert [row.counts[1] for row in meter.usage()] == [1 + 1 + 4 * 500]


def test_threads_lose_nothing(place: Path | None, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    meter = make(place)

    def count() -> None:
        for _ in range(500):
            meter.count(START, [A], 200)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.counts[1] for row in meter.usage()] == [4000]


def test_without_room_counts_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = make(tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    meter.count(START, [A], 200)
    assert meter.trouble == f"meter: {tmp_path}: No space left on device"
    assert [row.counts[1] for row in meter.usage()] == [1]
    monkeypatch.undo()
    meter.count(START + HOUR_US, [A], 200)
    assert meter.trouble == ""
    assert [row.counts[1] for row in meter.usage()] == [1, 1]
