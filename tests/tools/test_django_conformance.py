"""Django's own tests are looked for where they were unpacked before anything is fetched."""

from pathlib import Path

import django
import pytest

from tools import django_conformance


def test_a_source_that_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / f"django-{django.__version__}"
    source.mkdir()
    monkeypatch.setattr(django_conformance, "CACHE", tmp_path)
    assert django_conformance.find_source() == source


def test_where_it_is_not_to_be_had_nothing_is_called_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(django_conformance, "CACHE", tmp_path)
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert django_conformance.main() == 1
    assert "nothing was compared" in capsys.readouterr().err
