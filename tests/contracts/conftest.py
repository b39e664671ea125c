"""Each store in turn, for the tests of the contract."""

from collections.abc import Iterator

import pytest

from tests.contracts.stores import STAGES, Stage
from wsgistack.store.base import Store

__all__ = ["stage", "store"]


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """An empty store of each kind, and the power over its time."""
    with STAGES[request.param]() as made:
        yield made


@pytest.fixture
def store(stage: Stage) -> Store:
    """The store of the stage."""
    return stage.store
