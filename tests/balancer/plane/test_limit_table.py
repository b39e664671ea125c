"""The shared table of limits: whom it remembers, whom it never forgives, and who dies with a lock."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from wsgistack.balancer.plane.limit_table import LimitTable
from wsgistack.balancer.plane.limit_units import UnitsKernel

RATE, OTHER = 0x1234_5678_9ABC_DEF0, 0x0FED_CBA9_8765_4321
NOW = 1_000_000


@pytest.fixture
def table() -> Iterator[LimitTable]:
    table = LimitTable.create(32)
    yield table
    table.close()


def keys(count: int, start: int = 0) -> list[bytes]:
    return [b"a" + number.to_bytes(16, "big") for number in range(start, start + count)]


def test_who_was_never_seen_has_no_state(table: LimitTable) -> None:
    assert table.get(b"a", RATE, NOW) == (0, 0, 0)


def test_a_state_is_kept_by_key_and_rate_until_it_ends(table: LimitTable) -> None:
    assert table.put(b"a", RATE, NOW, (NOW + 10, 1, 2))
    assert table.put(b"a", OTHER, NOW, (NOW + 20, 3, 4))
    assert table.get(b"a", RATE, NOW) == (NOW + 10, 1, 2)
    assert table.get(b"a", OTHER, NOW) == (NOW + 20, 3, 4)
    assert table.get(b"b", RATE, NOW) == (0, 0, 0)
    assert table.get(b"a", RATE, NOW + 10) == (0, 0, 0)


def test_who_attaches_sees_the_same(table: LimitTable) -> None:
    table.put(b"a", RATE, NOW, (NOW + 10, 1, 2))
    other = LimitTable(os.dup(table.fd))
    assert other.get(b"a", RATE, NOW) == (NOW + 10, 1, 2)
    other.close()


def test_each_of_many_keys_keeps_its_own_state(table: LimitTable) -> None:
    for number, key in enumerate(keys(4000)):  # half of its 8,192 places
        table.put(key, RATE, NOW, (NOW + 10, number, 0))
    kept = [table.get(key, RATE, NOW) == (NOW + 10, number, 0) for number, key in enumerate(keys(4000))]
    assert kept.count(False) < 40  # those share what is left of their stripe


def fill(table: LimitTable, ends: int) -> None:
    """Let strangers take every place of the table."""
    for key in keys(60_000, start=10**6):
        table.put(key, RATE, NOW, (ends, 1, 0))


def test_a_full_table_drops_nobody_whose_state_matters(table: LimitTable) -> None:
    blocked = keys(500)
    for key in blocked:
        table.put(key, RATE, NOW, (NOW + 100, 77, 0))
    fill(table, NOW + 50)
    assert {table.get(key, RATE, NOW) for key in blocked} == {(NOW + 100, 77, 0)}


def test_a_newcomer_to_a_full_table_is_counted_with_the_others_of_its_stripe(table: LimitTable) -> None:
    fill(table, NOW + 50)
    newcomers = keys(256 * 40)
    for key in newcomers:
        table.put(key, RATE, NOW, (NOW + 60, 5, 0))
    assert {table.get(key, RATE, NOW) for key in newcomers} == {(NOW + 60, 5, 0)}
    assert {table.get(key, RATE, NOW) for key in keys(256 * 40, start=5 * 10**6)} == {(NOW + 60, 5, 0)}
    assert table.get(newcomers[0], OTHER, NOW) == (0, 0, 0)


def test_it_tells_how_full_it_is(table: LimitTable) -> None:
    assert (table.keys, table.count_used(NOW)) == (8192, (0, 0))
    table.put(b"a", RATE, NOW, (NOW + 10, 1, 2))
    table.put(b"b", RATE, NOW, (NOW + 20, 1, 2))
    assert [table.count_used(at) for at in (NOW, NOW + 10, NOW + 20)] == [(2, 0), (1, 0), (0, 0)]
    assert os.fstat(table.fd).st_blocks * 512 < 64 * 1024, "to look takes no memory"
    fill(table, NOW + 50)
    used, shared = table.count_used(NOW + 20)
    assert 8000 < used <= 8192, "nearly every place: which of them a key may have is up to a secret"
    assert shared == 256, "one count for all others of each stripe"


def test_who_finds_a_place_later_begins_with_what_was_counted_without_one(table: LimitTable) -> None:
    fill(table, NOW + 50)
    blocked = keys(300)
    for key in blocked:
        table.put(key, RATE, NOW, (NOW + 100, 9, 0))
    later = NOW + 60  # the strangers' places are free again
    assert {table.get(key, RATE, later) for key in blocked} == {(NOW + 100, 9, 0)}
    for key in blocked:
        ends, used, _ = table.get(key, RATE, later)
        table.put(key, RATE, later, (ends, used + 1, 0))
    assert all(table.get(key, RATE, later)[1] >= 10 for key in blocked)


def test_a_rate_has_room_for_everybody_once_the_others_have_ended(table: LimitTable) -> None:
    fill(table, NOW + 50)
    assert table.put(b"new", RATE, NOW + 50, (NOW + 90, 1, 1))
    assert table.get(b"new", RATE, NOW + 50) == (NOW + 90, 1, 1)
    assert table.get(b"other", RATE, NOW + 50) == (0, 0, 0)


def test_more_rates_than_a_stripe_can_share_are_refused_not_mixed(table: LimitTable) -> None:
    fill(table, NOW + 50)
    said = [table.put(b"new", number << 40 | 7, NOW, (NOW + 90, number, 0)) for number in range(600)]
    assert said.count(True) == 511  # and that of the strangers
    assert table.get(b"new", 3 << 40 | 7, NOW) == (NOW + 90, 3, 0)


DIE_WITH_A_LOCK = """
import os, signal, sys
from wsgistack.balancer.plane.limit_table import LimitTable
from wsgistack.balancer.plane.limit_units import UnitsKernel
table = LimitTable(int(sys.argv[1]))
table.hold(b"a")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_with_a_lock_leaves_it_to_the_others(table: LimitTable) -> None:
    table.put(b"a", RATE, NOW, (NOW + 10, 1, 2))
    command = [sys.executable, "-c", DIE_WITH_A_LOCK, str(table.fd)]
    done = subprocess.run(command, pass_fds=(table.fd,), check=False)
    assert done.returncode == -signal.SIGKILL
    assert table.get(b"a", RATE, NOW) == (NOW + 10, 1, 2)
    assert table.put(b"a", RATE, NOW, (NOW + 10, 2, 2))


