"""What every test may use: real memcached servers; and the rules: no test is skipped, none judges a clock.

WSGISTACK_EXAMPLES=1000 lets hypothesis try that many new examples of each property.
"""

import gc
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tools.real_memcached import Memcached, running

__all__ = ["PATIENT", "PATIENT_URL", "Cluster", "examples"]

Cluster = Callable[[int], list[Memcached]]
# How a ring waits for a server that will answer, whatever else this machine does; and a store.
PATIENT: Mapping[str, Any] = {"timeout": 20, "least_timeout": 20, "connect_timeout": 20}
PATIENT_URL = "?timeout=20&least_timeout=20&connect_timeout=20"

# A machine that stands still for a second has found nothing; nor is what was found a matter of chance.
EXAMPLES = os.environ.get("WSGISTACK_EXAMPLES", "")


def examples(usual: int) -> int:
    """Return how many examples to try of a property that wants others than most: *usual*, if nobody asks."""
    return int(EXAMPLES or usual)


settings.register_profile(
    "wsgistack",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    derandomize=not EXAMPLES,
    max_examples=examples(50),
)
settings.load_profile("wsgistack")


def pytest_collection_finish() -> None:
    """Let no garbage collection look at all tests again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def memcached() -> Iterator[Memcached]:
    """One real, empty memcached that nobody else uses."""
    with running(1) as servers:
        yield servers[0]


@pytest.fixture
def memcached_cluster() -> Iterator[Cluster]:
    """A function that starts the given number of real memcached servers, empty and of this test alone."""
    with ExitStack() as stack:
        yield lambda count: stack.enter_context(running(count))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one: what was not tested must not look as if it were."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed here: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module (importorskip, a skip at its top) into an error."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed here: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return pytest's own words for why something was skipped."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
