"""Who remembers health, and what the snapshot says of each node."""

from wsgistack.balancer.health_book import HealthBook, Verdict, make_check
from wsgistack.balancer.pool_settings import POOL_SETTINGS

SETTINGS = POOL_SETTINGS.defaults()
CHECK = make_check(SETTINGS, "127.0.0.1:8001")


def fail(book: HealthBook, pool: str, times: int) -> list[bool]:
    assert CHECK is not None
    return [book.absorb_check(pool, "127.0.0.1:8001", False, CHECK, float(i)) for i in range(times)]


def test_two_pools_judge_one_address_apart() -> None:
    book = HealthBook()
    assert fail(book, "one", 3) == [False, False, True]
    assert book.judge("one", SETTINGS, ["127.0.0.1:8001"]) == {"127.0.0.1:8001": Verdict(up=False)}
    assert book.judge("two", SETTINGS, ["127.0.0.1:8001"]) == {"127.0.0.1:8001": Verdict(up=True)}


def test_a_pool_without_checks_takes_every_node() -> None:
    book = HealthBook()
    fail(book, "one", 3)
    settings = SETTINGS | {"health_check": "none"}
    assert book.judge("one", settings, ["127.0.0.1:8001"]) == {"127.0.0.1:8001": Verdict(up=True)}
    assert make_check(settings, "127.0.0.1:8001") is None


def test_a_node_whose_address_is_unknown_has_no_check() -> None:
    assert make_check(SETTINGS, None) is None
