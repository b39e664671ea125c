"""What is checked in fits every machine, and every change that a user notices is told."""

import re
from pathlib import Path

import pytest

from tests.house.source import ROOT, tracked_files

CHANGE_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.(security|added|changed|fixed|removed|doc)\.md")
PERSONAL = {
    "a path of one machine": re.compile(r"(?<![\w.])/(root|home|work|Users)/\w"),
    "a package index": re.compile(
        r"--(extra-)?index-url|--find-links|--trusted-host|https?://\S*(pypi|/simple)\b"
    ),
}
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")


def texts() -> list[tuple[Path, str]]:
    """Return every checked-in text with its path."""
    return [(path, path.read_bytes().decode(errors="replace")) for path in tracked_files()]


@pytest.mark.parametrize("what", PERSONAL)
def test_no_file_names(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path, text in texts()
        if path != Path(__file__)
        for number, line in enumerate(text.splitlines(), 1)
        if PERSONAL[what].search(line)
    ]
    assert found == []


def test_every_requirement_is_pinned_and_hashed() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        pins = re.findall(r"^[\w.-]+==\S+.*$", path.read_text(), re.MULTILINE)
        loose = [
            line for line in re.findall(r"^[^\s#].*$", path.read_text(), re.MULTILINE) if line not in pins
        ]
        assert pins and loose == [], path.name
        assert [pin for pin in pins if not pin.endswith("\\")] == [], f"{path.name}: a pin without a hash"


def test_every_change_has_a_name_that_says_its_kind_and_a_sentence() -> None:
    for path in sorted((ROOT / "changes.d").iterdir()):
        assert CHANGE_NAME.fullmatch(path.name), f"{path.name}: expected <issue-or-slug>.<kind>.md"
        assert path.read_text().rstrip().endswith((".", "`")), (
            f"{path.name}: a sentence ends with a full stop"
        )


def test_every_link_between_pages_leads_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path, text in texts()
        if path.suffix == ".md"
        for target in LINK.findall(text)
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists()
    ]
    assert dead == []
