"""What stands for the absent within a WebAssembly; tried in a process of its own, for it changes imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, find_files, module_name
from tools.pythons.inside import BESIDES

ASK = """
import sys
from tools.pythons.inside import StandIns
sys.meta_path.insert(0, StandIns())
{asked}
"""


def ask(asked: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ASK.format(asked=asked)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_what_is_absent_has_names_and_says_what_it_is_when_used() -> None:
    done = ask("from wsgistack.balancer.plane.pick import Ring; Ring(1)")
    assert done.stderr.splitlines()[-1] == "OSError: not in wasm: wsgistack.balancer.plane.pick"


@pytest.mark.parametrize("path", find_files("*_cy.pyx", rooms=["wsgistack"]), ids=lambda path: path.stem)
def test_a_compiled_module_is_its_plain_twin(path: Path) -> None:
    name = module_name(path)
    names = [f"import {name} as made, importlib"]
    names += [f"plain = importlib.import_module('{name.removesuffix('_cy')}')"]
    names += [
        "assert made.__all__ == plain.__all__ and all(vars(made)[n] is vars(plain)[n] for n in made.__all__)"
    ]
    done = ask("\n".join(names))
    assert done.returncode == 0, done.stderr


def test_what_stands_in_for_more_names_modules_that_are_there() -> None:
    for name, twins in BESIDES.items():
        assert ask("\n".join(f"import {one}" for one in [name, *twins])).returncode == 0
