"""The configuration and the telnet dialogue that the README shows, with real processes."""

import shutil
import subprocess

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.processes import ROOT, eventually, site


def test_a_node_added_by_telnet_gets_traffic(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    a, b = start_backend("a"), start_backend("b")
    balancer = start_balancer(site([a], service="SET verify_backend = on\nSET buffer_size = 120k"))
    assert balancer.get("/") == (200, b"a\n")
    assert balancer.admin(f"pool mypool add {b.address}") == ["OK"]
    eventually(lambda: balancer.get("/")[1] == b"b\n", what="the new node gets nothing")
    counters = balancer.admin(f"nodes {b.address}")
    assert counters[-1] == "."
    assert any(line.startswith(f"{b.address} attempts ") for line in counters)
    assert any(line.startswith(f"{b.address} responsecodes 200 ") for line in counters)


def test_a_name_added_by_telnet_is_looked_up_at_once(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    a, b = start_backend("a"), start_backend("b")
    balancer = start_balancer(site([a]))
    # Nothing else changes from here on.
    eventually(lambda: f"{a.address} health mypool up" in balancer.admin("nodes"))
    assert balancer.admin(f"pool mypool add localhost:{b.address.rpartition(':')[2]}") == ["OK"]
    eventually(lambda: balancer.get("/")[1] == b"b\n", what="the new node gets nothing")


def test_a_removed_node_gets_no_traffic_after_the_ok(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    a, b = start_backend("a"), start_backend("b")
    balancer = start_balancer(site([a, b]))
    assert {balancer.get("/")[1] for _ in range(40)} == {b"a\n", b"b\n"}
    assert balancer.admin(f"pool remove mypool {b.address}") == ["OK"]
    assert {balancer.get("/")[1] for _ in range(40)} == {b"a\n"}


def test_bad_words_get_an_error_and_the_nearest_one(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(site([start_backend("a")]))
    (error,) = balancer.admin("pol")
    assert error.startswith("ERROR: unknown command: pol (did you mean 'pool'?); usage: POOL <pool> ")
    assert balancer.admin("pool nope add 127.0.0.1:1")[0].startswith("ERROR: Pool 'nope' not found")
    assert balancer.admin("SET mysite.buffer_sise = 1k")[0].startswith("ERROR: ")
    assert balancer.get("/") == (200, b"a\n")


def test_what_dumpconfig_says_starts_the_same_balancer(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    first = start_balancer(site([start_backend("a")], more="HEADER mysite INSERT X-Case: Hello World=Foo"))
    dump = first.admin("dumpconfig")
    assert dump[-1] == "OK"
    first.stop()
    second = start_balancer("\n".join(dump[:-1]) + "\n")
    assert second.admin_address != first.admin_address
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "wsgistack", "admin", first.admin_address, "dumpconfig"],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.splitlines() == dump


def test_a_wrong_file_is_told_whole_and_starts_nothing(start_balancer: StartBalancer) -> None:
    balancer = start_balancer("CREATE POOL p\nPOL p ADD 127.0.0.1:1\nSET balance_metod = least\n", wait=False)
    assert balancer.wait() == 2
    assert ":2:" in balancer.log
    assert "'pool'" in balancer.log
    assert ":3:" in balancer.log
    assert "balance_method" in balancer.log
    assert "ready" not in balancer.log


def test_a_real_telnet_client_is_understood(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    telnet = shutil.which("telnet")
    balancer = start_balancer(site([start_backend("a")]))
    host, port = balancer.admin_address.split(":")
    if telnet is None:
        # Not on every machine: then the bytes that Debian's telnet sends.
        assert balancer.admin("show pool") == ["mypool nodes 1", "mypool services 1", "."]
        return
    with subprocess.Popen(
        [telnet, host, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"show pool\n")
        process.stdin.flush()
        lines: list[bytes] = []
        while not lines or lines[-1] != b".":
            lines.append(process.stdout.readline().rstrip())
        assert lines[-3:] == [b"mypool nodes 1", b"mypool services 1", b"."]
        process.stdin.write(b"quit\n")
        process.stdin.flush()
        assert process.stdout.read().startswith(b"Connection closed")
