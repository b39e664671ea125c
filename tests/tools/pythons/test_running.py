"""Processes that run test modules and may hang or die: what is made of their notes, and who comes after them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tools.pythons.running import Outcome, absorb, run_modules

# Stands for node: notes of each module what its name asks for.
RUNNER = """
import json, os, sys, time
def note(*words): print(json.dumps(words), file=notes, flush=True)
notes = open(sys.argv[1] + "/notes.jsonl", "a")
modules = json.load(open(sys.argv[1] + "/orders.json"))["modules"]
for name in modules:
    note("began", name, "")
    if "imports for ever" in name: time.sleep(3600)
for name in modules:
    note("began", name + "::test_1", "")
    if "hangs" in name: time.sleep(3600)
    if "dies" in name: sys.exit("out of memory")
    note("ended", name + "::test_1", "")
note("finished", "", "0")
"""


def run(modules: list[str], silence_s: float = 30) -> Outcome:
    outcome = Outcome()
    run_modules(modules, "", outcome, lambda folder: [sys.executable, "-c", RUNNER, str(folder)], silence_s)
    return outcome


def test_what_ended_has_passed() -> None:
    assert run(["a", "b"]).passed == {"a::test_1", "b::test_1"}


def test_a_module_in_which_the_process_dies_is_named_and_the_others_run() -> None:
    found = run(["a", "b dies", "c"])
    assert found.passed == {"a::test_1", "c::test_1"}
    assert list(found.failed) == ["b dies::test_1"]
    assert "ended with 1: out of memory" in found.failed["b dies::test_1"]


@pytest.mark.parametrize(
    ("hung", "named"), [("b hangs", "b hangs::test_1"), ("b imports for ever", "b imports for ever")]
)
def test_a_module_that_hangs_is_killed_and_named_and_the_others_run(hung: str, named: str) -> None:
    found = run(["a", hung, "c"], silence_s=1.5)
    assert found.passed == {"a::test_1", "c::test_1"}
    assert found.failed == {named: "hangs: killed after 1.5 s"}


def test_a_process_that_says_nothing_at_all_fails_every_module() -> None:
    outcome = Outcome()
    run_modules(["a", "b"], "", outcome, lambda folder: ["/bin/false"], 30)
    assert sorted(outcome.failed) == ["a", "b"]


def test_the_list_and_the_modules_are_told_to_the_process() -> None:
    seen = []

    def start(folder: Path) -> list[str]:
        seen.append(json.loads((folder / "orders.json").read_text()))
        return [sys.executable, "-c", RUNNER, str(folder)]

    run_modules(["b", "a"], "threads a::test_2", Outcome(), start)
    assert seen == [{"modules": ["a", "b"], "left out": "threads a::test_2"}]


def test_a_test_that_failed_before_its_end_has_not_passed() -> None:
    outcome = Outcome()
    absorb(['["began","a",""]\n', '["failed","a","why"]\n', '["ended","a",""]\n'], outcome)
    assert (outcome.passed, outcome.failed) == (set(), {"a": "why"})


def test_a_note_that_was_cut_off_is_none() -> None:
    outcome = Outcome()
    absorb(['["began","a",""]\n', '["ended","a"'], outcome)
    assert (outcome.passed, outcome.begun) == (set(), "a")
