"""Counters of balancers before us: added while they drain, kept when they are gone."""

from typing import Any

from tests.balancer.stage import make_counts
from wsgistack.balancer.outside import NodeCounts
from wsgistack.balancer.past import Past


class FakeBoard:
    """The scoreboard of the balancer before."""

    def __init__(self) -> None:
        self.rows: dict[int, NodeCounts] = {}
        self.is_closed = False

    def node(self, slot: int) -> NodeCounts:
        """Return a row."""
        assert not self.is_closed
        return self.rows.get(slot, make_counts())

    def reset_node(self, slot: int) -> None:
        """Empty a row."""
        self.rows.pop(slot, None)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def counts(**numbers: Any) -> NodeCounts:
    row = make_counts()
    row.update(numbers)  # type: ignore[typeddict-item]  # names of its fields
    return row


BEFORE = counts(
    attempts=5, handed=4, requests=3, in_flight=2, open=1, lastattempt=100.0, responsecodes={200: 2, 404: 1}
)
NOW = counts(attempts=1, handed=1, requests=1, in_flight=1, open=1, lastattempt=90.0, responsecodes={200: 1})


def make(counted: dict[str, Any] | None = None) -> tuple[Past, FakeBoard]:
    board = FakeBoard()
    board.rows[7] = BEFORE
    return Past(counted, board), board  # type: ignore[arg-type]  # all that is asked of a Board


def test_without_a_past_counts_are_what_they_are() -> None:
    assert Past().add(7, NOW) == NOW


def test_while_it_drains_its_counts_and_its_requests_in_flight_are_added() -> None:
    past, _ = make()
    both = past.add(7, NOW)
    assert (both["attempts"], both["requests"], both["in_flight"], both["open"]) == (6, 4, 3, 2)
    assert both["lastattempt"] == 100.0
    assert both["responsecodes"] == {200: 3, 404: 1}
    assert past.add(8, NOW) == NOW


def test_when_it_is_gone_its_counts_stay_and_its_requests_in_flight_do_not() -> None:
    past, board = make()
    past.settle(16)
    assert board.is_closed
    both = past.add(7, NOW)
    assert (both["attempts"], both["in_flight"], both["open"]) == (6, 1, 1)
    past.settle(16)


def test_what_is_exported_goes_on_counting_in_the_next_one() -> None:
    past, _ = make()
    past.settle(16)
    exported = past.export()
    assert list(exported) == ["7"]
    again, _ = make({"7": exported["7"] | {"responsecodes": {"200": 2, "404": 1}}})
    assert again.add(7, NOW)["attempts"] == 11
    assert again.add(7, NOW)["responsecodes"] == {200: 5, 404: 2}


def test_a_row_that_is_given_to_another_address_is_forgotten() -> None:
    past, board = make({"7": dict(BEFORE)})
    past.forget(7)
    assert past.add(7, NOW) == NOW
    assert board.rows == {}