HOLD_A_LOCK = """
import sys
from wsgistack.balancer.plane.limit_table import LimitTable
from wsgistack.balancer.plane.limit_units import UnitsKernel
table = LimitTable(int(sys.argv[1]))
table.hold(b"a")
print("held", flush=True)
sys.stdin.read()
table.release(b"a")
print("released", flush=True)
sys.stdin.close()
"""


def test_nobody_waits_long_for_who_is_stopped_with_a_lock(table: LimitTable) -> None:
    command = [sys.executable, "-c", HOLD_A_LOCK, str(table.fd)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, pass_fds=(table.fd,), **pipes, text=True) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError):
            table.get(b"a", RATE, NOW)
        process.stdin.close()
        assert process.stdout.readline() == "released\n"
        assert table.get(b"a", RATE, NOW) == (0, 0, 0)


def test_a_credential_is_known_by_its_hash_which_differs_from_table_to_table(table: LimitTable) -> None:
    other = LimitTable.create(1)
    assert table.credential(b"secret") == table.credential(b"secret")
    assert len(table.credential(b"secret")) == 9
    assert b"secret" not in table.credential(b"secret")
    assert table.credential(b"secret") not in (table.credential(b"secret2"), other.credential(b"secret"))
    other.close()


def test_what_is_no_table_is_refused() -> None:
    fd = os.memfd_create("nothing")
    with pytest.raises(ValueError, match="0 bytes is no table of limits"):
        LimitTable(fd)
    os.ftruncate(fd, 100_000)
    with pytest.raises(ValueError, match="wrong magic or size"):
        LimitTable(fd)
    os.close(fd)
    with pytest.raises(ValueError, match="places: 0 is not from 1"):
        LimitTable.create(0)


# -- seats ---------------------------------------------------------------------------------


def test_seats_are_given_in_a_row_and_given_again_once_they_are_left(table: LimitTable) -> None:
    assert [table.take_seats(count) for count in (3, 2)] == [0, 3]
    table.keep_seats([range(3, 5)])
    assert [table.take_seats(count) for count in (4, 3)] == [5, 0]
    with pytest.raises(ValueError, match="no 512 of 512 seats are free"):
        table.take_seats(512)


def test_a_seat_with_another_worker_holds_nothing_of_the_one_before(table: LimitTable) -> None:
    first, second = (holder(table, table.take_seats(1)) for _ in range(2))
    assert [first.decide(NOW), second.decide(NOW)] == [0, 0]
    assert first.quota(NOW) == (3, 1_000_000)
    table.renew_seat(0)
    assert first.quota(NOW) == (4, 1_000_000)
    table.keep_seats([])
    assert first.quota(NOW) == (5, 0)


def holder(table: LimitTable, seat: int) -> UnitsKernel:
    numbers = {"kind": "concurrent", "amount": 5, "window_us": 0, "burst": 5, "cost": 1}
    return UnitsKernel(table, numbers | {"length_us": 0, "longest_us": 0, "calendar": []}, seat, key=b"a")


def test_a_clock_that_was_set_is_followed_and_one_that_is_read_late_is_not(table: LimitTable) -> None:
    right = table.offset_us
    table.keep_time(right - 400_000)
    table.follow_clock()
    assert table.offset_us == right - 400_000
    table.keep_time(right - 3_600_000_000)
    table.follow_clock()
    assert abs(table.offset_us - right) < 600_000_000


@pytest.mark.parametrize("hint", [-1, 1, 3, 5, 6, 2**60])
def test_how_many_stamps_had_ended_is_a_hint_that_is_proved(hint: int, table: LimitTable) -> None:
    """Who died between two words of a state has left one of them wrong: nobody is let through for that."""
    numbers = {"kind": "exact", "amount": 5, "window_us": 100, "burst": 5, "cost": 1}
    numbers |= {"length_us": 0, "longest_us": 0, "calendar": []}
    kernel = UnitsKernel(table, numbers, 0, key=b"a", rate=RATE)
    assert [kernel.decide(NOW + n) for n in range(5)] == [0] * 5
    ends, oldest, _ = table.get(b"a", RATE, NOW + 5)
    table.put(b"a", RATE, NOW + 5, (ends, oldest, hint))
    assert kernel.decide(NOW + 5) == 95
    assert [kernel.decide(NOW + 102) for _ in range(4)] == [0, 0, 0, 1]
