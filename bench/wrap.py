"""What a stack adds to a request: each component alone, and all of them together.

    python -m bench.wrap [warm] [cold] [views] [parts] [controls] [import] [--rounds N] [--turns N] [--profile]

`warm`: CPU time of this process per request that reaches a WSGI application, in process, in a loop of its
own, the median of the rounds.  The application answers with 1,000 bytes of text/html to a client that
accepts no encoding, so that nothing is compressed.

`cold`: in such a loop all of a stack is at hand in the processor's caches, which an application empties
between two requests.  So single requests are timed (by the wall clock, lower quartile) right behind one of
a bare Django view, and once more when the same was done twice.

`views`: what everything adds to Django views of one query, bare and wrapped in turns, see `bench.turns`:
the median of the differences, between brackets where it lies in 95 of 100 cases, and the share of the view.
`the same view` is not wrapped either: it shows what the measurement sees where there is nothing.

`parts`: the same of each component alone.

`controls`: the same of others, who do less or nothing, beside everything; see `bench.controls`.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.around import show_parts, show_views
from bench.controls import show_controls
from bench.django_site import ONE, make_more, make_site
from bench.stacks import ENVIRON, PARTS, SESSION, ask, bare, cookie_of, kept, without
from wsgistack import wrap

REQUESTS = 2000
BEHIND, TURNS = 100, 10  # requests of one stack in a row, and how often
NO_STEPS = ("page_cache", "compression", "conditional")
IMPORTS = "import time; at = time.perf_counter(); import wsgistack; print((time.perf_counter() - at) * 1000)"
KINDS = ("warm", "cold", "views", "parts", "controls", "import")


class Behind(NamedTuple):
    """Microseconds of a request behind one of another application, and behind its like."""

    cold: float
    warm: float


def measure(app: Callable[..., Any], cookie: str) -> float:
    """Return microseconds of CPU per request."""
    environ = {**ENVIRON, "HTTP_COOKIE": cookie} if cookie else ENVIRON
    began = time.process_time()
    for _ in range(REQUESTS):
        ask(app, dict(environ))
    return (time.process_time() - began) / REQUESTS * 1e6


def measure_behind(
    site: Callable[..., Any], apps: dict[str, Callable[..., Any]], cookie: str
) -> dict[str, Behind]:
    """Return of each of *apps* the microseconds of a request right behind one of *site*, and of a third one."""
    environ = {**ENVIRON, "HTTP_COOKIE": cookie}
    before = {**environ, "PATH_INFO": ONE}
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in apps}

    def timed(app: Callable[..., Any]) -> float:
        asked = dict(environ)
        began = time.perf_counter_ns()
        ask(app, asked)
        return (time.perf_counter_ns() - began) / 1000

    for _ in range(TURNS):
        for name, app in apps.items():
            for _ in range(BEHIND):  # a server has one stack: those of others are not to come between
                ask(site, dict(before))
                cold, _again, warm = timed(app), timed(app), timed(app)
                taken[name][0].append(cold)
                taken[name][1].append(warm)
    return {name: Behind(*map(lower_quartile, times)) for name, times in taken.items()}


def lower_quartile(times: list[float]) -> float:
    """Return what three quarters of *times* are above."""
    return statistics.quantiles(times, n=4)[0]


def show_profile(cookie: str) -> None:
    """Print which functions the time goes to; the profiler makes calls dearer than they are."""
    app = wrap(bare, PARTS)
    measure(app, cookie)
    profile = cProfile.Profile()
    profile.runcall(measure, app, cookie)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def show_warm(rounds: int, cookie: str) -> None:
    """Print what is added in a loop of its own."""
    stacks: dict[str, Callable[..., Any]] = {
        "nothing": bare,
        **{name: wrap(bare, {name: value}) for name, value in PARTS.items()},
        "what is a step": wrap(bare, without(*NO_STEPS)),
        "all but page_cache": wrap(bare, without("page_cache")),
        "all but conditional": wrap(bare, without("conditional")),
        "all": wrap(bare, PARTS),
        "all, a page out of the cache": wrap(kept, PARTS),
    }
    visitors = (f"{cookie}; {SESSION}", cookie, "")
    taken: dict[str, tuple[list[float], ...]] = {name: ([], [], []) for name in stacks}
    for _ in range(rounds):
        for name, app in stacks.items():
            for times, brought in zip(taken[name], visitors, strict=True):
                times.append(measure(app, brought))
    base = [statistics.median(times) for times in taken.pop("nothing")]
    print("| µs added to a request | of who is signed in | of a visitor | of one who comes first |")
    print("|---|---|---|---|")
    told: dict[str, float] = {}
    for name, columns in taken.items():
        over = [statistics.median(times) - nothing for times, nothing in zip(columns, base, strict=True)]
        told[name] = over[0]
        print(f"| {name} | {' | '.join(f'{one:.1f}' for one in over)} |")
    parts = sum(told[name] for name in PARTS)
    print(f"\nSigned in: {told['all']:.1f} µs for all, {parts:.1f} for each alone, added up.\n")


def show_cold(site: Callable[..., Any], cookie: str) -> None:
    """Print what is added right behind a view of Django."""
    apps: dict[str, Callable[..., Any]] = {
        "nothing": bare,
        **{name: wrap(bare, {name: value}) for name, value in PARTS.items()},
        "all": wrap(bare, PARTS),
    }
    taken = measure_behind(site, apps, f"{cookie}; {SESSION}")
    print("| µs added, of who is signed in | cold: behind a Django view | warm: behind its like |")
    print("|---|---|---|")
    base = taken.pop("nothing")
    for name, (cold, warm) in taken.items():
        print(f"| {name} | {cold - base.cold:.1f} | {warm - base.warm:.1f} |")
    print()


def show_import() -> None:
    """Print how long a program takes to import the package."""
    run = [sys.executable, "-c", IMPORTS]
    spent = [float(subprocess.run(run, capture_output=True, check=True).stdout) for _ in range(11)]
    print(f"`import wsgistack`: {statistics.median(spent):.1f} ms.")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.wrap", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{', '.join(KINDS)}; all by default")
    parser.add_argument("--rounds", type=int, default=7, help="of `warm`")
    parser.add_argument(
        "--turns", type=int, default=3000, help="of `views`; of slower views, and `parts`, fewer"
    )
    parser.add_argument("--profile", action="store_true", help="where `all` takes its time, nothing else")
    options = parser.parse_args()
    kinds = options.kinds or KINDS
    if not set(kinds) <= set(KINDS):
        parser.error(f"{' '.join(kinds)}: choose from {', '.join(KINDS)}")
    cookie = cookie_of(PARTS)
    if options.profile:
        show_profile(f"{cookie}; {SESSION}")
        return 0
    site = make_site() if {"cold", "views", "parts", "controls"} & set(kinds) else {}
    if "warm" in kinds:
        show_warm(options.rounds, cookie)
    if "cold" in kinds:
        show_cold(site[ONE], cookie)
    if "views" in kinds:
        show_views(site, cookie, options.turns)
    if "parts" in kinds:
        show_parts(site, cookie, options.turns // 4)
    if "controls" in kinds:
        show_controls(site, make_more(), cookie, options.turns)
    if "import" in kinds:
        show_import()
    return 0


if __name__ == "__main__":
    sys.exit(main())
