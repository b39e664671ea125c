"""What the simulations share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.world import World


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    """Worlds that are closed at the end."""
    made: list[World] = []
    yield made
    for world in made:
        world.close()
