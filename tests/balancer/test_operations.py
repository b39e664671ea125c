"""reload, save, diff and the journal over real files; ports and workers are the tests' own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.balancer.stage import FakePorts, FakeStats
from wsgistack.balancer import configuration
from wsgistack.balancer.control import Control, Session
from wsgistack.balancer.events import Log
from wsgistack.balancer.files import Disk
from wsgistack.balancer.journal_file import JournalError
from wsgistack.balancer.language.replies import Error, Lines, Ok, Reply, Task
from wsgistack.balancer.operations import Operations, Source
from wsgistack.errors import ListenError

FILE = """\
SERVER workers = 2
CREATE POOL mypool
  POOL mypool ADD 10.0.0.1
CREATE SERVICE mysite
  SET role = reverse_proxy
  SET listen = 127.0.0.1:8080
  SET pool = mypool
ENABLE mysite
"""


class Reserving(FakePorts):
    """Ports that can be reserved."""

    def reserve(self, address: str, owner: object) -> None:
        """Refuse the addresses in `taken`."""
        if address in self.taken:
            raise ListenError("Address already in use")

    def drop_spare(self) -> None:
        """Keep nothing."""


class Office:
    """A control plane that runs site.conf, with its operations; `say` as a telnet session does."""

    def __init__(self, folder: Path, *, journal: bool = False) -> None:
        self.file = folder / "site.conf"
        self.journal = folder / "journal"
        if not self.file.exists():
            self.file.write_text(FILE + (f"SERVER journal = {self.journal}\n" if journal else ""))
        self.ports = Reserving()
        self.log: list[str] = []
        self.control = Control(ports=self.ports, stats=FakeStats(), files=Disk(), workers=2, started_at=0.0)
        text = self.file.read_text()
        refused = configuration.apply(
            text, "site.conf", control=self.control, session=Session.of_file({}), now=0.0
        )
        assert refused is None
        source = Source("site.conf", text, str(self.file))
        log = Log(self.log.append, clock=lambda: 0.0)
        self.operations = Operations(source, self.control, self.ports, log, workers=2)  # type: ignore[arg-type]  # they reserve
        self.operations.begin()
        self.session = Session(peer="127.0.0.1:4")

    def say(self, line: str) -> list[str]:
        """Run one line and return what is printed."""
        context = Session(last_created=self.session.last_created, peer="127.0.0.1:4")
        reply: Reply = self.control.run(line, self.session, 0.0)
        if isinstance(reply, Task):
            reply = self.operations.perform(reply, self.session)
        if isinstance(reply, Ok):
            problem = self.operations.note(line, context)
            return [f"ERROR: {problem}"] if problem else ["OK"]
        if isinstance(reply, Error):
            return [f"ERROR: {reply.text}"]
        assert isinstance(reply, Lines)
        return [*reply.lines, reply.end]

    def edit(self, old: str, new: str) -> None:
        """Change the file."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def said(self, event: str) -> list[str]:
        """Return the log's lines of that event, without their time."""
        return [line.partition(" ")[2] for line in self.log if f" {event}" in line]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """One without a journal's file."""
    return Office(tmp_path)


@pytest.fixture
def restart(tmp_path: Path) -> Callable[[], Office]:
    """A function that starts one with a journal, on the files of the one before."""
    return lambda: Office(tmp_path, journal=True)


def test_reload_does_what_differs_and_says_it(office: Office) -> None:
    office.edit("10.0.0.1\n", "10.0.0.1\n  POOL mypool ADD 10.0.0.2 weight=2\n")
    assert office.say("reload check") == ["POOL ADD mypool 10.0.0.2:80 weight=2", "."]
    assert len(office.control.snapshot.pools["mypool"].nodes) == 1
    assert office.say("reload") == ["POOL ADD mypool 10.0.0.2:80 weight=2", "OK"]
    assert len(office.control.snapshot.pools["mypool"].nodes) == 2
    assert office.say("reload") == ["OK"]
    assert office.ports.log == ["open 127.0.0.1:8080"]


def test_nodes_are_in_the_order_of_the_file_after_a_reload(office: Office) -> None:
    office.edit("  POOL mypool ADD 10.0.0.1\n", "  POOL mypool ADD 10.0.0.2\n  POOL mypool ADD 10.0.0.1\n")
    office.say("reload")
    assert [n.address for n in office.control.snapshot.pools["mypool"].nodes] == [
        "10.0.0.2:80",
        "10.0.0.1:80",
    ]


def test_a_wrong_file_changes_nothing_and_all_errors_are_told(office: Office) -> None:
    first = office.control.snapshot
    office.edit("CREATE POOL mypool", "CRATE POOL mypool")
    office.edit("10.0.0.1", "10.0.0.2\nSERVER max_conections = 3")
    assert office.say("reload") == [
        "site.conf:2: CRATE POOL mypool",
        "    unknown command: crate (did you mean 'create'?)",
        "site.conf:4: SERVER max_conections = 3",
        "    unknown server option 'max_conections' (did you mean 'max_connections'?)",
        "ERROR: 2 errors in site.conf; nothing was changed",
    ]
    assert office.control.snapshot is first
    assert len(office.said("reload_problem")) == 2


