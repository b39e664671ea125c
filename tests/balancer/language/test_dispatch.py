"""Which command a line means, who may give it, and what is said when it means none."""

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.control import Session


@pytest.fixture
def stage() -> Stage:
    """The site of the manual."""
    stage = Stage()
    stage.make_site()
    return stage


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("frob", "unknown command: frob"),
        ("drain 10.0.0.1", "unknown command: drain; usage: POOL <pool> {ADD|REMOVE|DRAIN|UNDRAIN} <address>[:<port>] [weight=<n>] [max=<n>] [backup]"),
        ("track_obj", "unknown command: track_obj"),
        ("graceful", "unknown command: graceful; usage: SHUTDOWN [graceful] [<seconds>]"),
        ("name mysite", "unknown command: name (did you mean 'names'?); usage: names"),
        ("max 3", "unknown command: max; usage: POOL <pool> {ADD|REMOVE|DRAIN|UNDRAIN} <address>[:<port>] [weight=<n>] [max=<n>] [backup]"),
        ("enabl mysite", "unknown command: enabl (did you mean 'enable'?); usage: ENABLE <service>"),
        ("lod x", "unknown command: lod (did you mean 'load'?); usage: load throttle"),
        ("show servce mysite", "Invalid syntax to 'show' command (did you mean 'service'?); usage: SHOW {SERVICE|POOL} [<name>]"),
        ("show", "Invalid syntax to 'show' command; usage: SHOW {SERVICE|POOL} [<name>]"),
        ("shutdown gracefull", "Invalid syntax to 'shutdown' command (did you mean 'graceful'?); usage: SHUTDOWN [graceful] [<seconds>]"),
        ("socks sumary", "socks: 'sumary' is not one of all, summary (did you mean 'summary'?)"),
    ],
)  # fmt: skip
def test_a_mistyped_command_names_the_nearest_and_its_usage(stage: Stage, line: str, reply: str) -> None:
    assert stage.say(line) == [f"ERROR: {reply}"]


def test_a_file_learns_the_nearest_word_without_a_lesson(stage: Stage) -> None:
    stage.session = Session.of_file({})
    assert stage.say("enabl mysite") == ["ERROR: unknown command: enabl (did you mean 'enable'?)"]


@pytest.mark.parametrize(
    "line", ["pool mypool remove 127.0.0.1:8001", "SHUTDOWN", "set mysite.buffer_size = 1k"]
)
def test_a_read_only_session_changes_nothing(stage: Stage, line: str) -> None:
    stage.session.readonly = True
    before = stage.control.snapshot
    word = line.split()[0].lower()
    assert stage.say(line) == [f"ERROR: this session is read-only, and '{word}' changes something"]
    assert stage.control.snapshot is before


def test_a_read_only_session_reads(stage: Stage) -> None:
    stage.session.readonly = True
    assert stage.say("show pool") == ["mypool nodes 2", "mypool services 1", "."]
