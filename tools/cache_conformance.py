"""The HTTP caching cases at both edges, in both profiles; run by `make conformance-cache`.

    python -m tools.cache_conformance [DIRECTORY]

DIRECTORY holds `run_cache_cases.py` and its cases, which are no part of the project.  The floors are
what docs/page-cache.md says; whoever falls below one has lost a case.
"""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

__all__ = ["EDGES", "Edge", "main"]

CASES = Path("../shared/conformance")
RUNNER = "run_cache_cases.py"
CONFIGURATION = "tests/conformance/balancer.conf"


class Edge(NamedTuple):
    """One run: *factory* of the WSGI edge, "" for the balancer; how many cases must pass."""

    profile: str
    factory: str
    required: int
    optimal: int

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{'WSGI' if self.factory else 'balancer'}, {self.profile}"

    def command(self, runner: Path) -> list[str]:
        """Return what runs it, with ports of its own."""
        made = [sys.executable, str(runner)]
        made += ["--min-required", str(self.required), "--min-optimal", str(self.optimal)]
        if self.factory:
            return [*made, "--wsgi", f"tests.conformance.cache:{self.factory}"]
        edge, origin = _free_ports()
        program = f"env EDGE={edge} ORIGIN={origin} PROFILE={self.profile} {sys.executable} -m wsgistack"
        made += ["--base", f"http://127.0.0.1:{edge}", "--origin-port", str(origin)]
        return [*made, "--cmd", f"{program} balancer {CONFIGURATION}"]


# WSGI carries no interim responses: one required and two optimal cases do not apply there.
EDGES = (
    Edge("rfc9111", "make", 102, 69),
    Edge("anonymous", "make_anonymous", 101, 58),
    Edge("rfc9111", "", 103, 71),
    Edge("anonymous", "", 102, 60),
)


def _free_ports() -> list[int]:
    with ExitStack() as open_ones:
        made = [open_ones.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        return [one.getsockname()[1] for one in made]


def main() -> int:
    """Run the four, two at a time (they wait most of the time); return 1 if one is below its floor."""
    runner = Path(sys.argv[1] if len(sys.argv) > 1 else CASES) / RUNNER
    if not runner.is_file():
        print(f"conformance-cache: {runner} is not there; name the directory of the cases", file=sys.stderr)
        return 1
    failed = []
    for pair in (EDGES[::2], EDGES[1::2]):
        runs = [(edge, _start(edge, runner)) for edge in pair]
        failed += [edge.name for edge, run in runs if not _ends_well(edge, run)]
    print(
        f"conformance-cache: below its floor: {'; '.join(failed)}"
        if failed
        else "conformance-cache: all hold"
    )
    return 1 if failed else 0


def _start(edge: Edge, runner: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        edge.command(runner),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    )


def _ends_well(edge: Edge, run: subprocess.Popen[str]) -> bool:
    said, _ = run.communicate()
    if run.returncode:
        print(said)
    print(f"{edge.name}: {said.rstrip().rpartition(chr(10))[2]}", flush=True)
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
