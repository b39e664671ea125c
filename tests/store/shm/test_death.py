"""A process that dies at any step of any operation leaves a store in which that happened or not, and nothing else."""

import subprocess
import sys

import pytest

from tests.house.source import ROOT
from tests.store.shm.dying import SCENARIOS


def run(scenario: str) -> int:
    """Return at how many steps *scenario* was died at, each time with nothing amiss."""
    command = [sys.executable, "-m", "tests.store.shm.dying", scenario]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_death_interrupts_has_happened_or_not(scenario: str) -> None:
    assert run(scenario) >= (0 if scenario == "touch" else 2)


@pytest.mark.slow
def test_what_mends_after_a_death_may_die_too() -> None:
    assert run("mending") >= 10
