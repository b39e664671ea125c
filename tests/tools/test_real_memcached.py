"""The memcached of the tests is a real one, from PATH or unpacked below .cache/."""

import os
from pathlib import Path

import pytest

from tests.conftest import Cluster
from tools.debian import CACHE
from tools.real_memcached import Memcached, find_memcached, running

APT = ["apt-get", "dpkg-deb", "dpkg", "tar", "xz", "zstd", "gpgv", "sh"]


def make_path_of(folder: Path, programs: list[str]) -> str:
    """Return a PATH on which only *programs* are found, as far as this machine has them."""
    for program in programs:
        found = [Path(place, program) for place in ("/usr/bin", "/bin") if Path(place, program).exists()]
        if found:
            (folder / program).symlink_to(found[0])
    return str(folder)


def test_the_server_answers_its_version(memcached: Memcached) -> None:
    assert memcached.ask(b"version").startswith(b"VERSION 1.")


def test_each_server_of_a_cluster_is_empty_and_on_its_own(memcached_cluster: Cluster) -> None:
    first, second = memcached_cluster(2)
    assert first.ask(b"set key 0 0 5\r\nvalue") == b"STORED"
    assert first.ask(b"get key") == b"VALUE key 0 5"
    assert second.ask(b"get key") == b"END"


def test_a_killed_server_is_gone(memcached_cluster: Cluster) -> None:
    (server,) = memcached_cluster(1)
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        server.ask(b"version")


@pytest.mark.slow
def test_without_memcached_on_the_path_debians_package_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", make_path_of(tmp_path, APT))
    program = find_memcached()
    assert Path(program.path).is_relative_to(CACHE)
    with running(1, program=program) as (server,):
        assert server.ask(b"version").startswith(b"VERSION 1.")


def test_where_neither_is_possible_the_one_command_to_type_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(FileNotFoundError, match="sudo apt-get install memcached"):
        find_memcached(cache=tmp_path)
