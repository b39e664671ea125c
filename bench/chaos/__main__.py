"""`python -m bench.chaos`: what visitors notice while nodes and workers fail under load.

A closed loop of 32 clients asks a real balancer with three real nodes, a quarter of it POSTs whose
ids the nodes log.  Exit status 1 when a target is missed.  docs/performance.md tells more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import gevent

from bench.chaos.load import Load, Seen
from bench.chaos.site import Site
from bench.chaos.trials import BALANCER_TRIALS, NODE_TRIALS, Finding, Trial, Window
from bench.peers import PEERS
from bench.report import machine, write_between_markers
from bench.rig import BenchError

__all__ = ["judge_posts", "main", "render"]

WARM_S = 1.0
SHORT = Window(damage=2.0, after=3.0)
LONG = Window(damage=6.0, after=6.0)
BENCH = "bench-chaos"
# A node that had the request when it died or hung, and those that never got one.
TOLD = (502, 503, 504)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; 1 when a target is missed, 2 when there is nothing to run."""
    options = _parse(arguments)
    window = SHORT if options.short else LONG
    missing = [name for name in options.peers if PEERS[name].find() is None]
    if missing:
        print(f"not here: {', '.join(missing)}", file=sys.stderr)
    try:
        findings = {name: _run(name, window, options.trials) for name in options.peers if name not in missing}
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    if not findings:
        return 2
    text = render(findings)
    print(text)
    if options.write:
        write_between_markers(options.write, text, BENCH)
    return int(any(one.met is False for one in findings.get("wsgistack", [])))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=(__doc__ or "").splitlines()[0]
    )
    names = [trial.__name__ for trial in (*NODE_TRIALS, *BALANCER_TRIALS)]
    parser.add_argument("--short", action="store_true", help="shorter windows, about a minute")
    parser.add_argument("--trials", type=_some(names), default=names, help=", ".join(names))
    parser.add_argument("--peers", type=_some(["wsgistack", "nginx", "haproxy"]), default=["wsgistack"])
    parser.add_argument("--write", type=Path, help="renew the result on this page")
    return parser.parse_args(arguments)


def _some(names: Sequence[str]):  # type: ignore[no-untyped-def]  # argparse takes any callable
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(names)}")
        return chosen

    return parse


def _run(peer: str, window: Window, names: Sequence[str]) -> list[Finding]:
    # Peers have no admin language of ours: they go through what happens to nodes.
    trials = NODE_TRIALS if peer != "wsgistack" else [*NODE_TRIALS, *BALANCER_TRIALS]
    chosen = [trial for trial in trials if trial.__name__ in names]
    findings: list[Finding] = []
    posts: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="wsgistack-chaos-") as folder, Site(Path(folder), peer) as site:
        for trial in chosen:
            found, made = _one(trial, site, window)
            findings += found
            posts += made
        gevent.sleep(1.0)
        findings += judge_posts(posts, dict(site.ids()))
    return findings


def _one(trial: Trial, site: Site, window: Window) -> tuple[list[Finding], list[Seen]]:
    print(f"-- {trial.__name__}", file=sys.stderr)
    with Load(site.port, name=f"{trial.__name__}-{time.time_ns()}") as load:
        gevent.sleep(WARM_S)
        try:
            found = trial(site, load, window)
        except BenchError as error:
            found = [Finding(trial.__name__, str(error), "-", "it ends", False)]
    return found, load.posts()


def judge_posts(posts: Sequence[Seen], executed: dict[str, int]) -> list[Finding]:
    """Return what became of the POSTs: *executed* is how often the nodes logged each id."""
    event = "POSTs, each with an id logged by the nodes"
    known = {one.ident for one in posts}
    twice = [ident for ident in known if executed.get(ident, 0) > 1]
    phantom = [one for one in posts if one.status == 200 and not executed.get(one.ident)]
    failed = [one for one in posts if one.failed and one.status != 500]
    # A connection that a killed worker held ends without an answer; everything else is told.
    untold = [one for one in failed if one.status not in TOLD and "kill_a_worker" not in one.ident]
    return [
        Finding(event, "executed twice", f"{len(twice)} of {len(posts)}", "0", not twice and len(posts) > 0),
        Finding(event, "answered 200, not executed", str(len(phantom)), "0", not phantom),
        Finding(event, "failed and not told by 502, 503 or 504", str(len(untold)), "0", not untold),
        Finding(event, "failed, of them executed",
                f"{len(failed)}, {sum(one.ident in executed for one in failed)}"),
    ]  # fmt: skip


def render(findings: dict[str, list[Finding]]) -> str:
    """Return one table: a row each finding, a column each proxy."""
    peers = list(findings)
    first = findings[peers[0]]
    lines = [
        f"{machine()}.",
        "",
        f"| event under load | | {' | '.join(peers)} | target | |",
        "|---|---|" + "---|" * (len(peers) + 2),
    ]
    for one in first:
        cells = [one.measured]
        for peer in peers[1:]:
            same = [other for other in findings[peer] if (other.event, other.what) == (one.event, one.what)]
            cells.append(same[0].measured if same else "-")
        verdict = {True: "met", False: "**missed**", None: ""}[one.met]
        lines.append(f"| {one.event} | {one.what} | {' | '.join(cells)} | {one.target} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
