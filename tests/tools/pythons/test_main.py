"""The command: what it runs, what it prints and its exit status; the runs themselves are `make conformance-python`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.pythons import __main__ as command
from tools.pythons.running import Outcome
from tools.pythons.table import format_failures, format_table


def test_without_node_it_says_so_and_the_status_is_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert command.main([]) == 2
    assert capsys.readouterr().err == "No node and no npm on this machine: no other Python was tried.\n"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(passed={"t::a"}), 0),
        (Outcome(passed={"t::a"}, left_out={"t::b": "threads"}), 0),
        (Outcome(passed={"t::a"}, failed={"t::b": "1 == 2"}), 1),
        (Outcome(left_out={"t::b": "threads"}), 1),
    ],
    ids=["passed", "left out", "failed", "nothing passed"],
)
def test_whatever_fails_fails_the_command(
    outcome: Outcome, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "CACHE", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(command, "run_python", lambda version, modules, text: outcome)
    assert command.main(["--python", "3.13", "tests/http"]) == status


def test_modules_are_found_below_a_folder_or_as_themselves(tmp_path: Path) -> None:
    for name in ("tests/a/b/test_c.py", "tests/test_d.py", "tests/a/stage.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert command.find_modules(tmp_path, ["tests"]) == ["tests/a/b/test_c.py", "tests/test_d.py"]
    assert command.find_modules(tmp_path, ["tests/test_d.py"]) == ["tests/test_d.py"]


def test_a_table_counts_and_says_why() -> None:
    found = Outcome({"a::b", "a::c"}, {"a::d": "x"}, {"a::e": "threads", "a::f": "threads", "g": "compiled"})
    assert format_table({"3.13": found}) == [
        "Python  passed  cannot run  failed",
        "  3.13       2           3       1",
        "cannot run in 3.13: compiled 0 tests, 1 modules; threads 2 tests, 0 modules",
    ]


def test_failures_have_their_last_words() -> None:
    words = "\n".join(str(number) for number in range(40))
    lines = format_failures({"3.14": Outcome(failed={"a::b": words})})
    assert lines[:2] == ["", "3.14 a::b"]
    assert (lines[2], lines[-1]) == ("    28", "    39")
