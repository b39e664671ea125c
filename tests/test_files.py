"""Files that settings name: what is none is refused at once, and leaves no descriptor open."""

import os
from pathlib import Path

import pytest

from wsgistack.files import open_regular, read_regular


def test_a_file_is_read_whole_or_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "a") == b"0123456789"
    assert read_regular(str(tmp_path / "link"), most_bytes=4) == b"0123"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (".", "Is a directory"),
        ("nope", "No such file or directory"),
    ],
)
def test_what_is_none_is_refused_at_once(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        read_regular(tmp_path / name)
    assert (caught.value.strerror, caught.value.filename) == (reason, str(tmp_path / name))
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_file_is_made_where_that_is_asked_for(tmp_path: Path) -> None:
    os.close(open_regular(tmp_path / "new", os.O_RDWR | os.O_CREAT, 0o640))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
