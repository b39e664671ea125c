"""Where the time of a worker goes, as perf sees it."""

from __future__ import annotations

import shutil
import signal
import subprocess

from bench.figures import SMALL, Plan
from bench.peers import Peer
from bench.rig import BenchError, Rig
from bench.usage import process_tree, read_cpu

__all__ = ["profile"]


def profile(rig: Rig, peer: Peer, plan: Plan, *, lines: int = 40) -> str:
    """Return perf's flat profile of the busiest process of *peer* under 130-byte responses."""
    if not shutil.which("perf"):
        raise BenchError("perf is not here (Debian: apt-get install linux-perf)")
    data = rig.folder / "perf.data"
    with (
        rig.proxy(peer) as proxy,
        rig.load(proxy.port, SMALL, {"seconds": plan.seconds, "warm": 1.0}) as load,
    ):
        record = ["perf", "record", "-q", "-F", "2000", "-e", "cpu-clock", "-o", str(data)]
        record += ["-p", str(_busiest(proxy.pid))]
        with subprocess.Popen(record, stderr=subprocess.DEVNULL) as recorder:
            load.go()
            recorder.send_signal(signal.SIGINT)
            recorder.wait(30)
    shown = subprocess.run(
        ["perf", "report", "--stdio", "--no-children", "--sort", "symbol,dso", "-i", str(data)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in shown.stdout.splitlines() if line.strip() and not line.startswith("#")]
    return "\n".join(line.rstrip(" -") for line in said[:lines]) or shown.stderr


def _busiest(pid: int) -> int:
    spent = {member: sum(read_cpu(member).threads_ns.values()) for member in process_tree(pid)}
    own = {member: spent[member] - sum(map(spent.__getitem__, process_tree(member)[1:])) for member in spent}
    return max(own, key=own.__getitem__)
