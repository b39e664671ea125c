"""The admin ports as their users meet them: telnet, Unix socket, HTTP, tokens; and as their enemies do."""

import http.client
import json
import os
import random
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.processes import ROOT, Balancer, eventually, site
from tests.live.raw import exchange

ADMIN = "the-administrator-of-all"
READER = "whoever-may-only-read"


def ask(
    address: str,
    path: str,
    *,
    body: object = None,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Return status and JSON of one request on the admin port."""
    connection = http.client.HTTPConnection(address, timeout=20)
    fields = dict(headers or {})
    if token:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None:
        fields.setdefault("Content-Type", "application/json")
    try:
        connection.request(
            "GET" if body is None else "POST", path, None if body is None else json.dumps(body), fields
        )
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


def admin_cli(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `wsgistack admin …`."""
    return subprocess.run(
        [sys.executable, "-m", "wsgistack", "admin", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture
def balancer(start_backend: StartBackend, start_balancer: StartBalancer) -> Balancer:
    """A balancer with one node and the admin port of the manual."""
    return start_balancer(site([start_backend("a")]))


@pytest.fixture
def guarded(start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path) -> Balancer:
    """A balancer whose admin port asks for tokens, and listens on all addresses too."""
    token_file = tmp_path / "token"
    token_file.write_text(ADMIN)
    token_file.chmod(0o600)
    more = [
        f"SET admin.admin_token_file = {token_file}",
        f"SET admin.readonly_token = {READER}",
    ]
    text = site([start_backend("a")]).replace("ENABLE admin", "\n".join([*more, "ENABLE admin"]))
    return start_balancer(text)


def test_the_same_commands_work_by_telnet_and_http(balancer: Balancer) -> None:
    assert balancer.admin("create pool x") == ["OK"]
    status, said = ask(balancer.admin_address, "/admin/run", body={"line": "pool x add 127.0.0.1:9"})
    assert (status, said["ok"]) == (200, True)
    assert balancer.admin("show pool x") == ["127.0.0.1:9 0", "."]
    status, said = ask(balancer.admin_address, "/admin/run", body={"line": "show pool x"})
    assert (status, said["lines"]) == (200, ["127.0.0.1:9 0"])


def test_who_may_only_read_sees_no_secret_and_an_operator_does(guarded: Balancer) -> None:
    address = guarded.admin_address

    def run(line: str, token: str) -> list[str]:
        status, said = ask(address, "/admin/run", body={"line": line}, token=token)
        assert status == 200, said
        return list(said["lines"])

    secrets = ("SET mysite.sticky_secret = hush-hush", "HEADER mysite INSERT Authorization: Basic dTpw")
    for line in secrets:
        run(line, ADMIN)
    for command in ("dumpconfig", "diff"):
        shown = "\n".join(run(command, READER))
        assert "sticky_secret = (hidden)" in shown
        assert "Authorization: (hidden)" in shown
        assert "hush" not in shown and "dTpw" not in shown
        assert "hush-hush" in "\n".join(run(command, ADMIN))
    page = ask(address, "/admin/state", token=READER)[1]
    assert page["services"]["mysite"]["insert"] == [["Authorization", "(hidden)"]]
    assert "hush" not in json.dumps(page)


def test_a_command_that_asks_the_workers_works_by_http(balancer: Balancer) -> None:
    balancer.get("/")
    status, said = ask(balancer.admin_address, "/admin/run", body={"line": "socks"})
    assert status == 200
    assert any("Perlbal::ClientManage" in line for line in said["lines"])


def test_the_state_page_tells_of_everything(balancer: Balancer) -> None:
    for _ in range(3):
        assert balancer.get("/")[0] == 200
    status, page = ask(balancer.admin_address, "/admin/state")
    assert status == 200
    assert page["services"]["mysite"]["counts"]["requests"] == 3
    assert [one["state"] for one in page["processes"]] == ["accepting"] * 3
    assert [one["pid"] for one in page["processes"]] == [balancer.pid, *balancer.worker_pids()]
    (node,) = page["pools"]["mypool"]["nodes"]
    assert page["nodes"][node["address"]]["responsecodes"] == {"200": 3}
    assert page["silent_workers"] == []


def test_a_workers_death_is_counted_and_logged(balancer: Balancer) -> None:
    assert balancer.get("/")[0] == 200
    victim = balancer.worker_pids()[1]
    os.kill(victim, 9)
    balancer.wait_for_log(r" worker_died worker=1 pid=\d+ status=-9 deaths=1")
    eventually(lambda: ask(balancer.admin_address, "/admin/state")[1]["processes"][2]["state"] == "accepting")
    page = ask(balancer.admin_address, "/admin/state")[1]
    assert [(one["starts"], one["deaths"]) for one in page["processes"][1:]] == [(1, 0), (2, 1)]
    assert page["services"]["mysite"]["counts"]["requests"] == 1


def test_probes_are_answered(guarded: Balancer) -> None:
    assert ask(guarded.admin_address, "/healthz") == (200, {"ok": True})
    assert ask(guarded.admin_address, "/ready") == (200, {"ok": True})


def test_a_unix_socket_is_for_its_owner_and_speaks_both(balancer: Balancer, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    assert balancer.admin(f"SET admin.listen = {balancer.admin_address}, unix:{path}") == ["OK"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = admin_cli(f"unix:{path}", "show", "pool")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["mypool nodes 1", "mypool services 1", "."])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: whatever\r\n\r\n")
        assert b"200 OK" in sock.recv(4096)


def test_a_unix_socket_may_have_another_mode(balancer: Balancer, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    assert balancer.admin("SET admin.socket_mode = 0666") == ["OK"]
    assert balancer.admin(f"SET admin.listen = {balancer.admin_address}, unix:{path}") == ["OK"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_token_is_asked_for_by_every_way_in(guarded: Balancer, tmp_path: Path) -> None:
    address = guarded.admin_address
    assert guarded.admin("show pool") == ["ERROR: a token is needed here: say auth TOKEN first"]
    assert ask(address, "/admin/run", body={"line": "show pool"})[0] == 401
    assert ask(address, "/admin/run", body={"line": "create pool x"}, token=READER)[0] == 403
    assert ask(address, "/admin/run", body={"line": "create pool x"}, token=ADMIN)[0] == 200
    with guarded.telnet() as telnet:
        assert telnet.ask(f"auth {ADMIN}") == ["OK"]
        assert telnet.ask("create pool y") == ["OK"]
    done = admin_cli("--token-file", str(tmp_path / "token"), address, "show", "pool")
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, ["y services 0", "."])
    assert ADMIN not in guarded.log
    assert READER not in guarded.log


def test_guessing_is_slowed_down_and_logged_without_the_guess(guarded: Balancer) -> None:
    for _ in range(5):
        assert ask(guarded.admin_address, "/admin/state", token="not-the-right-token")[0] == 401
    assert ask(guarded.admin_address, "/admin/state", token=ADMIN)[0] == 429
    with guarded.telnet() as telnet:
        assert telnet.ask(f"auth {ADMIN}")[0].startswith("ERROR: too many wrong tokens: try again in ")
    guarded.wait_for_log(
        r" warn admin_refused service=admin peer=127\.0\.0\.1:\d+ reason=wrong_token", count=5
    )
    assert "not-the-right-token" not in guarded.log


def test_a_token_file_that_others_may_read_is_said_at_the_start(
    start_balancer: StartBalancer, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(ADMIN)
    token_file.chmod(0o644)
    text = site([]).replace("ENABLE admin", f"SET admin.admin_token_file = {token_file}\nENABLE admin")
    balancer = start_balancer(text, wait=False)
    assert balancer.wait() == 1
    assert f"token file {token_file}: others may use it (mode 0644): chmod 600 {token_file}" in balancer.log
    done = admin_cli("--token-file", str(token_file), "127.0.0.1:1", "show", "pool")
    assert (done.returncode, "others may use it" in done.stderr) == (1, True)


def test_an_address_for_others_needs_a_token_at_the_start(start_balancer: StartBalancer) -> None:
    text = site([]).replace("SET listen = {admin}", "SET listen = 0.0.0.0:1")
    balancer = start_balancer(text, wait=False)
    assert balancer.wait() == 2
    assert "a management service on 0.0.0.0:1 is open to others and needs a token" in balancer.log


@pytest.mark.parametrize(("protocol", "line", "page"), [("line", True, False), ("http", False, True)])
def test_a_port_may_speak_one_of_the_two(balancer: Balancer, protocol: str, line: bool, page: bool) -> None:
    assert balancer.admin(f"SET admin.protocol = {protocol}") == ["OK"]
    said = exchange(balancer.admin_address, b"uptime\r\nquit\r\n", finish=True)
    assert said.startswith(b"starttime ") is line
    said = exchange(balancer.admin_address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", finish=True)
    assert (b" 200 OK\r\n" in said) is page
    if protocol == "line":
        assert said == b"ERROR: this is the admin port, it does not speak HTTP\r\n"
    else:
        assert b" 400 " in exchange(balancer.admin_address, b"uptime\r\nquit\r\n", finish=True)


@pytest.mark.parametrize("protocol", ["line", "both", "http"])
def test_what_a_browser_can_be_made_to_send_runs_no_command(balancer: Balancer, protocol: str) -> None:
    assert balancer.admin(f"SET admin.protocol = {protocol}") == ["OK"]
    form = b"create pool evil\r\n" * 3
    head = b"POST /admin/run HTTP/1.1\r\nHost: %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
    for host in (b"localhost", b"evil.example"):
        exchange(balancer.admin_address, head % (host, len(form)) + form, finish=True)
    body = b'{"line": "create pool evil"}'
    exchange(balancer.admin_address, head % (b"localhost", len(body)) + body, finish=True)
    tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\ncreate pool evil\r\ncreate pool evil\r\n"
    said = exchange(balancer.admin_address, tls, finish=True)
    assert said == b"ERROR: this is the admin port, it does not speak TLS\r\n"
    assert "evil" not in balancer.file.parent.joinpath("balancer.log").read_text().replace("evil.example", "")
    page = exchange(
        balancer.admin_address, b"GET /admin/state HTTP/1.1\r\nHost: localhost\r\n\r\n", finish=True
    )
    assert b"evil" not in page


JSON_POST = b"POST /admin/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GARBAGE = [
    b"GET",
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    b"GET / HTTP/1\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/a.b\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n: y\r\n\r\n",
    b"POST /admin/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /admin/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    b"POST /admin/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    JSON_POST + b"Content-Length: 9\r\n\r\n{",
    JSON_POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    JSON_POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"\x00" * 5000,
]


@pytest.mark.parametrize("protocol", ["both", "http"])
def test_no_garbage_harms_it(balancer: Balancer, protocol: str) -> None:
    assert balancer.admin(f"SET admin.protocol = {protocol}") == ["OK"]
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for data in [*GARBAGE, *(dice.randbytes(dice.randrange(1, 3000)) for _ in range(30))]:
        exchange(balancer.admin_address, data, finish=True)
    assert ask(balancer.admin_address, "/healthz") == (200, {"ok": True}), f"seed {seed}"
    assert "Traceback" not in balancer.log, f"seed {seed}"
    assert balancer.is_running()


def test_a_huge_body_is_refused_without_being_read(balancer: Balancer) -> None:
    said = exchange(
        balancer.admin_address, JSON_POST + b"Content-Length: 1000000000000\r\n\r\n" + b"x" * 100_000
    )
    assert said.startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    said = exchange(balancer.admin_address, JSON_POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
    assert said.startswith(b"HTTP/1.1 413 ")


@pytest.fixture
def crowd(balancer: Balancer) -> Iterator[list[socket.socket]]:
    """1,000 connections to the admin port that say nothing, or half a request."""
    host, _, port = balancer.admin_address.rpartition(":")
    with ExitStack() as stack:
        made = []
        for number in range(1000):
            sock = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            with suppress(OSError):  # it may have been turned away already
                sock.sendall((b"", b"GET /metr", b"POST /admin/run HT")[number % 3])
            made.append(sock)
        yield made


def test_a_thousand_silent_connections_keep_nobody_out(
    balancer: Balancer, crowd: list[socket.socket]
) -> None:
    assert len(crowd) == 1000
    assert balancer.admin("show pool") == ["mypool nodes 1", "mypool services 1", "."]
    assert ask(balancer.admin_address, "/healthz") == (200, {"ok": True})
    assert balancer.get("/") == (200, b"a\n")
    assert "Traceback" not in balancer.log


def test_scrapers_that_do_not_read_hold_up_nobody(balancer: Balancer) -> None:
    host, _, port = balancer.admin_address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(40):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect((host, int(port)))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert balancer.get("/") == (200, b"a\n")
        assert balancer.admin("show pool") == ["mypool nodes 1", "mypool services 1", "."]
        assert ask(balancer.admin_address, "/healthz") == (200, {"ok": True})