def test_a_file_that_is_gone_or_no_text_changes_nothing(office: Office) -> None:
    office.file.write_bytes(b"caf\xe9\n")
    assert office.say("reload") == ["ERROR: site.conf: not UTF-8 at byte 3; nothing was changed"]
    office.file.unlink()
    assert office.say("reload") == ["ERROR: site.conf: No such file or directory; nothing was changed"]
    assert office.say("diff") == ["ERROR: site.conf: No such file or directory; nothing was changed"]
    os.mkfifo(office.file)
    assert office.say("reload") == ["ERROR: site.conf: not a regular file; nothing was changed"]
    assert office.say("diff") == ["ERROR: site.conf: not a regular file; nothing was changed"]


def test_a_port_that_is_taken_changes_nothing(office: Office) -> None:
    first = office.control.snapshot
    office.ports.taken.add("127.0.0.1:8081")
    office.edit("127.0.0.1:8080", "127.0.0.1:8081")
    office.edit("10.0.0.1", "10.0.0.2")
    assert office.say("reload") == [
        "ERROR: Can't start service 'mysite' on 127.0.0.1:8081: Address already in use; nothing was changed"
    ]
    assert office.control.snapshot is first


def test_a_command_that_fails_on_the_way_is_undone(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first = office.control.blueprint()
    office.edit("10.0.0.1", "10.0.0.2")
    office.edit("127.0.0.1:8080", "127.0.0.1:8080, 127.0.0.1:8081")
    office.ports.taken.add("127.0.0.1:8081")
    monkeypatch.setattr(office.ports, "reserve", lambda address, private: None)
    (reply,) = office.say("reload")
    assert reply.startswith("ERROR: SET mysite.listen = 127.0.0.1:8080, 127.0.0.1:8081: Can't start service")
    assert office.control.blueprint() == first


def test_changes_since_survive_a_reload_unless_they_are_discarded(office: Office) -> None:
    assert office.say("pool mypool add 10.0.0.9") == ["OK"]
    office.edit("10.0.0.1", "10.0.0.2")
    office.say("reload")
    assert [n.address for n in office.control.snapshot.pools["mypool"].nodes] == [
        "10.0.0.2:80",
        "10.0.0.9:80",
    ]
    assert office.say("reload discard") == ["POOL REMOVE mypool 10.0.0.9:80", "OK"]
    assert office.say("diff") == ["."]


def test_a_change_that_does_not_fit_the_new_file_is_told(office: Office) -> None:
    office.say("pool mypool add 10.0.0.9")
    office.file.write_text(FILE.replace("mypool", "other"))
    assert "# left out: POOL mypool add 10.0.0.9: Pool 'mypool' not found" in office.say("reload")
    assert office.operations.journal.pending == []


def test_diff_tells_how_what_runs_came_from_the_file(office: Office) -> None:
    assert office.say("diff") == ["."]
    for line in (
        "use mysite",
        "set buffer_size = 64k",
        "pool mypool drain 10.0.0.1",
        "pool mypool add [::1]:81",
    ):
        assert office.say(line) == ["OK"]
    assert office.say("diff") == [
        "POOL ADD mypool [::1]:81",
        "POOL DRAIN mypool 10.0.0.1:80",
        "SET mysite.buffer_size = 64k",
        ".",
    ]


def test_only_what_changed_something_is_journaled_with_its_context(office: Office) -> None:
    for line in (
        "show pool",
        "use mysite",
        "set buffer_size = 64k",
        "set buffer_size = 64k",
        "verbose on",
        "pool mypool remove 10.9.9.9",
        "create pool spare",
        "SET balance_method = least",
    ):
        office.say(line)
    assert [(entry.peer, entry.line) for entry in office.operations.journal.pending] == [
        ("127.0.0.1:4", "SET mysite.buffer_size = 64k"),
        ("127.0.0.1:4", "CREATE pool spare"),
        ("127.0.0.1:4", "SET spare.balance_method = least"),
    ]


def test_a_restart_does_the_journal_again(restart: Callable[[], Office]) -> None:
    office = restart()
    office.say("pool mypool add 10.0.0.9 weight=3")
    office.say("pool mypool drain 10.0.0.1")
    again = restart()
    assert again.control.blueprint() == office.control.blueprint()
    assert again.said("journal_replayed") == ["info journal_replayed changes=2"]
    assert again.say("diff")[:2] == ["POOL ADD mypool 10.0.0.9:80 weight=3", "POOL DRAIN mypool 10.0.0.1:80"]


def test_a_torn_and_a_senseless_journal_are_mended_and_told(restart: Callable[[], Office]) -> None:
    office = restart()
    office.say("pool mypool add 10.0.0.9")
    with office.journal.open("a") as file:
        file.write("garbage\n1970-01-01T00:00:00Z - POOL nope ADD 10.0.0.3\n1970-01-01T00:0")
    again = restart()
    assert again.said("journal_torn")[0].endswith("cut=1970-01-01T00:0")
    assert again.said("journal_line")[0].endswith("journal:2 line=garbage")
    assert "POOL nope ADD 10.0.0.3" in again.said("journal_refused")[0]
    assert len(again.control.snapshot.pools["mypool"].nodes) == 2


def test_a_journal_that_cannot_be_written_is_told_but_the_change_holds(restart: Callable[[], Office]) -> None:
    office = restart()
    office.journal.unlink()
    office.journal.mkdir()
    (reply,) = office.say("pool mypool add 10.0.0.9")
    assert reply.startswith("ERROR: done, but it will not outlive a restart: journal ")
    assert reply.endswith("Is a directory")
    assert len(office.control.snapshot.pools["mypool"].nodes) == 2
    office.journal.rmdir()
    assert office.say("pool mypool add 10.0.0.8") == ["OK"]
    assert len(restart().control.snapshot.pools["mypool"].nodes) == 3


def test_a_journal_that_cannot_be_opened_keeps_it_from_starting(restart: Callable[[], Office]) -> None:
    office = restart()
    office.journal.unlink()
    office.journal.mkdir()
    with pytest.raises(JournalError, match="Is a directory"):
        restart()


def test_save_writes_what_can_be_replayed_and_the_journal_is_done(restart: Callable[[], Office]) -> None:
    office = restart()
    before = office.file.read_text()
    office.file.chmod(0o640)
    office.say("pool mypool add 10.0.0.9 max=4")
    assert office.say("save") == ["OK"]
    assert office.file.stat().st_mode & 0o777 == 0o640
    assert office.file.with_name("site.conf.before").read_text() == before
    assert office.file.read_text().startswith(
        "# Written by `save`; comments of the file before are in site.conf.before.\n"
    )
    assert "POOL ADD mypool 10.0.0.9:80 max=4" in office.file.read_text()
    assert office.say("diff") == ["."]
    again = restart()
    assert again.control.blueprint() == office.control.blueprint()
    assert again.said("journal_replayed") == []
    again.say("header mysite insert X-A: 1")
    assert again.say("reload discard")[:1] == ["HEADER mysite CLEAR"]
    assert restart().control.blueprint() == office.control.blueprint()


def test_save_to_another_file_leaves_the_own_one_and_the_journal_alone(office: Office) -> None:
    office.say("pool mypool add 10.0.0.9")
    other = office.file.with_name("other.conf")
    assert office.say(f"save {other}") == ["OK"]
    assert office.file.read_text() == FILE
    assert office.say("diff") == ["POOL ADD mypool 10.0.0.9:80", "."]
    assert configuration.load(other.read_text(), "other.conf") == []
    assert office.say(f"save {other}") == ["OK"]


def test_save_refuses_to_write_over_what_it_does_not_know(office: Office) -> None:
    office.edit("10.0.0.1", "10.0.0.2")
    assert office.say("save") == [
        f"ERROR: {office.file} was changed since it was read: reload first, or save to another file; nothing was written"
    ]
    other = office.file.with_name("letter")
    other.write_text("Dear Ann,\n")
    assert office.say(f"save {other}") == [
        f"ERROR: {other} is there and is no configuration; nothing was written"
    ]
    assert other.read_text() == "Dear Ann,\n"
    pipe = office.file.with_name("pipe")
    os.mkfifo(pipe)
    assert office.say(f"save {pipe}") == [f"ERROR: {pipe}: not a regular file; nothing was written"]
    missing = office.file.parent / "nope" / "file"
    assert office.say(f"save {missing}") == [
        f"ERROR: {missing}: No such file or directory; nothing was written"
    ]


def test_without_a_file_save_wants_one(office: Office, tmp_path: Path) -> None:
    office.operations._source.path = None
    assert office.say("save") == ["ERROR: it was started without a file: save FILE"]
    assert office.say("reload") == ["OK"]
    assert office.say(f"save {tmp_path / 'new.conf'}") == ["OK"]


def test_a_long_journal_becomes_the_fewest_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.balancer.journal_file.LONG_BYTES", 1000)
    office = Office(tmp_path, journal=True)
    office.say("pool mypool add 10.0.0.2")
    for _ in range(8):
        office.say("pool mypool add 10.0.0.3")
        office.say("pool mypool remove 10.0.0.3")
    assert office.journal.stat().st_size < 1000
    assert office.operations.journal.pending[0].line == "POOL ADD mypool 10.0.0.2:80"
    assert [line.split()[2:] for line in office.log if " journal_shortened " in line] == [
        ["journal_shortened", f"file={office.journal}", "changes=16", "left=2"]
    ]
    again = Office(tmp_path)
    assert again.say("dumpconfig") == office.say("dumpconfig")


def test_a_save_shortens_a_long_journal_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path, journal=True)
    office.say("pool mypool add 10.0.0.2")
    monkeypatch.setattr("wsgistack.balancer.journal_file.LONG_BYTES", 10)
    assert office.say("save") == ["OK"]
    assert office.journal.read_text() == ""
    assert Office(tmp_path).say("show pool mypool") == ["10.0.0.1:80 0", "10.0.0.2:80 0", "."]
