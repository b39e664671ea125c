"""What a hit and a miss of the balancer's page cache cost: CPU a request beside HAProxy's, nginx's and Varnish.

    make bench-ready [ARGS="--rounds 5 --seconds 1"]

The rig is bench.proxy's: one worker alone on a core, 32 connections in closed loop.  Who is compared takes turns
within a round, started anew; medians over the rounds, and of the ratios within a round.  The page is asked for
by a browser that has a cookie of no meaning to it: wsgistack is told to ignore that, Varnish to forget it.
A round counts only if the origin was not asked while it was measured.

A miss is a page that nobody asked for before: each request has a URL of its own, is asked of the origin and
stored, in 64 MB that others have to leave.  A round counts only if the origin was asked by each request, and
the last page is there afterwards.  The CPU is that of all processes: of wsgistack also the keeper's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

from bench.figures import SMALL, TEN_K, run_window
from bench.peers import PEERS, Peer, Setup, on_path
from bench.report import machine, write_between_markers
from bench.rig import BenchError, Cores, Load, Proxy, Rig, Target, open_rig
from bench.usage import read_cpu

__all__ = ["CASES", "main", "render"]

CONNECTIONS = 32
TTL_S = 600
WARM_S = 30.0
ORIGIN_US = 0.2  # of a request that it was not asked
MISSED_US = 1.0  # of one that it was asked, at least
HITS = {"130 B": SMALL, "10 kB": TEN_K}
MISSES = {f"miss, {size}": target for size, target in HITS.items()}
COOKIE = "theme=dark"  # of bench/native/client.c
AT_MOST = {"haproxy": 0.9, "nginx": 0.9, "varnish": 0.5}


def _wsgistack(*, ignored: str) -> Callable[[Setup], str]:
    def configure(setup: Setup) -> str:
        lines = ["CREATE CACHE pages", f"SET rules = /* ttl={TTL_S}", f"SET ignored_cookies = {ignored}"]
        return "\n".join([*lines, PEERS["wsgistack"].configuration(setup), "SET front.cache = pages", ""])

    return configure


def _nginx(setup: Setup) -> str:
    zone = f"proxy_cache_path {setup.folder}/cache keys_zone=pages:10m max_size=64m;\n  open_file_cache max=1000;"
    zone += '\n  map $upstream_cache_status $age { HIT 0; default ""; }'
    text = (
        PEERS["nginx"]
        .configuration(setup)
        .replace("  upstream origin {", f"  {zone}\n  upstream origin {{", 1)
    )
    cached = f"proxy_cache pages;\n      proxy_cache_valid 200 {TTL_S}s;\n      add_header Age $age;"
    return text.replace("    location / {", f"    location / {{\n      {cached}", 1)


def _haproxy(setup: Setup) -> str:
    text = PEERS["haproxy"].configuration(setup)
    cache = f"cache pages\n  total-max-size 64\n  max-object-size 100000\n  max-age {TTL_S}\n"
    lines = (
        "  http-request cache-use pages\n"
        f"  http-response set-header Cache-Control max-age={TTL_S}\n"
        "  http-response cache-store pages\n"
    )
    return cache + text.replace("  balance roundrobin\n", f"  balance roundrobin\n{lines}", 1)


def _varnish(setup: Setup) -> str:
    host, _, port = setup.nodes[0].rpartition(":")
    return (
        f'# {setup.port}\nvcl 4.1;\nbackend origin {{ .host = "{host}"; .port = "{port}"; }}\n'
        "sub vcl_recv { unset req.http.Cookie; }\n"
        f"sub vcl_backend_response {{ set beresp.ttl = {TTL_S}s; }}\n"
    )


def _varnish_arguments(path: str) -> list[str]:
    port = Path(path).read_text().split()[1]
    folder = Path(path).parent / "varnish"
    return [
        *["-F", "-j", "none", "-s", "malloc,64m"],
        "-a",
        f"127.0.0.1:{port}",
        "-n",
        str(folder),
        "-f",
        path,
    ]


VARNISH = Peer(
    "varnish", on_path("varnishd"), "-V", _varnish, _varnish_arguments, "malloc storage, cookies unset"
)

# Each with whether the origin is left alone.
CASES: dict[str, tuple[Peer, bool]] = {
    "wsgistack": (replace(PEERS["wsgistack"], configuration=_wsgistack(ignored="theme")), True),
    "haproxy": (replace(PEERS["haproxy"], configuration=_haproxy), True),
    "nginx": (replace(PEERS["nginx"], configuration=_nginx), True),
    "varnish": (VARNISH, True),
    "wsgistack, no cache": (PEERS["wsgistack"], False),
    "wsgistack, personal": (replace(PEERS["wsgistack"], configuration=_wsgistack(ignored="none")), False),
}

Rounds = Mapping[tuple[str, str], Sequence[float]]  # µs a request, by case and size


def measure_hits(rig: Rig, peer: Peer, target: Target, *, hit: bool, seconds: float) -> float:
    """Return the µs of CPU of a request for the same page."""
    options: dict[str, float | str] = {"connections": CONNECTIONS, "seconds": seconds, "warm": 0.3}
    with rig.proxy(peer) as proxy:
        if hit:
            _await_hit(proxy.port, target.path)
        with rig.load(proxy.port, target, options) as load:
            cpu_us, asked_us, _ = _run(rig, proxy, load)
    if hit and asked_us > ORIGIN_US:
        raise BenchError(f"{peer.name} asked the origin: {asked_us:.1f} µs of it a request")
    return cpu_us


def measure_misses(rig: Rig, peer: Peer, target: Target, *, seconds: float) -> float:
    """Return the µs of CPU of a request for a page that is asked for the first time, and stored."""
    options: dict[str, float | str] = {"connections": CONNECTIONS, "seconds": seconds, "distinct": 1}
    with rig.proxy(peer) as proxy:
        _await_hit(proxy.port, f"{target.path}/first")
        with rig.load(proxy.port, target, options) as load:
            warm = load.go()
            cpu_us, asked_us, responses = _run(rig, proxy, load)
            last = CONNECTIONS + warm.responses + responses - 1
            if not _asks_for_hit(proxy.port, f"{target.path}/{last:09}"):
                raise BenchError(f"{peer.name} did not store the last of {last + 1:,} pages")
    if asked_us < MISSED_US:
        raise BenchError(f"{peer.name} did not ask the origin: {asked_us:.1f} µs of it a request")
    return cpu_us


def measure(rig: Rig, case: tuple[Peer, bool], seconds: float) -> Iterator[tuple[str, float]]:
    """Give (size, µs of CPU of a request) of one round; misses of those that cache alone."""
    peer, hit = case
    for size, target in HITS.items():
        yield size, measure_hits(rig, peer, target, hit=hit, seconds=seconds)
    if hit:
        for size, target in MISSES.items():
            yield size, measure_misses(rig, peer, target, seconds=seconds)


def _run(rig: Rig, proxy: Proxy, load: Load) -> tuple[float, float, int]:
    """Return the µs a request of the proxy and of the origin, and how many requests that were."""
    before = read_cpu(rig.origin_pid)
    window, sample = run_window(rig, proxy, load)
    asked_us = read_cpu(rig.origin_pid).since(before).total_s * 1e6 / window.responses
    return sample["total"] * 1e6 / window.responses, asked_us, window.responses


def _await_hit(port: int, path: str) -> None:
    deadline = time.monotonic() + WARM_S
    hits = 0
    while hits < 3:
        if time.monotonic() > deadline:
            raise BenchError(f"{path} is no hit after {WARM_S:.0f} s")
        hits += _asks_for_hit(port, path)
        time.sleep(0.02)


def _asks_for_hit(port: int, path: str) -> bool:
    """Ask as the load generator does, and return whether the answer has an age."""
    fields = {"Host": "shop.example", "Accept-Encoding": "gzip, deflate", "Cookie": COOKIE}
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path, headers=fields)
        response = connection.getresponse()
        response.read()
        return response.getheader("Age") is not None


def render(rounds: Rounds, header: str) -> str:
    """Return the tables."""
    lines = [header, ""]
    for size in (*HITS, *MISSES):
        ours = rounds["wsgistack", size]
        lines += [
            f"| {size} | µs CPU a request | lowest | highest | wsgistack / it | target |",
            "|---" * 6 + "|",
        ]
        for name in CASES:
            found = rounds.get((name, size))
            if not found:
                continue
            ratio = statistics.median(a / b for a, b in zip(ours, found, strict=True))
            cells = [f"{cell:.2f}" for cell in (statistics.median(found), min(found), max(found))]
            target = AT_MOST.get(name)
            told = ["", ""] if target is None else [f"{ratio:.2f}", f"<= {target:g}" if size in HITS else ""]
            lines.append("| " + " | ".join([name, *cells, *told]) + " |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and renew the page if asked; exit status 2 when it cannot be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ready", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew the result in docs/performance.md")
    options = parser.parse_args(arguments)
    cases = {name: case for name, case in CASES.items() if case[0].find() is not None}
    rounds: dict[tuple[str, str], list[float]] = {}
    try:
        with open_rig(Cores.apart()) as rig:
            for _ in range(options.rounds):
                for name, case in cases.items():
                    for size, took in measure(rig, case, options.seconds):
                        rounds.setdefault((name, size), []).append(took)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    command = f"`python -m bench.ready --rounds {options.rounds} --seconds {options.seconds:g}`"
    versions = "; ".join(peer.version() for peer, hit in cases.values() if hit and peer.name != "wsgistack")
    text = render(rounds, f"Command: {command}; {machine()}; {versions}")
    print(text)
    if options.write:
        write_between_markers(options.write, text, "bench-ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
