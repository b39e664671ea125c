"""What a stack adds to views of Django, and how large a share of them that is; see `bench.wrap`."""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bench.django_site import ONE, ROWS, SELECT
from bench.stacks import ENVIRON, PARTS, SESSION, ask
from bench.turns import Added, added, in_turns
from wsgistack import wrap

__all__ = ["VIEWS", "show_parts", "show_views", "shown"]

VIEWS = {
    SELECT: ("`select 1`, no middleware", 1),
    ONE: ("one row in a template, startproject's middleware", 2),
    ROWS: ("50 rows in a template, startproject's middleware", 4),
}  # and by how much fewer turns each has
AIM_US, AIM_SHARE = 15, 0.01
KEPT = {**PARTS, "page_cache": {"rules": [{"path": "/*", "ttl": 60}]}}
BARE, SAME = "bare", "the same view, not wrapped"
SIGNED_IN, FIRST = "signed in", "who comes first"
AGAIN, MADE = "a visitor, page not kept", "a visitor, page made and kept"


def show_views(site: Mapping[str, Callable[..., Any]], cookie: str, turns: int) -> None:
    """Print what everything adds to each view, by who asks."""
    print(f"| µs added by everything to | who asks | CPU µs, 95 % | share | {AIM_US} µs | {AIM_SHARE:.0%} |")
    print("|---|---|---|---|---|---|")
    for path, (title, slower) in VIEWS.items():
        app, draw = site[path], random.Random(path)
        whole, kept = wrap(app, PARTS), wrap(app, KEPT)
        calls: dict[str, Callable[[], object]] = {}
        for who, brought in {**_who(cookie), AGAIN: cookie}.items():
            calls[f"{BARE}, {who}"] = _asking(app, path, brought)
            calls[who] = _asking(whole, path, brought)
        calls[SAME] = _asking(app, path, cookie)
        calls[MADE] = _asking(kept, path, cookie, is_new=True)
        taken = in_turns(calls, turns // slower, draw)
        for who in (SIGNED_IN, AGAIN, FIRST, MADE, SAME):
            base = taken.get(f"{BARE}, {who}") or taken[f"{BARE}, {AGAIN}"]
            over, view = added(base, taken[who], draw), statistics.median(base)
            aims = () if who == SAME else (AIM_US, AIM_SHARE * view)
            met = ["met" if over.median <= aim else "missed" for aim in aims] or ["", ""]
            print(f"| {title} | {who} | {shown(over, view)} of {view:.0f} | {' | '.join(met)} |")
    print()


def show_parts(site: Mapping[str, Callable[..., Any]], cookie: str, turns: int) -> None:
    """Print what each component adds to each view, alone."""
    for path, (title, slower) in VIEWS.items():
        app, draw = site[path], random.Random(path)
        stacks: dict[str, Callable[..., Any]] = {
            BARE: app,
            SAME: app,
            **{name: wrap(app, {name: value}) for name, value in PARTS.items()},
        }
        print(f"| µs added to: {title} | {SIGNED_IN} | share | {FIRST} | share |")
        print("|---|---|---|---|---|")
        calls = {
            f"{name}, {who}": _asking(one, path, brought)
            for who, brought in _who(cookie).items()
            for name, one in stacks.items()
        }
        taken = in_turns(calls, turns // slower, draw)
        for name in (SAME, *PARTS):
            cells = []
            for who in _who(cookie):
                base = taken[f"{BARE}, {who}"]
                cells.append(shown(added(base, taken[f"{name}, {who}"], draw), statistics.median(base)))
            print(f"| {name} | {' | '.join(cells)} |")
        print()


def _who(cookie: str) -> dict[str, str]:
    """Return the cookies of who is signed in, and of who has none."""
    return {SIGNED_IN: f"{cookie}; {SESSION}", FIRST: ""}


def shown(over: Added, view: float) -> str:
    """Return two cells of a table: what is added, and its share of a view."""
    return f"{over.median:.1f} ({over.least:.1f} to {over.most:.1f}) | {over.median / view:.1%}"


def _asking(app: Callable[..., Any], path: str, cookie: str, *, is_new: bool = False) -> Callable[[], object]:
    """Return what asks for *path*, by a query of its own each time if *is_new*."""
    environ = {**ENVIRON, "PATH_INFO": path}
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    if not is_new:
        return lambda: ask(app, dict(environ))
    numbers = itertools.count()
    return lambda: ask(app, {**environ, "QUERY_STRING": f"n={next(numbers)}"})
