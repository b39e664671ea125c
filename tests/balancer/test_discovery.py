"""From answers to nodes: priorities, weights, and answers that lose most of what was there."""

import pytest

from wsgistack.balancer.discovery import Followed, Record, Service, follow, make_records


def hosts(numbers: str) -> tuple[Record, ...]:
    return tuple(Record(f"10.0.0.{n}") for n in numbers)


@pytest.mark.parametrize(
    ("now", "answer", "records", "kept"),
    [
        ("", "21", "12", 0),
        ("12", "21", "12", 0),
        ("12", "3", "13", 1),
        ("12", "34", "34", 0),
        ("1234", "12", "12", 0),
        ("1234", "1", "12", 1),
        ("12345678", "1", "1234", 3),
        ("1234", "9", "129", 2),
        ("123", "1", "1", 0),
    ],
    ids=[
        "the first",
        "another order",
        "two become one other: one at a time",
        "all move",
        "half leave",
        "most leave: half at a time",
        "of eight",
        "most leave and one comes",
        "two of three",
    ],
)
def test_an_answer_is_followed(now: str, answer: str, records: str, kept: int) -> None:
    followed = follow(hosts(now), hosts(answer))
    assert (set(followed.records), followed.kept) == (set(hosts(records)), kept)


def test_asked_again_it_is_followed_to_the_end() -> None:
    now = hosts("12345678")
    sizes = []
    for _ in range(4):
        now = follow(now, hosts("8")).records
        sizes.append(len(now))
    assert sizes == [4, 2, 1, 1]
    assert now == hosts("8")


def test_order_is_kept_so_that_round_robin_goes_on() -> None:
    assert follow(hosts("312"), hosts("4123")).records == hosts("3124")


def test_of_thousands_so_many_are_used_and_those_that_are_used_stay() -> None:
    thousands = [Record(f"10.1.{n // 256}.{n % 256}") for n in range(3000)]
    first = follow((), thousands)
    assert (len(first.records), first.dropped, first.kept) == (256, 2744, 0)
    again = follow(first.records, reversed(thousands))
    assert again == Followed(first.records, 0, 2744)


def test_what_a_record_says_changes_in_its_place() -> None:
    now = (Record("10.0.0.1", 80, 1), Record("10.0.0.2", 80, 1))
    answer = (Record("10.0.0.2", 80, 1, backup=True), Record("10.0.0.1", 80, 7))
    assert follow(now, answer).records == (answer[1], answer[0])


@pytest.mark.parametrize(
    ("services", "records"),
    [
        ([], ()),
        ([Service(10, 5, 8001, ())], ()),
        ([Service(10, 5, 0, ("10.0.0.1",))], ()),
        ([Service(10, 0, 8001, ("10.0.0.1",))], (Record("10.0.0.1", 8001, 1),)),
        (
            [Service(20, 5, 8001, ("10.0.0.1",)), Service(10, 3, 8002, ("10.0.0.2", "::2"))],
            (
                Record("10.0.0.1", 8001, 5, backup=True),
                Record("10.0.0.2", 8002, 3),
                Record("::2", 8002, 3),
            ),
        ),
        (
            [Service(1, 65535, 1, ("10.0.0.1",)), Service(1, 1024, 1, ("10.0.0.2",)), Service(1, 0, 1, ("::3",))],
            (Record("10.0.0.1", 1, 256), Record("10.0.0.2", 1, 4), Record("::3", 1, 1)),
        ),
    ],
    ids=["none", "no address", "no port", "weight 0", "priorities", "large weights"],
)  # fmt: skip
def test_srv_records_make_tiers_and_weights(services: list[Service], records: tuple[Record, ...]) -> None:
    assert make_records(services) == records
