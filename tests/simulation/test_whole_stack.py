"""Whole stacks over what they share: nobody gets what is another's, whatever is asked and by whom."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENT_URL, Cluster
from tests.simulation.mirror import Site
from tests.simulation.seeds import make_seeds
from tests.simulation.stacked import Story, make_stack
from wsgistack.store.memory import MemoryStore
from wsgistack.store.shm.store import FOLDER
from wsgistack.store.url import make_store

SEEDS = make_seeds(2)
STEPS = 500


def tell(
    seed: int, *stores: Any, happens: Callable[[Story], None] = lambda story: None, races: bool = False
) -> Story:
    """Return the story of stacks over *stores*; *happens* before each request."""

    def stacks(site: Site, clock: Callable[[], float]) -> list[Any]:
        return [make_stack(site, clock, cached=True, page_cache={"store": store}) for store in stores]

    story = Story(seed, stacks, races=races)
    for _ in range(STEPS):
        happens(story)
        story.step()
    story.end()
    return story


def tell_of(
    seed: int, *urls: str, happens: Callable[[Story], None] = lambda story: None, races: bool = False
) -> Story:
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(make_store(url))) for url in urls]
        return tell(seed, *stores, happens=happens, races=races)


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_gets_what_is_anothers_from_two_stacks_over_one_store(seed: int) -> None:
    store = MemoryStore(1 << 24)
    assert tell(seed, store, store).hits


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_gets_what_is_anothers_from_two_stacks_over_shared_memory(seed: int) -> None:
    name = f"stacks-{os.getpid()}"
    try:
        assert tell_of(seed, *[f"shm:///{name}?size=4m"] * 2).hits
    finally:
        Path(FOLDER, f"wsgistack-{name}").unlink()


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_gets_a_page_that_was_made_of_before_a_change_in_another_stack(seed: int) -> None:
    name = f"races-{os.getpid()}"
    try:
        story = tell_of(seed, *[f"shm:///{name}?size=4m"] * 2, races=True)
        assert story.hits
        assert story.raced
    finally:
        Path(FOLDER, f"wsgistack-{name}").unlink()


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_gets_what_is_anothers_from_two_stacks_over_a_ring(
    seed: int, memcached_cluster: Cluster
) -> None:
    url = "memcached://" + ",".join(one.address for one in memcached_cluster(3)) + PATIENT_URL
    assert tell_of(seed, url, url).hits


@pytest.mark.parametrize("seed", SEEDS)
def test_servers_that_hang_and_go_on_have_nothing_that_was_replaced(
    seed: int, memcached_cluster: Cluster
) -> None:
    servers = memcached_cluster(2)
    hung = set[int]()

    def happens(story: Story) -> None:
        if story.rng.random() < 0.02:
            pid = story.rng.choice(servers).process.pid
            os.kill(pid, signal.SIGCONT if pid in hung else signal.SIGSTOP)
            hung.symmetric_difference_update([pid])

    try:
        tell_of(seed, "memcached://" + ",".join(one.address for one in servers), happens=happens)
    finally:
        for pid in hung:
            os.kill(pid, signal.SIGCONT)
