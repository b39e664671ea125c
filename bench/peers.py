"""The proxies that are compared: how each is found, configured and started.

All get the same work: one worker or thread, keep-alive to clients and to the same two nodes (up to
1024 idle connections to them), fields that say who is asking, counters on, no log of requests.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["LOGGING", "PEERS", "Peer", "Setup", "on_path"]

CONNECTIONS_MAX = 20_000
IDLE_NODE_CONNECTIONS = 1024  # else 1,000 clients make the proxies open and close connections to nodes
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True, slots=True)
class Setup:
    """What a proxy is to do."""

    folder: Path
    port: int  # on 127.0.0.1
    nodes: tuple[str, ...]
    workers: int = 1
    splice: bool = False  # move bodies inside the kernel where that is a choice


@dataclass(frozen=True, slots=True)
class Peer:
    """One proxy: *find* gives the command that starts it, or None when it is not here."""

    name: str
    find: Callable[[], list[str] | None]
    version_flag: str
    configuration: Callable[[Setup], str]
    arguments: Callable[[str], list[str]]  # of the path of the configuration
    stated: str  # what a reader of the figures should know about the configuration
    ready_line: str | None = None
    workers_max: int = 64

    def command(self, setup: Setup) -> list[str]:
        """Write the configuration into the folder of *setup* and return the command line."""
        path = setup.folder / f"{self.name}.conf"
        path.write_text(self.configuration(setup))
        return [*(self.find() or [self.name]), *self.arguments(str(path))]

    def version(self) -> str:
        """Return the first line that the program says about its version."""
        command = [*(self.find() or [self.name]), self.version_flag]
        said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        lines = (said.stdout + said.stderr).strip().splitlines()
        return lines[0] if lines else "unknown"


def on_path(name: str) -> Callable[[], list[str] | None]:
    """Return what finds the program *name*."""

    def find() -> list[str] | None:
        program = shutil.which(name, path=SEARCH)
        return [program] if program else None

    return find


def _find_wsgistack() -> list[str] | None:
    try:
        here = all(map(importlib.util.find_spec, ("wsgistack.__main__", "wsgistack.balancer.worker")))
    except ModuleNotFoundError:
        here = False
    return [sys.executable, "-m", "wsgistack"] if here else None


def _language_of_perlbal(setup: Setup, *head: str, service: tuple[str, ...] = ()) -> str:
    return "\n".join(
        [
            *head,
            "CREATE POOL origin",
            *(f"  POOL origin ADD {node}" for node in setup.nodes),
            "CREATE SERVICE front",
            f"  SET listen = 127.0.0.1:{setup.port}",
            "  SET role = reverse_proxy",
            "  SET pool = origin",
            "  SET persist_client = on",
            "  SET persist_backend = on",
            f"  SET backend_persist_cache = {IDLE_NODE_CONNECTIONS}",
            "  SET persist_client_idle_timeout = 300",
            *service,
            "ENABLE front",
            "",
        ]
    )


def _wsgistack(setup: Setup) -> str:
    return _language_of_perlbal(
        setup, f"SERVER workers = {setup.workers}", f"SERVER max_connections = {CONNECTIONS_MAX}"
    )


def _logging(form: str) -> Callable[[Setup], str]:
    def configure(setup: Setup) -> str:
        log = f"SERVER access_log = {setup.folder}/access.log\nSERVER access_log_format = {form}\n"
        return log + _wsgistack(setup)

    return configure


def _perlbal(setup: Setup) -> str:
    return _language_of_perlbal(setup)


def _nginx(setup: Setup) -> str:
    folder = setup.folder
    servers = "\n".join(f"    server {node};" for node in setup.nodes)
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    reuseport = " reuseport" if setup.workers > 1 else ""
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""\
{user}
daemon off;
worker_processes {setup.workers};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {CONNECTIONS_MAX}; }}
http {{
  access_log off;
{temporary}
  sendfile on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  proxy_max_temp_file_size 0;
  upstream origin {{
{servers}
    keepalive {IDLE_NODE_CONNECTIONS};
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{setup.port} backlog=4096{reuseport};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
    location = /stub_status {{ stub_status; }}
  }}
}}
"""


def _haproxy(setup: Setup) -> str:
    servers = "\n".join(
        f"  server node{number} {node} check inter 1s" for number, node in enumerate(setup.nodes)
    )
    splice = "  option splice-response" if setup.splice else ""
    return f"""\
global
  nbthread {setup.workers}
  maxconn {CONNECTIONS_MAX}
  no strict-limits
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  timeout http-request 20s
  timeout http-keep-alive 300s
frontend front
  bind 127.0.0.1:{setup.port} backlog 4096
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  stats enable
  stats uri /haproxy-stats
{splice}
  default_backend origin
backend origin
{splice}
  balance roundrobin
{servers}
"""


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="wsgistack",
            find=_find_wsgistack,
            version_flag="--version",
            configuration=_wsgistack,
            arguments=lambda path: ["balancer", path],
            ready_line="ready",
            stated="as shipped: two_choices, tcp health checks, supervisor and worker counted; no access log",
        ),
        Peer(
            name="nginx",
            find=on_path("nginx"),
            version_flag="-v",
            configuration=_nginx,
            arguments=lambda path: ["-c", path, "-p", str(Path(path).parent)],
            stated="round robin, stub_status, access_log off, proxy buffering on without temporary files",
        ),
        Peer(
            name="haproxy",
            find=on_path("haproxy"),
            version_flag="-v",
            configuration=_haproxy,
            arguments=lambda path: ["-db", "-f", path],
            stated="roundrobin, tcp checks, stats enable, no log; option splice-response for large downloads",
        ),
        Peer(
            name="perlbal",
            find=on_path("perlbal"),
            version_flag="--version",
            configuration=_perlbal,
            arguments=lambda path: [f"--config={path}"],
            stated="random, no access log, verify_backend off; asks its nodes in HTTP/1.0 with keep-alive",
            workers_max=1,
        ),
    )
}

LOGGING = {
    f"wsgistack-{form}": replace(
        PEERS["wsgistack"],
        name=f"wsgistack-{form}",
        configuration=_logging(form),
        stated=f"the same with an access log, access_log_format = {form}",
    )
    for form in ("combined", "json")
}
