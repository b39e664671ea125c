"""Under load: reloads, drains, names and node files; and what was changed outlives a restart."""

import http.client
import os
import signal
from pathlib import Path

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import Balancer, choose_port, eventually, get, site

TIMES = range(int(os.environ.get("WSGISTACK_CHANGES", "3")))  # 50 in a thorough run


def rewrite(balancer: Balancer, old: str, new: str) -> None:
    text = balancer.file.read_text()
    assert old in text
    balancer.file.write_text(text.replace(old, new))


def test_reloads_under_load_fail_no_request_and_keep_connections(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    balancer = start_balancer(site(nodes))
    line = f"POOL mypool ADD {nodes[1].address}\n"
    with Load(balancer.site) as load:
        eventually(lambda: len(load.answers) == 2)
        kept = http.client.HTTPConnection(balancer.site, timeout=20)
        kept.request("GET", "/")
        kept.getresponse().read()
        socket_before = kept.sock
        for number in TIMES:
            rewrite(balancer, line, "# out\n")
            if number % 2:
                assert balancer.admin("reload") == [f"POOL REMOVE mypool {nodes[1].address}", "OK"]
            else:
                balancer.signal(signal.SIGHUP)
                balancer.wait_for_log(r" reloaded ", count=2 * number + 1)
            rewrite(balancer, "# out\n", line)
            assert balancer.admin("reload") == [f"POOL ADD mypool {nodes[1].address}", "OK"]
            before = load.count
            eventually(lambda: load.count > before + 50)  # noqa: B023 - it is called at once
        kept.request("GET", "/")
        kept.getresponse().read()
        assert kept.sock is socket_before
        kept.close()
    assert load.failures == {}


def test_a_wrong_file_changes_nothing_and_every_mistake_is_in_the_log(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    balancer = start_balancer(site([start_backend("a")]))
    rewrite(balancer, "SET pool = mypool", "SET pool = mypol\nSET bufer_size = 1k")
    with Load(balancer.site) as load:
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_log(r" reload_refused .*errors=2")
        before = load.count
        eventually(lambda: load.count > before + 50)
    assert load.failures == {}
    lines = balancer.admin("reload")
    assert lines[-1] == f"ERROR: 2 errors in {balancer.file}; nothing was changed"
    assert f"{balancer.file}:8: SET pool = mypol" in lines


def test_ports_services_and_pools_come_and_go_under_load(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    balancer = start_balancer(site(nodes[:1]))
    text = balancer.file.read_text()
    other = f"127.0.0.1:{choose_port()}"
    more = (
        f"CREATE POOL second\nPOOL second ADD {nodes[1].address}\nCREATE SERVICE two\nSET role = reverse_proxy\n"
        f"SET listen = {other}\nSET pool = second\nENABLE two\n"
    )
    with Load(balancer.site) as load:
        for _ in TIMES:
            balancer.file.write_text(text + more)
            assert balancer.admin("reload")[-1] == "OK"
            with Load(other, clients=2) as second:
                eventually(lambda: second.count > 20)
            assert second.failures == {}
            # The two services change addresses, without a moment at which nobody listens.
            swapped = (
                (text + more).replace(balancer.site, "X").replace(other, balancer.site).replace("X", other)
            )
            balancer.file.write_text(swapped)
            assert balancer.admin("reload")[-1] == "OK"
            # Connections stay with their service; new ones meet the other.
            assert [get(balancer.site)[1], get(other)[1]] == [b"b\n", b"a\n"]
            balancer.file.write_text(text)
            assert balancer.admin("reload")[-1] == "OK"
            assert get(balancer.site) == (200, b"a\n")
    assert load.failures == {}


def test_a_drained_node_gets_nothing_new_and_counts_down(
    start_backend: StartBackend, start_balancer: StartBalancer
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    balancer = start_balancer(site(nodes))
    address = nodes[1].address
    with Load(balancer.site) as load, Load(balancer.site, clients=4, path="/slow/1") as slow:
        eventually(lambda: len(load.answers) == 2)
        assert balancer.admin(f"pool mypool drain {address}") == ["OK"]
        eventually(lambda: f"{address} draining mypool inflight 0" in balancer.admin("nodes"))
        settled, before = load.answers[b"b\n"], load.count
        eventually(lambda: load.count > before + 200)
        assert load.answers[b"b\n"] == settled
        assert balancer.admin(f"pool mypool undrain {address}") == ["OK"]
        eventually(lambda: load.answers[b"b\n"] > settled)
    assert (load.failures, slow.failures) == ({}, {})


def test_a_nodefile_is_followed_under_load(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    file = tmp_path / "nodes"
    file.write_text(f"{nodes[0].address}\n")
    balancer = start_balancer(site([], pool=f"SET nodefile = {file}"))
    with Load(balancer.site) as load:
        eventually(lambda: load.count > 20)
        file.with_suffix(".new").write_text(f"garbage\n{nodes[1].address} weight=2\n")
        file.with_suffix(".new").rename(file)
        eventually(lambda: load.answers[b"b\n"] > 20, what="the file's new node gets nothing")
        balancer.wait_for_log(r" nodefile_line at=.*:1 line=garbage")
    assert load.failures == {}


def test_localhost_leads_to_this_machine(start_backend: StartBackend, start_balancer: StartBalancer) -> None:
    node = start_backend("a")
    balancer = start_balancer(site([node]).replace("ADD 127.0.0.1", "ADD localhost"))
    assert balancer.get("/") == (200, b"a\n")
    assert balancer.admin("names")[0] == "localhost leads 127.0.0.1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_changes_outlive_a_restart_by_the_journal(
    how: signal.Signals, start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    nodes = [start_backend(name) for name in "ab"]
    balancer = start_balancer(site(nodes[:1], more=f"SERVER journal = {tmp_path / 'journal'}"))
    assert balancer.admin(f"pool mypool add {nodes[1].address} weight=3") == ["OK"]
    workers = balancer.worker_pids()
    balancer.signal(how)
    balancer.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    balancer.start(wait=False)
    balancer.wait_for_log(r" ready ", count=2)
    assert balancer.admin("diff") == [f"POOL ADD mypool {nodes[1].address} weight=3", "."]
    assert balancer.admin("save") == ["OK"]
    assert balancer.admin("diff") == ["."]
    assert f"POOL ADD mypool {nodes[1].address} weight=3" in balancer.file.read_text()
