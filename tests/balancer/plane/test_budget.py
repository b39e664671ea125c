"""The retry budget: a share of ten seconds' traffic over all workers, and a floor."""

from collections.abc import Iterator

import pytest

from wsgistack.balancer.plane.budget import BudgetFace


@pytest.fixture
def budget() -> Iterator[BudgetFace]:
    made = BudgetFace(workers=3)
    yield made
    made.close()


def test_a_quiet_service_may_make_thirty_in_ten_seconds(budget: BudgetFace) -> None:
    budget.count(requests=1, resent=29)
    assert budget.allows(20, 100)
    budget.count(resent=1)
    assert not budget.allows(20, 100)


@pytest.mark.parametrize(("percent", "most"), [(0, 30), (20, 230), (100, 1030)])
def test_the_share_of_the_traffic_comes_on_top(budget: BudgetFace, percent: int, most: int) -> None:
    budget.count(requests=1000, resent=most - 1)
    assert budget.allows(percent, 100)
    budget.count(resent=1)
    assert not budget.allows(percent, 100)


def test_all_workers_share_one_budget(budget: BudgetFace) -> None:
    for worker in range(3):
        budget.count(requests=100, resent=29, worker=worker)
    assert budget.allows(20, 100)
    budget.count(resent=3, worker=2)
    assert not budget.allows(20, 100)


def test_what_is_ten_seconds_old_does_not_count(budget: BudgetFace) -> None:
    budget.count(requests=10, resent=100)
    for second in range(100, 110):
        budget.mark(second)
        assert not budget.allows(20, second)
    budget.mark(110)
    assert budget.allows(20, 110)


def test_old_traffic_pays_for_nothing(budget: BudgetFace) -> None:
    budget.count(requests=10_000)
    for second in range(100, 111):
        budget.mark(second)
    budget.count(resent=30)
    assert not budget.allows(20, 110)


def test_counters_that_were_reset_do_no_harm(budget: BudgetFace) -> None:
    budget.count(requests=1000, resent=500)
    for second in range(100, 120):
        budget.mark(second)
    budget.reset()
    assert budget.allows(20, 120)
    budget.count(requests=10, resent=40)
    assert not budget.allows(20, 120)
