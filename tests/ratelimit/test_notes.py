"""Where an operator's word is kept."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wsgistack.errors import SettingError, StoreDown
from wsgistack.ratelimit.notes import FileNote, MemoryNote, NoNote, Note, StoreNote
from wsgistack.store.url import make_store


@pytest.mark.parametrize("kind", ["memory", "store", "file"])
def test_a_note_is_read_as_it_was_changed(kind: str, tmp_path: Path) -> None:
    notes: dict[str, Note] = {
        "memory": MemoryNote(),
        "store": StoreNote(make_store("memory://"), "rl:bans"),
        "file": FileNote(tmp_path / "note"),
    }
    note = notes[kind]
    assert note.read() == b""
    assert note.change(lambda text: text + b"a") == b"a"
    assert note.change(lambda text: text + b"b") == b"ab"
    assert note.read() == b"ab"


def test_two_processes_read_the_same_file(tmp_path: Path) -> None:
    first, second = FileNote(tmp_path / "note"), FileNote(tmp_path / "note")
    for text in (b"one", b"two", b""):
        first.change(lambda _, text=text: text)  # type: ignore[misc]  # as said
        assert (second.read(), second.read()) == (text, text)
    (tmp_path / "note").unlink()
    assert second.read() == b""


def test_a_file_that_has_not_changed_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = FileNote(tmp_path / "note")
    note.change(lambda text: b"x")
    note.read()
    monkeypatch.setattr(note, "_load", lambda: pytest.fail("it was opened"))
    assert note.read() == b"x"


def test_no_change_of_a_file_is_lost(tmp_path: Path) -> None:
    def add(number: int) -> None:
        FileNote(tmp_path / "note").change(lambda text: text + b"%d;" % number)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(FileNote(tmp_path / "note").read().split(b";")[:-1]) == [b"%d" % n for n in range(8)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note", "note.lock"]


def test_a_file_is_private_and_a_link_is_not_followed(tmp_path: Path) -> None:
    FileNote(tmp_path / "note").change(lambda text: b"x")
    assert (tmp_path / "note").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "note")
    with pytest.raises(StoreDown, match="link"):
        FileNote(tmp_path / "link").read()


def test_a_file_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileNote(tmp_path / "note").change(lambda text: b"x")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreDown, match="another user's"):
        FileNote(tmp_path / "note").read()


def test_a_lock_of_another_user_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "note.lock").write_bytes(b"")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreDown, match="another user's"):
        FileNote(tmp_path / "note").change(lambda text: b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["note.lock"]


@pytest.mark.parametrize("name", ["note", "note.lock"])
def test_a_pipe_in_the_place_of_a_file_is_trouble_and_nobody_waits(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    note = FileNote(tmp_path / "note")
    with pytest.raises(StoreDown, match="no file"):
        note.change(lambda text: b"x") if name == "note.lock" else note.read()


def test_a_folder_that_is_gone_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(StoreDown, match="No such file or directory"):
        FileNote(tmp_path / "none" / "note").change(lambda text: b"x")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreDown, match="Not a directory"):
        FileNote(tmp_path / "file" / "note").read()


def test_what_nobody_reads_is_not_written() -> None:
    note = NoNote()
    assert (note.read(), note.change(lambda text: text)) == (b"", b"")
    with pytest.raises(SettingError, match="bans_every is 0"):
        note.change(lambda text: b"x")
