"""`python -m bench.proxy`: the balancer beside nginx, HAProxy and Perlbal, those that are here.

It installs nothing, listens on ephemeral ports of 127.0.0.1 only, and ends what it started.
What is measured, and how, is told in docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.compiler import MissingCompiler
from bench.figures import FIGURES, NotMeasured, Plan, half_load
from bench.peers import LOGGING, PEERS, Peer
from bench.profiling import profile
from bench.report import Result, machine, render, stated_fields, write_between_markers
from bench.rig import BenchError, Cores, Rig, ask, open_rig, raise_descriptors

__all__ = ["main"]

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
ALL = ChainMap(PEERS, LOGGING)  # the latter only where they are asked for
SPARE_DESCRIPTORS = 600  # of the proxy, beside its idle clients: nodes, listeners, files


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen figures; exit status 1 when a round failed, 2 when nothing can be measured."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = _plan(options)
    peers = _present(options.only)
    if not peers:
        return _complain("none of the proxies is here")
    cores = Cores(None, None, None) if options.no_pin else Cores.apart()
    try:
        with open_rig(cores) as rig:
            if options.profile:
                print(profile(rig, peers[0], plan))
                return 0
            header = _header(rig, peers, options)
            results = [_run(rig, peers, name, plan) for name in options.figures]
    except (BenchError, MissingCompiler) as error:
        return _complain(str(error))
    text = render(results, header, plan)
    print(text)
    if options.write:
        write_between_markers(options.write, text)
    return 1 if any(result.failures for result in results) else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.proxy", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", type=_names(ALL), default=list(PEERS), help=", ".join(ALL))
    parser.add_argument("--figures", type=_names(FIGURES), default=list(FIGURES), help=", ".join(FIGURES))
    parser.add_argument("--rounds", type=int, help="of each figure (5)")
    parser.add_argument("--seconds", type=float, help="of each measured window (3)")
    parser.add_argument("--quick", action="store_true", help="a look: 2 short rounds, 1,000 idle connections")
    parser.add_argument("--no-pin", action="store_true", help="do not give the proxy a core of its own")
    parser.add_argument("--profile", action="store_true", help="perf's view of the first proxy, nothing else")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew the result in docs/performance.md")
    options = parser.parse_args(arguments)
    options.command = shlex.join(
        ["python", "-m", "bench.proxy", *(sys.argv[1:] if arguments is None else arguments)]
    )
    return options


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    choices = list(known)

    def parse(text: str) -> list[str]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in choices]
        if unknown or not wanted:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)!r}: choose from {', '.join(choices)}")
        return [name for name in choices if name in wanted]

    return parse


def _plan(options: argparse.Namespace) -> Plan:
    plan = Plan(rounds=2, seconds=0.5, warm_s=0.2, gib=1, idle=1000) if options.quick else Plan()
    plan.rounds = options.rounds or plan.rounds
    plan.seconds = options.seconds or plan.seconds
    descriptors = raise_descriptors()
    if descriptors < plan.idle + SPARE_DESCRIPTORS:
        plan.idle = descriptors - SPARE_DESCRIPTORS
        print(f"RLIMIT_NOFILE allows {descriptors}: only {plan.idle} idle connections", file=sys.stderr)
    return plan


def _present(only: Sequence[str]) -> list[Peer]:
    wanted = [ALL[name] for name in only]
    for peer in wanted:
        if not peer.find():
            print(f"{peer.name} is not here; the figures are made without it", file=sys.stderr)
    return [peer for peer in wanted if peer.find()]


def _header(rig: Rig, peers: Sequence[Peer], options: argparse.Namespace) -> list[str]:
    heads = {}
    for peer in peers:
        with rig.proxy(peer) as proxy:
            heads[peer.name] = ask(proxy.port, "/head")[1]
    absent = [name for name in options.only if name not in heads]
    pinned = "the proxy alone on one core, load generator and origin on the rest"
    return [
        f"Command: `{options.command}`",
        f"Machine: {machine()}; load average at the start {os.getloadavg()[0]:.2f}",
        f"TCP: congestion control {CONGESTION.read_text().strip()}, loopback",
        f"Cores: {pinned if rig.cores.proxy else 'left to the scheduler'}",
        *(f"{peer.name}: {peer.version()}; {peer.stated}" for peer in peers),
        *([f"Not here: {', '.join(absent)}"] if absent else []),
        f"Fields about the client that the node received: {stated_fields(heads)}",
        "CPU: schedstat of all the proxy's processes, split into user and system by the ticks of stat",
    ]


def _run(rig: Rig, peers: Sequence[Peer], name: str, plan: Plan) -> Result:
    """Measure one figure: the proxies take turns, round after round."""
    result = Result(FIGURES[name], {peer.name: [] for peer in peers})
    if name == "p99":
        half_load(rig, peers, plan)
    rounds = plan.rounds * result.figure.times
    for number in range(rounds):
        print(f"{name}: round {number + 1} of {rounds}", file=sys.stderr)
        for peer in peers:
            try:
                result.rounds[peer.name].append(result.figure.measure(rig, peer, plan))
            except NotMeasured as reason:
                result.left_out[peer.name] = str(reason)
            except BenchError as error:
                result.rounds[peer.name].append(None)
                result.failures.append(f"round {number + 1}: {error}")
    return result


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
