"""What the trials of servers take for a fault of ours, and how they tell it; the servers are not started here."""

from collections import Counter

from tools.server_events import Loss, Trial
from tools.server_trials import MEMCACHED, render, verdict


def lost(failed: int = 0, late: int = 0, **more: object) -> Loss:
    return Loss(failed, late, Counter({"ConnectionRefusedError": failed} if failed else {}), **more)  # type: ignore[arg-type]


def test_what_was_in_flight_is_nobodys_fault() -> None:
    row = {"bare": Trial(kill=lost(1), reload=lost()), "wrapped": Trial(kill=lost(4), reload=lost())}
    assert verdict(row) == []


def test_what_the_bare_site_loses_too_is_the_servers() -> None:
    dead = Trial(kill=lost(1), reload=lost(90, 88, is_back=False), ends="had ended")
    assert verdict({"bare": dead, "wrapped": dead}) == []


def test_what_only_a_stack_loses_is_told() -> None:
    row = {"bare": Trial(reload=lost()), "wrapped": Trial(reload=lost(3, 3))}
    assert verdict(row) == ["a reload: 3 (3 ConnectionRefusedError) in a stack, 0 without"]


def test_a_server_that_comes_back_without_a_stack_only_is_told() -> None:
    row = {"bare": Trial(kill=lost()), "wrapped": Trial(kill=lost(is_back=False))}
    assert verdict(row) == ["a worker killed: 0, not back in a stack, 0 without"]


def test_a_server_that_stays_with_a_stack_only_is_told() -> None:
    assert verdict({"bare": Trial(ends="0.1 s"), "wrapped": Trial(ends="stayed")}) == [
        "does not end in a stack"
    ]
    assert verdict({"bare": Trial(ends="stayed"), "wrapped": Trial(ends="stayed")}) == []


def test_a_limit_that_admits_another_number_is_told_whatever_the_server_does() -> None:
    assert verdict({"wrapped": Trial(limits=["after a kill: 11 of 10 admitted, 0 failed"])}) == [
        "limit after a kill: 11 of 10 admitted, 0 failed"
    ]


def test_no_request_may_fail_while_memcached_is_away() -> None:
    assert verdict({MEMCACHED: Trial(kill=lost())}) == []
    assert verdict({MEMCACHED: Trial(kill=lost(1))}) == ["memcached away: 1 (1 ConnectionRefusedError)"]


def test_a_row_has_both_sites_side_by_side() -> None:
    row = {
        "bare": Trial(kill=lost(1), reload=lost(), ends="0.4 s"),
        "wrapped": Trial(
            kill=lost(told={"log": 0, "metrics": 7, "metering": 0}), reload=lost(), ends="0.5 s"
        ),
        MEMCACHED: Trial(kill=lost()),
    }
    assert render("uWSGI", row) == (
        "| uWSGI | 1 (1 ConnectionRefusedError) / 0 (0, 7, 0) | 0 / 0 | 0 | exact | 0.4 s / 0.5 s |"
    )
