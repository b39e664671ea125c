"""Node processes that run test modules: one after another, and a new one behind a module that hangs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["SILENCE_S", "Outcome", "absorb", "run_modules"]

SILENCE_S = 300  # without a test that begins or ends: longer than any takes on a machine that others use too
LOOK_S = 0.5


@dataclass
class Outcome:
    """What became of tests: *passed*; *failed* with its words; *left_out* with its reason."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    begun: str = ""  # and not ended: where a process hangs or dies
    is_finished: bool = False

    def add(self, other: Outcome) -> None:
        """Add what became of other tests."""
        self.passed |= other.passed
        self.failed |= other.failed
        self.left_out |= other.left_out


def absorb(lines: list[str], outcome: Outcome) -> None:
    """Add the notes of one process to *outcome*; a last line that was cut off is none."""
    outcome.begun, outcome.is_finished = "", False
    for line in lines:
        if not line.endswith("\n"):
            break
        kind, name, words = json.loads(line)
        if kind == "began":
            outcome.begun = name
        elif kind == "ended":
            outcome.passed.add(name)
            outcome.begun = ""
        elif kind == "failed":
            outcome.failed.setdefault(name, words)
        elif kind == "left out":
            outcome.left_out[name] = words
        elif kind == "finished":
            outcome.is_finished = True
            outcome.begun = ""
    outcome.passed -= outcome.failed.keys()


def run_modules(
    modules: list[str],
    left_out: str,
    outcome: Outcome,
    start: Callable[[Path], list[str]],
    silence_s: float = SILENCE_S,
) -> None:
    """Run *modules* by the command that *start* makes for a folder of orders and notes; add to *outcome*.

    A process that says nothing for *silence_s*, or dies, has failed in the test that it began last; a new one goes
    on with the modules behind.
    """
    rest = sorted(modules)
    while rest:
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "orders.json").write_text(json.dumps({"modules": rest, "left out": left_out}))
            said = _run(start(folder), folder, silence_s)
            notes = folder / "notes.jsonl"
            absorb(notes.read_text().splitlines(keepends=True) if notes.is_file() else [], outcome)
        if outcome.is_finished:
            return
        stuck, _, test = (outcome.begun or rest[0]).partition("::")
        outcome.failed[outcome.begun or stuck] = said
        # What comes before has run already, unless all were still being imported.
        rest = [name for name in rest if (name > stuck if test else name != stuck)]


def _run(command: list[str], folder: Path, silence_s: float) -> str:
    """Wait for the end of *command*, or end it; return how it ended."""
    notes, said = folder / "notes.jsonl", folder / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    size, since = 0, time.monotonic()
    try:
        while time.monotonic() - since < silence_s:
            try:
                status = process.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                if notes.is_file() and notes.stat().st_size != size:
                    size, since = notes.stat().st_size, time.monotonic()
            else:
                return f"the process ended with {status}: {said.read_text(errors='replace')[-2000:]}"
        return f"hangs: killed after {silence_s:g} s"
    finally:
        process.kill()
        process.wait()
