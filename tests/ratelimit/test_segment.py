"""Shared memory that workers find by themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsgistack.errors import StoreDown
from wsgistack.ratelimit.segment import open_segment, workers_name


def test_children_of_one_parent_share_and_others_do_not(tmp_path: Path) -> None:
    first, second = (open_segment(4096, "ab", folder=tmp_path) for _ in range(2))
    first.memory[5] = 7
    assert (second.memory[5], second.secret) == (7, first.secret)
    assert len(first.secret) == 16 and first.secret != bytes(16)
    for other in (
        open_segment(4096, "cd", folder=tmp_path),
        open_segment(4096, "ab", folder=tmp_path, parent=os.getpid()),
    ):
        assert other.memory[5] == 0


def test_files_of_parents_that_are_gone_are_removed(tmp_path: Path) -> None:
    ours = tmp_path / workers_name("ab")
    for name in (f"wsgistack-limits-{os.getpid()}-1-ab", "wsgistack-limits-999999999-5-cd", "wsgistack-mine"):
        (tmp_path / name).write_text("")
    open_segment(4096, "ab", folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ours.name, "wsgistack-mine"])


def test_what_is_not_ours_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / workers_name("ab")
    path.write_bytes(b"x" * 8192)
    path.chmod(0o666)
    with pytest.raises(StoreDown, match="is not a file of this user alone"):
        open_segment(4096, "ab", folder=tmp_path)
    path.chmod(0o600)
    with pytest.raises(StoreDown, match="another program's file has its name"):
        open_segment(4096, "ab", folder=tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDown, match="symbolic links"):
        open_segment(4096, "ab", folder=tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreDown, match="No such file or directory"):
        open_segment(4096, "ab", folder=tmp_path / "none")


def test_another_size_is_another_file(tmp_path: Path) -> None:
    open_segment(4096, "ab", folder=tmp_path)
    with pytest.raises(StoreDown, match="is not a file of this user alone"):
        open_segment(8192, "ab", folder=tmp_path)
