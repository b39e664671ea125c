"""Files read and written on a real disk, a full one and a read-only one included."""

import errno
import os
from pathlib import Path

import pytest

from wsgistack.balancer.files import LONGEST_BYTES, Disk, write_atomically


def test_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xc3\xa9 \xff\n")
    assert Disk().read(str(tmp_path / "a")) == "café \ufffd\n"


def test_what_is_no_file_or_too_long_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"x" * (LONGEST_BYTES + 1))
    for name, text in [
        ("nope", "No such file or directory"),
        ("pipe", "not a regular file"),
        ("long", "longer than 4194304 bytes"),
    ]:
        with pytest.raises(OSError) as caught:
            Disk().read(str(tmp_path / name))
        assert caught.value.strerror == text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("new.log", ""),
        ("old.log", ""),
        (".", "Is a directory"),
        ("missing/new.log", "No such file or directory"),
        ("old.log/new.log", "Not a directory"),
        ("pipe", "No such device or address"),
    ],
)
def test_a_log_is_tried_as_the_workers_open_it_and_not_made(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "old.log").write_text("a line\n")
    os.mkfifo(tmp_path / "pipe")  # that nobody reads
    told = ""
    try:
        Disk().check_log(str(tmp_path / path))
    except OSError as error:
        told = str(error.strerror)
    assert told == reason
    assert sorted(os.listdir(tmp_path)) == ["old.log", "pipe"]
    assert (tmp_path / "old.log").read_text() == "a line\n"


def test_a_folder_where_no_log_can_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # whoever runs the tests may be root
    with pytest.raises(PermissionError, match="Permission denied"):
        Disk().check_log(str(tmp_path / "new.log"))


def test_a_new_file_has_the_usual_mode_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_atomically(str(tmp_path / "new"), "1\n")
    finally:
        os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o604)
    write_atomically(str(tmp_path / "new"), "2\n")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o604
    assert (tmp_path / "new").read_text() == "2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("1\n")
    (tmp_path / "link").symlink_to("real")
    write_atomically(str(tmp_path / "link"), "2\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "2\n"


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_text("old\n")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "write":
        monkeypatch.setattr("wsgistack.balancer.files._keep_owner", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(str(file), "new\n")
    assert file.read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(str(tmp_path / "nope" / "a"), "1\n")
