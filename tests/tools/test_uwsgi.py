"""What is said of Debian's uWSGI where it cannot be used; tools/uwsgi.py."""

from pathlib import Path

import pytest

from tools import debian
from tools.uwsgi import VERSION, find_uwsgi


def test_an_uwsgi_for_another_python_is_none(tmp_path: Path) -> None:
    plugins = tmp_path / "uwsgi-core" / "usr" / "lib" / "uwsgi" / "plugins"
    plugins.mkdir(parents=True)
    (tmp_path / "uwsgi-core" / ".complete").touch()
    (plugins / "python27_plugin.so").touch()
    with pytest.raises(FileNotFoundError, match=f"another Python than {VERSION}"):
        find_uwsgi(cache=tmp_path)
    (plugins / f"python{VERSION.replace('.', '')}_plugin.so").touch()
    assert find_uwsgi(cache=tmp_path).plugins == plugins


def test_a_machine_without_debians_packages_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(packages: list[str], *, cache: Path) -> Path:
        raise debian.Unavailable(f"no {packages[0]}")

    monkeypatch.setattr(debian, "unpack", unpack)
    with pytest.raises(FileNotFoundError, match="no uwsgi-core"):
        find_uwsgi(cache=tmp_path)
