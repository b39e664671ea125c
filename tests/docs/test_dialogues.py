"""What a page lets the reader type on the admin port means something there, replies aside.

Blocks of a configuration are checked by tests/house/test_examples.py; these are the others: dialogues, and
parts of a configuration that name a site which the page does not repeat.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.balancer.stage import Stage
from tests.docs.player import ROOT
from wsgistack.balancer.language.commands import COMMANDS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
WORDS = set(COMMANDS.names())
ONE_SHOT = re.compile(r"^\$ wsgistack admin \S+ (.*)$", re.MULTILINE)
BEFORE = (  # what the pages speak of and do not make
    "POOL mypool ADD 127.0.0.1:8003",
    "POOL mypool ADD 10.0.0.7:8000",
    "CREATE POOL web",
)


def find_commands(text: str) -> list[str]:
    """Return the lines of a block that somebody types: the first, and each behind the end of a reply."""
    if one_shots := ONE_SHOT.findall(text):
        return one_shots
    if text.startswith("> "):
        return re.findall(r"^> (.*)$", text, re.MULTILINE)
    lines = text.removeprefix("$ telnet 127.0.0.1 60000\n").splitlines()
    if not lines or lines[0].split(" ")[0].lower() not in WORDS:
        return []
    if lines[0].split(" ")[0].isupper():
        return lines
    return [line for line, before in zip(lines, ["OK", *lines], strict=False) if before in ("OK", ".")]


def dialogues() -> Iterator[tuple[str, list[str], str]]:
    """Yield the place of each dialogue, its commands, and the whole of it."""
    for page in PAGES:
        text = page.read_text()
        for found in FENCE.finditer(text):
            if found[1] in ("", "text", "console") and (commands := find_commands(found[2])):
                yield f"{page.stem}:{text.count(chr(10), 0, found.start()) + 1}", commands, found[2]


DIALOGUES = list(dialogues())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage()
    stage.make_site()
    stage.do(*BEFORE)
    return stage


def test_replies_are_not_typed() -> None:
    assert find_commands("names\na leads b\n.\nupgrade\nOK\n") == ["names", "upgrade"]
    assert find_commands("$ wsgistack admin 127.0.0.1:60000 reload\nPOOL ADD a b\nOK\n") == ["reload"]
    assert find_commands("127.0.0.1:8001 health mypool ejected\n") == []


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 12
    assert sum(len(commands) for _, commands, _ in DIALOGUES) >= 35


@pytest.mark.parametrize(
    ("commands", "text"), [one[1:] for one in DIALOGUES], ids=[one[0] for one in DIALOGUES]
)
def test_every_command_of_a_page_is_taken(stage: Stage, commands: list[str], text: str) -> None:
    for command in commands:
        refused = [line for line in stage.say(command) if line.startswith("ERROR")]
        assert [line for line in refused if line not in text] == []
