"""bench/compiler.py: compiled once, and a sentence where there is no compiler."""

from pathlib import Path

import pytest

from bench import compiler


def test_a_program_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compiler.build("origin")
    monkeypatch.setenv("CC", "/bin/false")
    assert compiler.build("origin") == program


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "CACHE", tmp_path)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(compiler.MissingCompiler, match="apt-get install gcc"):
        compiler.build("load")


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "CACHE", tmp_path)
    monkeypatch.setenv("CC", "/bin/false")
    with pytest.raises(compiler.MissingCompiler, match="/bin/false could not compile load"):
        compiler.build("load")
