"""Python's headers: installed, or unpacked, or asked for by name."""

import sys
import sysconfig
from pathlib import Path

import pytest

from tools import debian, headers


@pytest.fixture
def without_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Python whose include folder is empty, as on a Debian without python3-dev."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))


def test_installed_headers_need_no_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    headers.main()
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("without_headers")
def test_missing_headers_are_unpacked_and_pointed_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def unpack(packages: list[str]) -> Path:
        asked.append(packages)
        return tmp_path

    monkeypatch.setattr(debian, "unpack", unpack)
    headers.main()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert asked == [[f"lib{version}-dev"]]
    assert capsys.readouterr().out == f"-I{tmp_path}/usr/include/{version} -I{tmp_path}/usr/include\n"


@pytest.mark.usefixtures("without_headers")
def test_where_they_cannot_be_fetched_the_one_command_to_type_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unpack(packages: list[str]) -> Path:
        raise debian.Unavailable("no network")

    monkeypatch.setattr(debian, "unpack", unpack)
    with pytest.raises(SystemExit, match=r"sudo apt-get install python3\.\d+-dev"):
        headers.main()
