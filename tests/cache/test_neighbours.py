"""Visitors of every kind at once, at sites of every framework inside of a whole stack: nobody sees what is another's.

WSGISTACK_LONG=2400 sets the number of visits, WSGISTACK_SEEDS=17:18 makes that round alone.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from random import Random
from typing import Any

import gevent
import pytest

from tests.cache.careless import BUCKET, CSRF, MARK, ONCE, PATHS, SITES, Counts
from tests.cache.neighbours import Neighbour
from tests.simulation.seeds import make_seeds
from wsgistack import wrap
from wsgistack.cache import storing
from wsgistack.cache.filling import Filling
from wsgistack.cache.personal import Visitors
from wsgistack.cache.visit import Visit
from wsgistack.cache.voice import Voice
from wsgistack.wsgi import Environ

NAMES = ("ann", "bob", "carl", "dora", "eve", "fred")
VISITS = int(os.environ.get("WSGISTACK_LONG", "240"))
STACKS: dict[str, dict[str, Any]] = {
    "alone": {"request_id": True},
    "whole": {
        "request_id": True,
        "rate_limit": "1000000/second",
        "compression": {"least_bytes": 1},
        "conditional": True,
        "buckets": {"split": "beta 50%", "secret": "sixteen of the tests"},
    },
    "with rules": {"request_id": True, "conditional": True},
}


# What happens in every round; else it would prove nothing.
MET = {
    "hit",
    "fwd=uri-miss",
    "fwd=method; detail=method",
    "fwd=bypass; detail=cookie",
    "fwd=bypass; detail=field",
}


class Watch:
    """What was seen, and by whom."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._owners: dict[str, str] = {}

    def see(self, name: str, told: str, text: str) -> None:
        """Take note of what *name* was answered, *told* by Cache-Status."""
        self.told[told.partition("; ")[2].partition("; ttl")[0].partition(":")[0]] += 1
        own = {f"ONE {found}": found for found in MARK.findall(text)}
        own |= {
            one: self._owners.setdefault(one, name)
            for shape in (ONCE, CSRF, BUCKET)
            for one in shape.findall(text)
        }
        for what, owner in own.items():
            if owner != name:
                self.wrong.append(f"{name} got {what} of {owner}: {told} {text[:2000]}")


def paths_of(site: str, name: str) -> list[str]:
    """Return what *name* asks for: half of them never sign in."""
    left_out = {"login"} if name > "d" else set()
    if site == "Django":  # nobody tells the cache of a token that is taken while a body is made
        left_out.add("stream-token")
    return [path for path in PATHS if path not in left_out]


def tell_story(site: str, stack: str, seed: int) -> Watch:
    """Let all visit *site* in *stack*; return what was seen.

    What is in fashion changes all the time: else few would ask for one page at once.
    """
    now, watch = [1_795_000_000.0], Watch()
    cache: dict[str, Any] = {"now": lambda: now[0], "key_cookies": {"lang": ["de", "en"]}}
    if stack == "with rules":
        cache["rules"] = [{"path": "/*", "ttl": 60, "grace": 30}]
    Counts.of = itertools.count()
    fashion, asked = Random(f"{site} {stack} {seed}"), itertools.count()
    liked = [""]

    def choose(name: str, rng: Random) -> str:
        if next(asked) % (2 * len(NAMES)) == 0:
            liked[0] = fashion.choice(paths_of(site, NAMES[-1]))
        return liked[0] if rng.random() < 0.6 else rng.choice(paths_of(site, name))

    with SITES[site]() as app:
        stacked = wrap(app, STACKS[stack] | {"page_cache": cache})

        def live(name: str) -> None:
            rng = Random(f"{site} {stack} {seed} {name}")
            neighbour = Neighbour(stacked, name, rng, choose=lambda: choose(name, rng))
            for _ in range(VISITS // len(NAMES)):
                watch.see(name, *neighbour.visit())
                now[0] += 40 * (rng.random() < 0.02)
                if rng.random() < 0.004:
                    stacked.layer("page_cache").purge(everything=True)

        gevent.joinall([gevent.spawn(live, name) for name in NAMES], raise_error=True)
    return watch


@pytest.mark.parametrize("seed", make_seeds(1))
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("site", SITES)
def test_nobody_sees_what_is_anothers(site: str, stack: str, seed: int) -> None:
    watch = tell_story(site, stack, seed)
    assert watch.wrong == []
    assert sum(watch.told.values()) == VISITS // len(NAMES) * len(NAMES)
    assert set(watch.told) >= MET


def show_query(self: Filling, environ: Environ, *others: Any) -> Environ:
    return {**ENVIRON(self, environ, *others), "QUERY_STRING": environ["QUERY_STRING"]}


ENVIRON = Filling.environ
DJANGO = "Django with its adapter"
# Faults that are planted: the site at which one shows, and what stands where something else should.
LEAKS: dict[str, tuple[str, Any, str, Any]] = {
    "cookies are stored": ("plain", storing, "_sets_cookie", lambda head: False),
    "fields are shown": ("plain", Visitors, "shown", lambda self, name, value: value),
    "fields of owners are overlooked": ("plain", Visitors, "_look", Visitors._find_kind),
    "ignored parameters are shown": ("plain", Filling, "environ", show_query),
    "all is shown": ("plain", Filling, "environ", lambda self, environ, *others: dict(environ)),
    "nobody is heard": (DJANGO, Voice, "is_private", property(lambda self: False)),
    "witnesses are not asked": (DJANGO, Voice, "is_private", property(lambda self: bool(self.why))),
    "who follows gets all": (
        "plain",
        Visit,
        "passed",
        lambda self, block: self.turn and self.turn.add(block),
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_that_is_planted_is_noticed(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site, owner, name, other = LEAKS[leak]
    monkeypatch.setattr(owner, name, other)
    if leak == "fields are shown":
        monkeypatch.setattr(Visitors, "withholds", lambda self, name: False)
    assert any(tell_story(site, stack, seed).wrong for seed in range(16) for stack in STACKS)
