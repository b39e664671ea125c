"""Three nodes as processes, and a proxy in front of them: ours, nginx or HAProxy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import gevent

from bench.peers import PEERS
from bench.rig import BenchError, ask

__all__ = ["CHECK_S", "NAMES", "TRY_S", "NodeProcess", "Site"]

NAMES = ("a", "b", "c")
CHECK_S = 1.0  # from one health check to the next
TRY_S = 1.0  # the time of one try: node_first_byte_timeout
START_S = 20.0
ROOT = Path(__file__).parent.parent.parent

OURS = """\
SERVER workers = 2
SERVER pidfile = {folder}/pid
CREATE POOL mypool
{nodes}
  SET health_check = http
  SET health_path = /health
CREATE SERVICE mysite
  SET listen = 127.0.0.1:{port}
  SET role = reverse_proxy
  SET pool = mypool
  SET node_first_byte_timeout = {try_s}
ENABLE mysite
CREATE SERVICE admin
  SET role = management
  SET listen = 127.0.0.1:{admin}
ENABLE admin
"""

HAPROXY = """\
global
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server {try_s}s
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response response-timeout junk-response 502 503 504
frontend front
  bind 127.0.0.1:{port}
  default_backend origin
backend origin
  http-request disable-l7-retry if METH_POST
  balance leastconn
  option httpchk GET /health
  default-server check inter 1s fastinter 250ms fall 3 rise 2 observe layer7 error-limit 5 on-error mark-down slowstart 5s
{nodes}
"""

NGINX = """\
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream origin {{
    zone origin 64k;
    least_conn;
{nodes}
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_read_timeout {try_s}s;
      proxy_next_upstream error timeout invalid_header http_502 http_503 http_504;
    }}
  }}
}}
"""


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], object], what: str, within_s: float = START_S) -> None:
    """Return once *is_so()*; BenchError when it does not come."""
    limit = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > limit:
            raise BenchError(f"{what} within {within_s:g} s")
        gevent.sleep(0.02)


class NodeProcess:
    """One node as a process; *log* gets the ids of its POSTs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self._control = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again) and return once it answers."""
        words = [str(self.port), str(self._control), self.name, str(self.log)]
        self._process = subprocess.Popen([sys.executable, "-m", "bench.chaos.node", *words], cwd=ROOT)
        until(self._answers, f"expected node {self.name} to answer")

    def _answers(self) -> bool:
        with suppress(OSError):
            return ask(self.port, "/health", timeout_s=1.0)[0] == 200
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; after SIGKILL it is gone when this returns."""
        assert self._process
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def become(self, mode: str) -> None:
        """Let it behave like that."""
        with socket.create_connection(("127.0.0.1", self._control), timeout=5.0) as control:
            control.sendall(f"{mode}\n".encode())
            control.recv(10)

    def end(self) -> None:
        """Kill it, whatever it does."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)


class Site:
    """Three nodes behind *peer*, all started; a context that ends them."""

    def __init__(self, folder: Path, peer: str = "wsgistack") -> None:
        self.folder = folder
        self.port = free_port()
        self.admin = free_port()
        self.nodes = {name: NodeProcess(name, folder) for name in NAMES}
        self._peer = peer
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            for node in self.nodes.values():
                node.start()
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self) -> None:
        path = self.folder / "conf"
        path.write_text(self._configuration())
        peer = PEERS[self._peer]
        command = [*(peer.find() or [self._peer]), *peer.arguments(str(path))]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            until(self._is_ready, f"expected {self._peer} to answer")
        except BenchError as error:
            raise BenchError(f"{error}; it said: {self.log()[-500:]}") from None

    def _is_ready(self) -> bool:
        with suppress(OSError):
            return ask(self.port, "/", timeout_s=1.0)[0] == 200
        return False

    def _configuration(self) -> str:
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes.values()]
        text, line = {
            "wsgistack": (OURS, "  POOL mypool ADD {address}"),
            "haproxy": (HAPROXY, "  server n{number} {address}"),
            "nginx": (NGINX, "    server {address} max_fails=5 fail_timeout=2s;"),
        }[self._peer]
        nodes = "\n".join(line.format(address=a, number=i) for i, a in enumerate(addresses))
        user = "user root;" if os.geteuid() == 0 else ""
        return text.format(
            folder=self.folder, port=self.port, admin=self.admin, nodes=nodes, try_s=int(TRY_S), user=user
        )

    @property
    def pid(self) -> int:
        """The process in charge: after an upgrade another one."""
        assert self._process
        pidfile = self.folder / "pid"
        return int(pidfile.read_text()) if pidfile.exists() else self._process.pid

    def log(self) -> str:
        """Return what the proxy has said."""
        return self._log.read_text(errors="replace")

    def ids(self) -> Counter[str]:
        """Return how often each POST reached a node."""
        return Counter(
            line for node in self.nodes.values() if node.log.exists() for line in node.log.read_text().split()
        )

    def end(self) -> None:
        """End everything that was started."""
        for pid in {self.pid, self._process.pid} if self._process else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if self._process:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for node in self.nodes.values():
            node.end()
