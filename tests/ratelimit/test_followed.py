"""A file that is read once for each change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.followed import FollowedFile


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("a")
    file = FollowedFile(path, setting="deny_file", most_bytes=9)
    assert (file.read(), file.read()) == (b"a", None)
    path.write_text("ab")
    assert (file.read(), file.read()) == (b"ab", None)
    file.forget()
    assert file.read() == b"ab"


def test_a_file_that_comes_back_is_read_though_it_is_the_same(tmp_path: Path) -> None:
    path, away = tmp_path / "list", tmp_path / "away"
    path.write_text("a")
    file = FollowedFile(path, setting="deny_file", most_bytes=9)
    assert file.read() == b"a"
    path.rename(away)
    for _ in range(2):
        with pytest.raises(SettingError, match=f"deny_file: {path}: No such file"):
            file.read()
    away.rename(path)
    assert file.read() == b"a"


def test_a_file_that_is_too_large_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("0123456789")
    file = FollowedFile(path, setting="deny_file", most_bytes=9)
    with pytest.raises(SettingError, match="more than 9 bytes"):
        file.read()
    assert file.read() is None


@pytest.mark.parametrize("name", ["rules_file", "allow_file", "deny_file"])
def test_a_pipe_or_a_device_is_refused_and_what_takes_its_place_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "list"
    path.write_text("a")
    file = FollowedFile(path, setting=name, most_bytes=9)
    assert file.read() == b"a"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SettingError, match=f"{name}: {path}: not a regular file"):
        file.read()
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(SettingError, match=f"{name}: {path}: not a regular file"):
        file.read()
    path.unlink()
    path.write_text("b")
    assert file.read() == b"b"


def test_it_is_due_a_second_after_it_was_read(tmp_path: Path) -> None:
    path, now = tmp_path / "list", [5.0]
    path.write_text("a")
    file = FollowedFile(path, setting="deny_file", most_bytes=9, monotonic=lambda: now[0])
    file.read()
    found = []
    for now[0] in (5.0, 5.9, 6.0):
        found.append(file.is_due())
    assert found == [False, False, True]
