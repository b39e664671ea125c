"""The journal on a real disk: synced, torn, full, read-only."""

import errno
import os
from pathlib import Path

import pytest

from wsgistack.balancer.journal import Entry
from wsgistack.balancer.journal_file import Journal, JournalError

FIRST = Entry(1000.0, "127.0.0.1:4", "POOL a ADD 10.0.0.1")
SECOND = Entry(1001.0, "unix", "POOL a ADD 10.0.0.2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is to be."""
    return tmp_path / "journal"


def write(journal: Journal, *entries: Entry) -> None:
    for entry in entries:
        journal.add(entry)
        journal.write()


def test_what_was_written_is_read_again(path: Path) -> None:
    write(Journal.open(str(path), ""), FIRST, SECOND)
    assert path.read_text() == f"{FIRST}\n{SECOND}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert Journal.open(str(path), "").pending == [FIRST, SECOND]


def test_without_a_path_it_is_kept_in_memory() -> None:
    journal = Journal()
    write(journal, FIRST)
    assert journal.pending == [FIRST]


def test_it_is_on_disk_before_write_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    journal = Journal.open(str(path), "")
    monkeypatch.setattr(os, "fsync", note)
    write(journal, FIRST)
    assert synced == [len(f"{FIRST}\n")]


def test_a_torn_end_is_cut_off(path: Path) -> None:
    path.write_text(f"{FIRST}\n{str(SECOND)[:30]}")
    journal = Journal.open(str(path), "")
    assert (journal.pending, journal.torn) == ([FIRST], str(SECOND)[:30].encode())
    write(journal, SECOND)
    assert path.read_text() == f"{FIRST}\n{SECOND}\n"


def test_lines_that_are_none_stay_and_are_told(path: Path) -> None:
    path.write_text(f"garbage\n{FIRST}\n")
    journal = Journal.open(str(path), "")
    assert (journal.pending, journal.problems) == ([FIRST], [(1, "garbage")])
    write(journal, SECOND)
    assert path.read_text() == f"garbage\n{FIRST}\n{SECOND}\n"


def test_a_full_disk_tears_no_line_and_loses_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(str(path), "")
    write(journal, FIRST)
    real = os.write

    def fill(descriptor: int, data: memoryview) -> int:
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:10])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fill)
        journal.add(SECOND)
        with pytest.raises(JournalError, match=r"journal .*: No space left on device"):
            journal.write()
    assert path.read_text() == f"{FIRST}\n"
    assert journal.pending == [FIRST, SECOND]
    third = Entry(1002.0, "unix", "POOL a ADD 10.0.0.3")
    write(journal, third)
    assert path.read_text() == f"{FIRST}\n{SECOND}\n{third}\n"


def test_a_path_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal .*/nope/journal: No such file or directory"):
        Journal.open(str(tmp_path / "nope" / "journal"), "")
    with pytest.raises(JournalError, match="Is a directory"):
        Journal.open(str(tmp_path), "")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(JournalError, match="not a regular file"):
        Journal.open(str(tmp_path / "pipe"), "")


def test_a_pipe_in_the_place_of_a_journal_is_no_reason_to_wait(path: Path) -> None:
    journal = Journal.open(str(path), "")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(JournalError, match="No such device or address"):
        write(journal, FIRST)
    assert journal.pending == [FIRST]


def test_what_was_saved_is_not_pending(path: Path) -> None:
    journal = Journal.open(str(path), "old")
    write(journal, FIRST)
    journal.mark_saving(SECOND, "new")
    assert journal.pending == [FIRST]
    assert Journal.open(str(path), "old").pending == [FIRST]
    assert Journal.open(str(path), "new").pending == []
    journal.mark_saved(SECOND)
    assert journal.pending == []
    write(journal, SECOND)
    assert Journal.open(str(path), "edited").pending == [SECOND]


def test_a_long_journal_is_shortened_and_the_old_one_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgistack.balancer.journal_file.LONG_BYTES", 100)
    journal = Journal.open(str(path), "")
    write(journal, FIRST)
    assert not journal.is_long
    write(journal, SECOND)
    assert journal.is_long
    journal.shorten([SECOND])
    assert path.read_text() == f"{SECOND}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("journal.before").read_text() == f"{FIRST}\n{SECOND}\n"
    assert not journal.is_long
    write(journal, FIRST)
    assert Journal.open(str(path), "").pending == [SECOND, FIRST]


def test_what_cannot_be_made_shorter_is_not_written_again_at_each_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgistack.balancer.journal_file.LONG_BYTES", 10)
    journal = Journal.open(str(path), "")
    write(journal, FIRST)
    journal.shorten([FIRST])
    assert not journal.is_long
    write(journal, SECOND)
    assert not journal.is_long  # twice as long, not more
    write(journal, SECOND)
    assert journal.is_long


def test_a_journal_that_cannot_be_shortened_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(str(path), "")
    write(journal, FIRST)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("wsgistack.balancer.journal_file.write_atomically", fail)
    with pytest.raises(JournalError, match="No space left"):
        journal.shorten([])
    assert path.read_text() == f"{FIRST}\n"
    assert journal.pending == [FIRST]
