"""Host names without DNS: a hosts file, and a system that says what the test wants."""

import socket as plain
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from wsgistack.balancer import local_names
from wsgistack.balancer.discovery import Record
from wsgistack.balancer.local_names import Answer, LocalNames

BOTH = ["10.0.0.1", "2001:db8::1", "10.0.0.1", "fe80::1%eth0", "10.0.0.2"]


def say(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], list[str]]) -> None:
    """Let the system answer that."""

    def getaddrinfo(name: str, port: None, *, type: int) -> list[tuple[Any, ...]]:
        return [(0, type, 0, "", (host, 0)) for host in answer()]

    monkeypatch.setattr("wsgistack.balancer.local_names.socket.getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("any", ("10.0.0.1", "10.0.0.2")),
        ("both", ("10.0.0.1", "10.0.0.2", "2001:db8::1")),
        ("ipv4", ("10.0.0.1", "10.0.0.2")),
        ("ipv6", ("2001:db8::1",)),
    ],
)
def test_the_system_says_the_addresses_of_a_family_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, family: str, expected: tuple[str, ...]
) -> None:
    say(monkeypatch, lambda: BOTH)
    answer = LocalNames(family=family, hosts="/nonexistent").resolve("app.example")
    assert answer == Answer(tuple(Record(host) for host in expected), 30.0)


def test_a_family_that_a_name_lacks_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, lambda: ["10.0.0.1"])
    names = LocalNames(family="ipv6", hosts="/nonexistent")
    assert names.resolve("app.example") == Answer((), detail="no address of family ipv6")


def _fail() -> list[str]:
    raise plain.gaierror(-2, "Name or service not known")


def _wait() -> list[str]:
    gevent.sleep(60)
    return []


def _garble() -> list[str]:
    raise UnicodeError("label too long")


@pytest.mark.parametrize(
    ("system", "detail"),
    [
        (_fail, "Name or service not known"),
        (_wait, "no answer of the system"),
        (_garble, "label too long"),
    ],
)
def test_a_failure_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, system: Callable[[], list[str]], detail: str
) -> None:
    say(monkeypatch, system)
    monkeypatch.setattr(local_names, "SYSTEM_TIMEOUT_S", 0.01)
    assert LocalNames(hosts="/nonexistent").resolve("app.example") == Answer((), detail=detail)


def test_the_hosts_file_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    say(monkeypatch, lambda: ["10.0.0.1"])
    file = tmp_path / "hosts"
    file.write_text("10.5.0.1\tAPP.example app # here\n# 10.5.0.2 other\n")
    names = LocalNames(hosts=str(file))
    assert names.resolve("app") == Answer((Record("10.5.0.1"),), 10.0)
    assert names.resolve("other") == Answer((Record("10.0.0.1"),), 30.0)
