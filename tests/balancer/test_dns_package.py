"""What is there without dnspython: the process of a balancer that cannot import it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from wsgistack.balancer import dns_package
from wsgistack.balancer.dns_package import NEED_DNS, has_dns

WITHOUT = """
import sys
sys.modules["dns"] = None  # importing it fails from now on, and nobody finds it
import wsgistack.balancer.lookout
from wsgistack.cli import main
for file in sys.argv[1:]:
    print("status", main(["check", file]))
assert "wsgistack.balancer.resolver" not in sys.modules
"""
GOOD = "CREATE POOL p\nPOOL p ADD localhost:8080\nCREATE SERVICE s\nSET listen = 127.0.0.1:1\nSET role = reverse_proxy\nSET pool = p\nENABLE s\n"


def test_a_balancer_starts_without_it_and_refuses_what_only_dns_knows(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text(GOOD)
    bad.write_text(
        "SERVER resolvers = 10.0.0.2\n" + GOOD.replace("localhost:8080", "srv:_http._tcp.app.example")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT, str(good), str(bad)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace(f"{tmp_path}/", "") == "good.conf: no errors\nstatus 0\nstatus 2\n"
    assert done.stderr.replace(f"{tmp_path}/", "").splitlines() == [
        "bad.conf:1: SERVER resolvers = 10.0.0.2",
        f"    resolvers: name servers other than the system's {NEED_DNS}",
        "bad.conf:3: POOL p ADD srv:_http._tcp.app.example",
        f"    srv:_http._tcp.app.example: SRV records {NEED_DNS}",
    ]
    assert NEED_DNS == "need the package dnspython: pip install 'wsgistack[dns]'"


def test_it_is_told_whether_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_dns()
    monkeypatch.setattr(dns_package, "INSTALLED", False)
    assert not has_dns()
