"""States in memory that the worker processes of one machine share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.house.source import ROOT
from tests.store.memcached.stage import wait_until
from wsgistack.errors import StoreDown
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.bans import parse_ban
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.segment import Segment, open_segment
from wsgistack.ratelimit.slots import SHARED, STRIPES, SlotTable, may_be_packed, segment_bytes, slots_for
from wsgistack.ratelimit.table import Table

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = [
    "10/hour",
    "7/second burst 3",
    "10/hour fixed",
    "10/hour sliding",
    "10/calendar day",
    "100000 mb/hour",
]
LEAST = 800  # keys: one bucket for each stripe


def limits(*rates: str) -> list[Limit]:
    rule = Rule("r", "1/s")
    return [Limit(i, f"r-{i}", parse_rates(rate)[0], rule) for i, rate in enumerate(rates)]


def segment(folder: Path, count: int = 1, max_keys: int = LEAST) -> Segment:
    return open_segment(segment_bytes(count, max_keys), "ab", folder=folder, parent=1)


def slots(folder: Path, *rates: str, max_keys: int = LEAST, wait_s: float = 10) -> SlotTable:
    return SlotTable(limits(*rates), segment(folder, len(rates), max_keys), max_keys=max_keys, wait_s=wait_s)


def key(number: int) -> bytes:
    return number.to_bytes(8, "big")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of shared memory."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    trace=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3000), st.integers(1, 5), st.integers(0, 5)), max_size=40
    )
)
def test_slots_count_as_the_memory_of_a_process_does(
    rate: str, trace: list[tuple[int, int, int, int]], place: Path
) -> None:
    made = limits(rate, "20/day")
    name = os.urandom(8).hex()
    # So wide that the keys of a trace do not fill a bucket by chance.
    ours = SlotTable(
        made, open_segment(segment_bytes(2, 20 * LEAST), name, folder=place), max_keys=20 * LEAST
    )
    reference = Table([limit.counter for limit in made])
    taken: list[tuple[bytes, int, object]] = []
    now = NOW
    for kind, passed, cost, who in trace:
        now += passed * SECOND
        claims = [(0, key(who), cost), (1, key(who), cost)]
        if kind < 2:
            outcome = ours.decide(claims, now)
            assert outcome == reference.decide(claims, now)
            if outcome[0] < 0:
                taken.append((key(who), cost, outcome[2][0]))
        elif kind == 2:
            assert ours.decide_one(0, key(who), cost, now) == reference.decide_one(0, key(who), cost, now)
        elif kind == 3 or not taken:
            for table in (ours, reference):
                table.charge([(0, key(who), cost)], now)
        else:
            whose, units, state = taken.pop()
            for table in (ours, reference):
                table.give_back([((0, whose, units), state)], now)
    quota = made[0].counter.quota  # what has ended may have made room for others
    for who in range(6):
        assert quota(ours.get(0, key(who)), now) == quota(reference.get(0, key(who)), now)


def test_a_key_takes_at_most_32_bytes() -> None:
    assert segment_bytes(1, 100_000) / 100_000 <= 32
    assert segment_bytes(1, 1_000_000) / 1_000_000 <= 32
    assert (slots_for(1), slots_for(800)) == (1024, 1024)


def test_as_many_keys_as_are_promised_have_slots_of_their_own(place: Path) -> None:
    ours = slots(place, "1/hour", max_keys=20_000)
    refused = [ours.decide_one(0, key(i), 1, NOW)[0] for i in range(20_000)]
    assert sum(wait > 0 for wait in refused) <= 5, "but for a few by chance"
    assert all(ours.decide_one(0, key(i), 1, NOW)[0] for i in range(20_000))


def test_what_has_ended_makes_room(place: Path) -> None:
    ours = slots(place, "1/second")
    for i in range(20_000):
        assert ours.decide_one(0, key(i), 1, NOW + i * 10_000)[0] == 0


@pytest.mark.parametrize("rate", ["5/hour", "5/hour fixed", "5/hour sliding", "5/calendar year"])
def test_a_full_table_forgives_nobody(rate: str, place: Path) -> None:
    ours = slots(place, rate)
    for _ in range(5):
        assert ours.decide_one(0, b"blocked", 1, NOW)[0] == 0
    flood = [ours.decide_one(0, key(i), 1, NOW)[0] for i in range(20_000)]
    assert ours.decide_one(0, b"blocked", 1, NOW)[0] > 0
    assert flood.count(0) <= slots_for(LEAST) + STRIPES * SHARED * 5, "the others share slots"
    assert all(flood[-1000:])


def test_all_claims_pass_or_none_does(place: Path) -> None:
    ours = slots(place, "10/minute", "1/hour")
    claims = [(0, b"k", 1), (1, b"other", 1)]
    assert ours.decide(claims, NOW)[:2] == (-1, 0)
    before = ours.get(0, b"k")
    for _ in range(20):
        index, wait, states = ours.decide(claims, NOW)
        assert (index, wait) == (1, 3600 * SECOND)
        assert states == [before, ours.get(1, b"other")]
    assert ours.decide([(0, b"k", 11)], NOW)[:2] == (0, NEVER)


def test_claims_that_are_new_in_one_bucket_have_a_slot_each(place: Path) -> None:
    ours = slots(place, "1/hour")
    for i in range(0, 300, 3):
        assert ours.decide([(0, key(i + j), 1) for j in range(3)], NOW)[0] == -1
    assert all(ours.decide_one(0, key(i), 1, NOW)[0] for i in range(300))


def test_a_key_is_forgotten_on_request(place: Path) -> None:
    ours = slots(place, "1/hour")
    ours.decide_one(0, b"k", 1, NOW)
    assert (ours.reset(0, b"k"), ours.reset(0, b"k")) == (True, False)
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0


def test_what_is_given_back_whole_leaves_nothing(place: Path) -> None:
    ours = slots(place, "5/hour")
    _, state = ours.decide_one(0, b"k", 2, NOW)
    ours.give_back([((0, b"k", 2), state)], NOW)
    ours.give_back([((0, b"other", 2), state)], NOW)
    assert (ours.get(0, b"k"), ours.get(0, b"other")) == (None, None)


def test_a_debt_that_no_number_holds_is_as_long_as_one_can_be(place: Path) -> None:
    """A charge is what an operation cost, whatever that was: it is no reason to fail."""
    ours = slots(place, "1/year")
    ours.charge([(0, b"k", 10**9)], NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] > 500_000 * 365 * 86_400 * SECOND


def test_what_does_not_fit_into_two_numbers_is_told_apart() -> None:
    assert may_be_packed(limits(*RATES))
    for rate in ("5/hour exact", "5 concurrent", "5000000000/hour sliding"):
        assert not may_be_packed(limits("5/hour", rate))
    rule = Rule("login", "5/hour", ban="10 in 1 hour for 1 hour")
    assert not may_be_packed([Limit(0, "login", rule.rates[0], rule, ban=parse_ban(rule.ban))])


def test_threads_never_admit_too_many(place: Path, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    ours = slots(place, "10/hour", "1000000/hour")
    for round_ in range(10):
        admitted: list[int] = []
        barrier = threading.Barrier(8)
        name = key(round_)

        def race(
            name: bytes = name, admitted: list[int] = admitted, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            for i in range(10):
                wait = (
                    ours.decide_one(0, name, 1, NOW)[0]
                    if i % 2
                    else ours.decide([(0, name, 1), (1, b"all", 1)], NOW)[1]
                )
                if wait == 0:
                    admitted.append(1)

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 10, f"round {round_}"


HOLDER = """
import os, sys
from pathlib import Path
from tests.ratelimit.test_slots import NOW, slots
table = slots(Path(sys.argv[1]), "5/hour")
table._hold(table._segment.fd, table._mark_of(b"k")[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of the key `k`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_died_holds_nobody_up(place: Path, holder: subprocess.Popen[bytes]) -> None:
    ours = slots(place, "5/hour")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0
    assert ours.trouble == 0


def test_a_process_that_was_stopped_is_not_waited_for(place: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGSTOP)
    ours = slots(place, "5/hour", wait_s=0.05)
    assert [ours.decide_one(0, b"k", 1, NOW)[0] > 0 for _ in range(7)] == [False] * 5 + [True] * 2
    assert ours.trouble == 1, "counted in this process meanwhile"
    ours.charge([(0, b"k", 1)], NOW)
    with pytest.raises(StoreDown, match="does not go on"):
        ours.get(0, b"k")
    holder.kill()
    holder.wait()
    later = NOW + 2 * SECOND
    wait_until(lambda: ours.decide_one(0, b"k", 1, later)[0] == 0)
    assert ours.get(0, b"k") is not None


def test_a_fork_shares_and_is_not_held_up(place: Path) -> None:
    ours = slots(place, "5/hour")
    ours._lock.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0 if ours.decide_one(0, b"k", 1, NOW)[0] == 0 else 1)
    ours._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    assert [ours.decide_one(0, b"k", 1, NOW)[0] > 0 for _ in range(5)] == [False] * 4 + [True]
