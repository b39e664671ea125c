"""A memcached ring never serves stale data: stories of several processes, of nodes that fail, come back, join and leave."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.simulation.ring_faults import FAULTS
from tests.simulation.ring_story import Story
from tests.simulation.seeds import make_seeds

SEEDS = make_seeds(3)
MOST_SEEDS = 60  # until a fault is found
REPLACED = ("replace", "replace", "stop")
ILLS: dict[str, dict[str, Any]] = {
    "one process, nodes that fail": {"processes": 1, "ills": ("stop", "kill")},
    "one process, nodes that join and leave": {"processes": 1, "ills": ("members", "members", "weight")},
    "one process, a bad network": {"processes": 1, "ills": ("far", "far", "stop")},
    "one process, nodes that are replaced": {"processes": 1, "ills": REPLACED, "pauses": 0.3},
    "one process, all ills": {"processes": 1},
    "nodes that fail": {"ills": ("stop", "stop", "kill")},
    "a bad network": {"ills": ("far", "far", "stop")},
    "nodes that are replaced": {"ills": REPLACED, "pauses": 0.1},
    "nodes that join and leave": {"ills": ("members", "members", "weight")},
    "all ills": {},
    "all ills, and values kept near": {"near": 100_000, "near_ttl": 0.5},
}


@pytest.mark.parametrize("name", ILLS)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_read_that_was_gone(seed: int, name: str) -> None:
    story = Story(seed, **ILLS[name])
    assert story.tell() == []


def test_the_stories_have_something_to_tell() -> None:
    seen: Counter[str] = Counter()
    for seed in range(4):
        story = Story(seed)
        story.tell()
        seen += story.seen
    assert min(seen["something"], seen["nothing"], seen["made"], seen["fetched"]) > 20, seen


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_within_some_stories(name: str) -> None:
    fault = FAULTS[name]
    options = {"processes": 1, **fault.options}
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        assert any(Story(seed, **options).tell() for seed in (fault.seed, *range(MOST_SEEDS)))
