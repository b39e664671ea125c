"""The commands of operators, on limits that processes share."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.processes import eventually
from wsgistack import wrap
from wsgistack.errors import ConfigurationError
from wsgistack.ratelimit import RateLimit
from wsgistack.ratelimit.__main__ import main
from wsgistack.ratelimit.desk import find_limits, load
from wsgistack.store.url import make_store


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


STORE = make_store("memory://")
shared = wrap(app, rate_limit={"rate": "2/hour", "store": STORE, "bans_every": 1})
private = RateLimit(app, "2/hour")
NAME = "tests.ratelimit.test_desk"


def run(capsys: pytest.CaptureFixture[str], *words: str, name: str = "shared") -> tuple[int, str]:
    status = main([*words, "--app", f"{NAME}:{name}"])
    found = capsys.readouterr()
    return status, found.out + found.err


def test_a_client_is_shut_out_looked_at_and_let_in_again(capsys: pytest.CaptureFixture[str]) -> None:
    limits = shared.layer("rate_limit").limiter
    assert run(capsys, "ban", "192.0.2.1", "--for", "2 hours") == (0, "banned\n")
    assert limits.hit_from("192.0.2.1").ok is False
    status, shown = run(capsys, "show", "192.0.2.1")
    assert (status, shown.splitlines()[1]) == (0, "default 192.0.2.1: 2/hour: 2 left")
    assert shown.startswith("* 192.0.2.1: banned for ")
    assert run(capsys, "bans")[1].startswith("* 192.0.2.1 until 20")
    assert run(capsys, "unban", "192.0.2.1") == (0, "let in again\n")
    assert run(capsys, "unban", "192.0.2.1") == (0, "was not banned\n")
    assert limits.hit_from("192.0.2.1").ok is True
    assert run(capsys, "reset", "192.0.2.1", "--rule", "default") == (0, "forgotten\n")
    assert run(capsys, "reset", "192.0.2.1") == (0, "there was nothing to forget\n")
    assert run(capsys, "bans") == (0, "")


@pytest.mark.parametrize(
    ("words", "name", "complaint"),
    [
        (["ban", "ann"], "shared", "'ann' is not an address"),
        (["ban", "192.0.2.1", "--for", "ever"], "shared", "met 'ever'"),
        (["show", "192.0.2.1", "--rule", "defalt"], "shared", "did you mean 'default'?"),
        (["bans"], "private", "these limits have no store, so nobody reaches those of another process"),
        (["bans", "--layer", "2"], "shared", "has 1 RateLimit, and none is number 2"),
        (["bans"], "app", "has 0 RateLimit, and none is number 1"),
        (["bans"], "none", "module 'tests.ratelimit.test_desk' has no attribute 'none'"),
        (["bans", "--master", "0"], "private", "--master: 0: No such file or directory"),
    ],
)
def test_a_mistake_is_told(
    words: list[str], name: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = run(capsys, *words, name=name)
    assert status == 2
    assert complaint in told


def test_a_master_without_such_workers_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.chdir", lambda folder: None)
    status, told = run(capsys, "bans", "--master", str(os.getpid()), name="private")
    assert (status, f"no worker of process {os.getpid()} has such limits" in told) == (2, True)


def test_limits_are_found_in_a_stack_and_around_each_other() -> None:
    outer = RateLimit(private, "9/hour")
    assert find_limits(outer) == [outer, private]
    assert find_limits(shared) == [shared.layer("rate_limit")]


def test_what_is_no_application_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"is not like mysite\.wsgi:application"):
        load("mysite.wsgi")


SITE = '''
import json, os, sys
from wsgistack.ratelimit import RateLimit

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]

application = RateLimit(app, "1000000/hour")

def work():
    """Answer a status for each line."""
    for line in sys.stdin:
        seen = []
        environ = {"REMOTE_ADDR": line.strip(), "wsgi.multiprocess": True}
        application(environ, lambda status, headers, exc_info=None: seen.append(status[:3]))
        print(seen[0], flush=True)
'''


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker process of this one, in the folder of a site."""
    name = f"site_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(SITE)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); import {name} as s; s.work()"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.name = name  # type: ignore[attr-defined]  # of the module
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_workers_that_share_their_memory_are_reached_by_their_parent(
    worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    def ask(peer: str) -> str:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{peer}\n")
        worker.stdin.flush()
        return worker.stdout.readline().strip()

    def operate(*words: str) -> str:
        name = f"{worker.name}:application"  # type: ignore[attr-defined]
        program = f"import os; os.chdir({str(tmp_path)!r}); from wsgistack.ratelimit import __main__, desk; "
        program += "desk.os.chdir = lambda folder: None; import sys; sys.exit(__main__.main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *words, "--app", name, "--master", str(os.getpid())]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert ask("192.0.2.1") == "200"
    assert operate("show", "192.0.2.1").startswith("default 192.0.2.1: 1000000/hour: ")
    assert operate("ban", "192.0.2.1") == "banned\n"
    eventually(lambda: ask("192.0.2.1") == "429")  # it is looked for once a second
    assert ask("192.0.2.2") == "200"
    assert operate("bans").startswith("* 192.0.2.1 until 20")
