"""A Debian package is unpacked once, with package lists of our own where the system has none."""

import shutil
from pathlib import Path

import pytest

from tools import debian


class FakeApt:
    """Stands for apt-get and dpkg-deb: *lists* says whether the system has package lists."""

    def __init__(self, *, lists: bool, network: bool = True) -> None:
        self.lists = lists
        self.network = network
        self.calls: list[str] = []

    def apt(self, words: list[str], folder: Path, options: list[str]) -> bool:
        """Answer as apt-get would; a download leaves a file."""
        self.calls.append(" ".join(words) + (" with own lists" if options else ""))
        if words[0] == "download" and (self.lists or options):
            (folder / f"{words[1]}_1_all.deb").touch()
            return self.network
        return words[0] == "update" and self.network


@pytest.fixture
def make_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeApt]:
    """FakeApt, whose latest instance is asked instead of the real programs."""

    class Installed(FakeApt):
        def __init__(self, *, lists: bool, network: bool = True) -> None:
            super().__init__(lists=lists, network=network)
            monkeypatch.setattr(debian, "_apt", self.apt)

    def run(command: list[str], *, check: bool) -> None:
        (Path(command[-1]) / "usr").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("tools.debian.subprocess.run", run)
    return Installed


def test_a_package_is_fetched_once(make_apt: type[FakeApt], tmp_path: Path) -> None:
    apt = make_apt(lists=True)
    first = debian.unpack(["memcached", "libssl3"], cache=tmp_path)
    second = debian.unpack(["memcached", "libssl3"], cache=tmp_path)
    assert first == second == tmp_path / "memcached"
    assert apt.calls == ["download memcached", "download libssl3"]


def test_where_the_system_has_no_lists_our_own_are_fetched(make_apt: type[FakeApt], tmp_path: Path) -> None:
    apt = make_apt(lists=False)
    debian.unpack(["memcached"], cache=tmp_path)
    expected = ["download memcached", "update with own lists", "download memcached with own lists"]
    assert apt.calls == expected


def test_without_network_it_says_what_could_not_be_fetched(make_apt: type[FakeApt], tmp_path: Path) -> None:
    make_apt(lists=True, network=False)
    with pytest.raises(debian.Unavailable, match="could not download memcached"):
        debian.unpack(["memcached"], cache=tmp_path)


def test_elsewhere_than_on_debian_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(debian.Unavailable, match="no Debian"):
        debian.unpack(["memcached"], cache=tmp_path)


def test_the_library_path_holds_every_folder_of_libraries(tmp_path: Path) -> None:
    for name in ("usr/lib/x86_64-linux-gnu/libevent.so.7", "lib/libssl.so.3", "usr/share/doc/readme"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert debian.library_path(tmp_path) == f"{tmp_path}/lib:{tmp_path}/usr/lib/x86_64-linux-gnu"
