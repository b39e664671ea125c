"""Rows of counts in files that outlive their process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.rows import CHUNK_ROWS, RowFile, Usage, drop_old, make_folder, merge, read_folder


def test_what_is_counted_is_in_the_file_at_once(tmp_path: Path) -> None:
    file = RowFile(tmp_path, 7)
    row = file.add("api", b"\xc0\x00\x02\x01")
    row[1] += 3
    row[6] += 2**40
    assert list(read_folder(tmp_path)) == [Usage(7, "api", b"\xc0\x00\x02\x01", (0, 3, 0, 0, 0, 0, 2**40))]


def test_a_file_grows(tmp_path: Path) -> None:
    file = RowFile(tmp_path, 7)
    for number in range(CHUNK_ROWS + 5):
        file.add("r" * 64, number.to_bytes(4, "big"))[1] += number
    rows = list(read_folder(tmp_path))
    assert [row.counts[1] for row in rows] == list(range(CHUNK_ROWS + 5))
    assert {row.rule for row in rows} == {"r" * 64}


def test_a_key_that_is_too_long_is_known_by_its_hash(tmp_path: Path) -> None:
    file = RowFile(tmp_path, 7)
    file.add("r", b"x" * 30)
    file.add("r", b"x" * 31)
    first, second = read_folder(tmp_path)
    assert (first.key, len(second.key)) == (b"x" * 30, 16)


def test_rows_about_the_same_are_one(tmp_path: Path) -> None:
    files = [RowFile(tmp_path, hour) for hour in (8, 7, 7)]
    for file in files:
        file.add("r", b"k")[1] += 2
    assert merge(read_folder(tmp_path)) == [
        Usage(7, "r", b"k", (0, 4, 0, 0, 0, 0, 0)),
        Usage(8, "r", b"k", (0, 2, 0, 0, 0, 0, 0)),
    ]
    assert [row.hour for row in read_folder(tmp_path, since=8)] == [8]


def test_what_is_old_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    files = [RowFile(tmp_path, hour) for hour in (5, 7)]
    files[0].add("r", b"k")
    files[1].add("r", b"k")
    (tmp_path / "3-note.txt").write_text("mine")
    (tmp_path / "4-1-ab.usage").write_text("none of ours")
    assert [row.hour for row in read_folder(tmp_path)] == [5, 7]
    drop_old(tmp_path, 7)
    assert [row.hour for row in read_folder(tmp_path)] == [7]
    assert (tmp_path / "3-note.txt").exists()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=f"meter: {tmp_path / 'file'}: File exists"):
        make_folder(tmp_path / "file")


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    RowFile(tmp_path, 7).add("r", b"k")
    os.mkfifo(tmp_path / "7-1-a.usage")
    (tmp_path / "7-2-a.usage").mkdir()
    assert [row.key for row in read_folder(tmp_path)] == [b"k"]


def test_a_row_that_is_being_made_is_passed_over(tmp_path: Path) -> None:
    file = RowFile(tmp_path, 7)
    file.add("r", b"k")
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: 4096 + 152 + 100])
    assert len(list(read_folder(tmp_path))) == 1
