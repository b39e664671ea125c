"""Every command of the language: its example works, and it reads if it says so."""

from itertools import permutations

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.balancer.language.commands.absent import ABSENT
from wsgistack.balancer.language.replies import Ask, Row, encode
from wsgistack.balancer.plane.inspect import describe

PRESENT = [name for name in COMMANDS.names() if name not in ABSENT]
FIRST = {
    "enable": ["DISABLE mysite"],
    "cache": ["SET mysite.cache = on"],
    "delete": ["CREATE POOL images"],
}  # said before the example


def make_stage(word: str) -> Stage:
    """Return the site of the manual, made ready for that command's example."""
    stage = Stage()
    stage.make_site()
    stage.do(*FIRST.get(word, []))
    return stage


@pytest.mark.parametrize("word", PRESENT)
def test_the_example_works_and_is_of_the_command(word: str) -> None:
    example = COMMANDS.get(word).example
    assert example.lower().split()[0] == word
    assert [line for line in make_stage(word).say(example) if line.startswith("ERROR")] == []


@pytest.mark.parametrize("word", PRESENT)
def test_a_command_that_reads_changes_nothing_and_the_others_are_kept_from_readers(word: str) -> None:
    stage = make_stage(word)
    stage.session.readonly = True
    before = stage.control.snapshot
    said = stage.say(COMMANDS.get(word).example)
    assert stage.control.snapshot is before
    refused = [f"ERROR: this session is read-only, and '{word}' changes something"]
    assert (said == refused) is not COMMANDS.get(word).reads


@pytest.mark.parametrize("word", sorted(ABSENT))
def test_a_command_that_is_not_there_has_no_example(word: str) -> None:
    assert COMMANDS.get(word).example == ""


LISTINGS = sorted(
    # diff is a Task: what it lists is tested with its own subject
    {COMMANDS.get(word).example for word in PRESENT if COMMANDS.get(word).reads and word != "diff"}
    | {"show service", "show pool", "show service mysite", "socks", "states", "node"}
)


def make_rows() -> list[Row]:
    """Return connections of one worker that resemble each other as much as they may."""
    node = {"kind": "node", "service": "mysite", "state": "connecting", "since": 1.0, "age": 1.0}
    client = {"kind": "client", "service": "mysite", "state": "wait_backend", "waited": 2.0, "age": 2.0}
    return [
        node | {"fd": 5, "node": "127.0.0.1:8001", "peer": "127.0.0.1:8001"},
        node | {"fd": 6, "node": "127.0.0.1:8002", "peer": "127.0.0.1:8002"},
        client | {"fd": 7, "lane": "normal", "peer": "127.0.0.1:41000"},
        client | {"fd": 7, "lane": "normal", "peer": "127.0.0.1:41001"},
    ]


def ask(line: str, workers: list[list[Row]]) -> bytes:
    """Return what *line* prints when the workers have these connections."""
    stage = make_stage("show")
    reply = stage.control.run(line, stage.session, stage.now)
    if isinstance(reply, Ask):
        reply = reply.answer([describe(reply.question, rows) for rows in workers])
    return encode(reply, verbose=True)


@pytest.mark.parametrize("line", LISTINGS)
def test_the_lines_of_a_listing_have_one_order(line: str) -> None:
    said = {
        ask(line, [list(rows[:cut]), list(rows[cut:])])
        for rows in permutations(make_rows())
        for cut in (1, 2, 4)
    }
    assert len(said) == 1
