"""Fixtures of the live tests: nodes and balancers as real processes, ended after each test.

    def test_something(start_backend, start_balancer):
        node = start_backend("a")
        balancer = start_balancer(site([node]))
        assert balancer.get("/") == (200, b"a\\n")
        assert balancer.admin("pool mypool remove 127.0.0.1:1") == ["OK"]

`tests.live.processes.site(nodes, …)` writes the usual configuration.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.processes import Backend, Balancer

__all__ = ["StartBackend", "StartBalancer"]

StartBackend = Callable[..., Backend]
StartBalancer = Callable[..., Balancer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below tests/live as live."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture
def start_backend() -> Iterator[StartBackend]:
    """A function (name) -> Backend that starts a node."""
    made: list[Backend] = []

    def start(name: str = "node") -> Backend:
        made.append(Backend(name))
        return made[-1].start()

    yield start
    for backend in made:
        backend.kill()


@pytest.fixture
def start_balancer(tmp_path: Path) -> Iterator[StartBalancer]:
    """A function (configuration) -> Balancer that starts one and waits until it is ready."""
    made: list[Balancer] = []

    def start(text: str = "", *, arguments: list[str] | None = None, wait: bool = True) -> Balancer:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Balancer(folder, text, arguments=arguments))
        return made[-1].start(wait=wait)

    yield start
    for balancer in made:
        balancer.stop()
