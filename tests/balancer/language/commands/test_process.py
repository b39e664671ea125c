"""uptime, proc, SERVER, verbose, shutdown, quit, dumpconfig."""

from importlib import metadata

import pytest

import wsgistack
from tests.balancer.stage import Stage
from wsgistack.balancer.language.replies import Error, Ok, Quit, Reply, Shutdown, Silent
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.outside import ProcessCounts

SHUTDOWN = "usage: SHUTDOWN [graceful] [<seconds>]"


@pytest.mark.parametrize("word", ["uptime", "VERSION"])
def test_uptime_and_version_say_the_same(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgistack, "__version__", "9.9")
    assert Stage().say(word) == ["starttime 1000", "uptime 10", "version 9.9", "."]


def test_a_tree_that_was_never_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    # Not by its name: an attribute that another test put there would be found first.
    assert wsgistack.__getattr__("__version__") == "unknown"


def test_proc_tells_what_was_used_since_anybody_last_asked() -> None:
    stage = Stage()
    stage.stats.process = ProcessCounts(pid=7, utime=1.25, stime=0.5, reqs=100)
    assert stage.say("proc") == [
        "time: 1010",
        "pid: 7",
        "utime: 1.25 (+1.25)",
        "stime: 0.5 (+0.5)",
        "reqs: 100 (+100)",
        ".",
    ]
    stage.session = Session()
    stage.stats.process = ProcessCounts(pid=7, utime=1.35, stime=0.5, reqs=104)
    assert stage.say("proc")[2:5] == ["utime: 1.35 (+0.1)", "stime: 0.5 (+0)", "reqs: 104 (+4)"]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("uptime x", "ERROR: The 'uptime' command takes no arguments"),
        ("proc x", "ERROR: The 'proc' command takes no arguments"),
        ("dumpconfig x", "ERROR: The 'dumpconfig' command takes no arguments"),
        ("server", "ERROR: Invalid syntax to 'server' command; usage: SERVER <param> = <value>"),
        ("server max_connections = 500", "OK"),
        ("SERVER Max_Connections=500", "OK"),
        ("server max_connections = x", "ERROR: Expected numeric parameter"),
        ("server max_connections = 0", "ERROR: max_connections: 0 is below 1"),
        ("server max_conections = 5", "ERROR: unknown server option 'max_conections' (did you mean 'max_connections'?)"),
        ("server xyzzy = 5", "ERROR: unknown server option 'xyzzy'"),
        ("server aio_mode = none", "OK"),
        ("server aio_mode = ioaio", "OK"),
        ("server aio_mode = linux", "ERROR: Unknown AIO mode (one of ioaio, none)"),
        ("server workers = 2", "OK"),
        ("server workers = 3", "ERROR: workers is fixed at the start: change it in the file, and upgrade or start again"),
        ("server workers = 0", "ERROR: workers: 0 is below 1"),
        ("server workers = 65", "ERROR: workers: 65 is above 64"),
        ("server nice_level = 5", "ERROR: 'nice_level' is not available yet, only its default 0 is accepted"),
        ("server pidfile = /run/x", "OK"),
        ("server journal = none", "OK"),
        ("server journal = /x", "ERROR: journal is fixed at the start: change it in the file, and upgrade or start again"),
        ("reload now", "ERROR: Invalid syntax to 'reload' command; usage: reload [check|discard]"),
        ("diff all", "ERROR: The 'diff' command takes no arguments"),
        ("server track_obj = 2", "ERROR: Expected 1 or 0"),
        ("server crash_backtrace = 0", "OK"),
        ("verbose", "ERROR: usage: VERBOSE {on|off}"),
        ("verbose maybe", "ERROR: usage: VERBOSE {on|off}"),
        ("verbose on", "OK"),
        ("shutdown now", f"ERROR: Invalid syntax to 'shutdown' command; {SHUTDOWN}"),
        ("shutdown graceful soon", f"ERROR: Invalid syntax to 'shutdown' command; {SHUTDOWN}"),
    ],
)  # fmt: skip
def test_a_line_gets_its_reply(line: str, reply: str) -> None:
    assert Stage().say(line) == [reply]


def test_a_log_that_cannot_be_opened_leaves_the_one_before() -> None:
    stage = Stage()
    stage.files.locked.add("/var/log/a")
    stage.do("server access_log = /var/log/b")
    assert stage.say("server access_log = /var/log/a") == [
        "ERROR: access_log = /var/log/a: Permission denied"
    ]
    assert "SERVER access_log = /var/log/b" in stage.say("dumpconfig")
    stage.files.locked.add("/var/log/b")  # since it was opened
    stage.do("server access_log = /var/log/b", "server access_log = -", "server access_log = off")


def test_workers_can_be_set_in_a_file() -> None:
    stage = Stage()
    stage.session = Session.of_file({})
    assert stage.say("SERVER workers = 3") == []
    assert stage.control.snapshot.server["workers"] == 3


def test_a_session_that_is_not_verbose_says_no_ok() -> None:
    stage = Stage()
    assert stage.say("verbose off", "create pool x") == []
    assert stage.say("create pool x") == ["ERROR: pool 'x' already exists"]
    assert stage.say("VERBOSE ON") == ["OK"]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("shutdown", Shutdown(graceful=False, after_s=None)),
        ("SHUTDOWN Graceful", Shutdown(graceful=True, after_s=None)),
        ("shutdown graceful 30", Shutdown(graceful=True, after_s=30.0)),
        ("shutdown 5", Shutdown(graceful=False, after_s=5.0)),
        ("quit", Quit()),
        ("QUIT", Quit()),
        ("exit", Quit()),
        ("", Silent()),
        ("# x", Silent()),
        ("verbose off", Ok()),
        ("quit now", Error("The 'quit' command takes no arguments")),
        ("quitter", Error("unknown command: quitter (did you mean 'quit'?); usage: quit")),
        ("pexit", Error("unknown command: pexit (did you mean 'exit'?); usage: exit")),
    ],
)
def test_what_ends_a_session_is_told_apart(line: str, reply: Reply) -> None:
    stage = Stage()
    assert stage.control.run(line, stage.session, stage.now) == reply


def test_dumpconfig_ends_in_ok() -> None:
    assert Stage().say("dumpconfig") == ["SERVER workers = 2", "", "OK"]
