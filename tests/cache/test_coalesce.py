"""One fill at a time: who leads, who follows, who goes alone, in a process and over the fleet."""

import os
import threading
from collections.abc import Callable
from unittest.mock import ANY

import gevent
import pytest

from tests.contracts.stores import Clock
from wsgistack.cache.coalesce import Coalescer, Flight, Lease, Left, Stage, Taken
from wsgistack.cache.tickets import Hold
from wsgistack.errors import StoreDown
from wsgistack.store.memory import MemoryStore

LONG_S = 30.0
AT_ONCE_S = 0.0


class Shared(MemoryStore):
    """What several processes would see."""

    shared = True


def make(
    store: MemoryStore | None = None, clock: Clock | None = None, wait_s: float = LONG_S
) -> Coalescer[str]:
    return Coalescer(store or MemoryStore(1 << 20), now=clock or Clock(), wait_s=wait_s)


def lead(coalescer: Coalescer[str], key: str = "k") -> Flight[str]:
    joined = coalescer.join(key)
    assert joined is not None
    flight, leads = joined
    assert leads
    return flight


def follow(coalescer: Coalescer[str], key: str = "k") -> Flight[str]:
    joined = coalescer.join(key)
    assert joined is not None
    flight, leads = joined
    assert not leads
    return flight


def test_the_first_leads_and_the_others_follow_it() -> None:
    coalescer = make()
    flight = lead(coalescer)
    assert follow(coalescer) is follow(coalescer) is flight
    assert flight.followers == 2


def test_other_keys_have_flights_of_their_own() -> None:
    coalescer = make()
    assert lead(coalescer, "a") is not lead(coalescer, "b")


def test_after_the_end_the_next_leads() -> None:
    coalescer = make()
    first = lead(coalescer)
    coalescer.leave("k", first)
    assert lead(coalescer) is not first
    assert len(coalescer) == 1


def test_blocks_are_taken_as_they_come() -> None:
    coalescer = make()
    flight = lead(coalescer)
    flight.share("head")
    flight.add(b"a")
    blocks = follow(coalescer).blocks(LONG_S)
    assert next(blocks) == b"a"
    flight.add(b"b")
    flight.complete()
    assert list(blocks) == [b"b"]
    assert flight.wait_for_all(AT_ONCE_S) == b"ab"
    assert flight.head == "head"


@pytest.mark.parametrize(
    ("act", "stage"),
    [(Flight.refuse, Stage.REFUSED), (Flight.lose, Stage.LOST)],
    ids=["a personal reply", "a maker that is gone"],
)
def test_followers_go_alone(act: Callable[[Flight[str]], None], stage: Stage) -> None:
    flight = lead(make())
    act(flight)
    assert flight.wait(LONG_S) is stage
    assert flight.wait_for_all(LONG_S) is None


def test_who_waits_long_enough_goes_alone() -> None:
    flight = lead(make())
    assert flight.wait(AT_ONCE_S) is Stage.DECIDING
    assert flight.wait_for_all(AT_ONCE_S) is None


def test_a_follower_that_took_a_part_is_told_when_the_maker_is_gone() -> None:
    coalescer = make()
    flight = lead(coalescer)
    flight.share("head")
    flight.add(b"a")
    blocks = flight.blocks(LONG_S)
    next(blocks)
    coalescer.leave("k", flight)
    with pytest.raises(Left, match="after 1 blocks: its maker is gone"):
        next(blocks)


def test_a_follower_that_took_a_part_is_told_when_no_more_comes() -> None:
    flight = lead(make())
    flight.share("head")
    with pytest.raises(Left, match="after 0 blocks: its blocks come"):
        next(flight.blocks(AT_ONCE_S))


def test_nobody_follows_a_leader_whose_client_takes_long_over_what_it_was_given() -> None:
    clock = Clock()
    coalescer = make(clock=clock)
    slow = lead(coalescer)
    slow.share("head")
    for _ in range(2):  # a little for each block counts, too
        assert follow(coalescer) is slow
        slow.add(b"a")
        clock.now += 0.6
        slow.go_on()
    other = lead(coalescer)
    assert (slow.is_another, other.is_another) == (False, True)
    coalescer.leave("k", slow)
    assert follow(coalescer) is other


def test_a_page_that_is_made_slowly_is_followed() -> None:
    clock = Clock()
    coalescer = make(clock=clock)
    flight = lead(coalescer)
    flight.share("head")
    for _ in range(3):
        flight.go_on()
        clock.now += 100.0
        flight.add(b"a")
    assert follow(coalescer) is flight


def test_who_wants_all_does_not_wait_for_a_client_that_reads_slowly() -> None:
    clock = Clock()
    flight = lead(make(clock=clock))
    flight.share("head")
    flight.add(b"a")
    clock.now += 2.0
    assert flight.wait_for_all(LONG_S) is None


def test_an_end_is_not_undone_by_leaving() -> None:
    coalescer = make()
    flight = lead(coalescer)
    flight.share("head")
    flight.complete()
    coalescer.leave("k", flight)
    assert flight.stage is Stage.COMPLETE


def test_threads_that_wait_get_the_page() -> None:
    coalescer, got, ready = make(), [], threading.Barrier(9)
    flight = lead(coalescer)

    def run() -> None:
        following = follow(coalescer)
        ready.wait(LONG_S)
        assert following.wait(LONG_S) in (Stage.SHARED, Stage.COMPLETE)
        got.append(b"".join(following.blocks(LONG_S)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(LONG_S)
    flight.share("head")
    for block in (b"a", b"b", b"c"):
        flight.add(block)
    flight.complete()
    for thread in threads:
        thread.join(LONG_S)
    assert got == [b"abc"] * 8


def test_greenlets_of_one_thread_that_wait_get_the_page() -> None:
    coalescer = make()
    flight = lead(coalescer)
    waiting = [gevent.spawn(lambda: follow(coalescer).wait_for_all(LONG_S)) for _ in range(8)]
    gevent.sleep(0)
    assert flight.followers == 8
    flight.share("head")
    flight.add(b"page")
    flight.complete()
    gevent.joinall(waiting, timeout=LONG_S)
    assert [one.value for one in waiting] == [b"page"] * 8


def test_a_key_that_cannot_be_shared_is_remembered_for_a_while() -> None:
    clock = Clock()
    coalescer = make(clock=clock)
    coalescer.remember("k")
    assert coalescer.join("k") is None
    assert coalescer.join("other") is not None
    clock.now += 120.0
    assert coalescer.join("k") is not None


def test_a_key_that_can_be_shared_again_is_forgiven() -> None:
    coalescer = make()
    coalescer.remember("k")
    coalescer.forgive("k")
    assert coalescer.join("k") is not None


def test_a_look_is_spared_while_requests_go_alone_and_nothing_was_there() -> None:
    clock = Clock()
    coalescer = make(clock=clock)
    coalescer.note("k", is_empty=True)
    assert coalescer.is_worth_a_look("k"), "nobody goes alone"
    coalescer.remember("k")
    assert coalescer.is_worth_a_look("k"), "nobody has looked"
    coalescer.note("k", is_empty=True)
    assert not coalescer.is_worth_a_look("k")
    coalescer.note("k", is_empty=False)
    assert coalescer.is_worth_a_look("k")
    coalescer.note("k", is_empty=True)
    clock.now += 120.0
    assert coalescer.is_worth_a_look("k")


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.cache.coalesce.MOST_REMEMBERED", 2)
    coalescer = make()
    for key in ("a", "b", "c"):
        coalescer.remember(key)
    assert [key for key in ("a", "b", "c") if coalescer.join(key) is None] == ["b", "c"]


def test_one_process_of_the_fleet_has_the_lease() -> None:
    store = Shared(1 << 20)
    one, other = make(store), make(store)
    assert one.take_lease("k").lease is Lease.OURS
    assert other.take_lease("k").lease is Lease.OTHERS
    one.give_lease_back("k", refused=False)
    assert other.take_lease("k").lease is Lease.OURS


def test_the_fleet_remembers_what_cannot_be_shared() -> None:
    store = Shared(1 << 20)
    one, other = make(store), make(store)
    one.take_lease("k")
    one.give_lease_back("k", refused=True)
    assert other.take_lease("k").lease is Lease.REFUSED


def test_a_lease_ends_when_its_holder_dies() -> None:
    clock = Clock()
    store = Shared(1 << 20, clock=clock)
    make(store).take_lease("k")
    clock.now += 31.0
    assert make(store).take_lease("k").lease is Lease.OURS


def test_a_store_of_this_process_needs_no_lease() -> None:
    store = MemoryStore(1 << 20)
    coalescer = make(store)
    assert coalescer.take_lease("k").lease is Lease.OURS
    coalescer.give_lease_back("k", refused=True)
    assert store.stats()["items"] == 0


def test_a_store_in_trouble_makes_everybody_a_maker() -> None:
    class Down(Shared):
        def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
            raise StoreDown("no")

        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            raise StoreDown("no")

        def delete(self, key: str) -> bool:
            raise StoreDown("no")

    coalescer = make(Down(1 << 20))
    assert coalescer.take_lease("k").lease is Lease.OURS
    coalescer.give_lease_back("k", refused=False)
    coalescer.give_lease_back("k", refused=True)


def test_who_waits_for_the_fleet_looks_until_the_page_is_there() -> None:
    store = Shared(1 << 20)
    one, other = make(store), make(store)
    one.take_lease("k")
    looks = iter([None, None, "page"])
    assert other.wait_for_fleet("k", lambda: next(looks)) == "page"


def test_who_waits_for_the_fleet_makes_the_page_when_the_lease_is_free() -> None:
    store = Shared(1 << 20)
    one, other = make(store), make(store)
    one.take_lease("k")

    def look() -> None:
        one.give_lease_back("k", refused=False)

    assert other.wait_for_fleet("k", look) == Taken(Lease.OURS, Hold(2, raw=ANY))
    assert one.take_lease("k").lease is Lease.OTHERS


def test_who_waits_for_the_fleet_does_so_for_a_time() -> None:
    store = Shared(1 << 20)
    make(store).take_lease("k")
    assert make(store, wait_s=AT_ONCE_S).wait_for_fleet("k", lambda: None) == Taken(Lease.OTHERS)


def test_a_child_does_not_wait_for_its_parents_leaders() -> None:
    coalescer = make()
    lead(coalescer)
    child = os.fork()
    if child == 0:
        joined = coalescer.join("k")
        os._exit(0 if joined is not None and joined[1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    follow(coalescer)


def test_a_leader_looks_again_only_where_a_page_may_have_come_since_its_first_look() -> None:
    coalescer = make()
    before = coalescer.happened
    flight = lead(coalescer)
    assert not coalescer.may_have_come(before)
    coalescer.leave("k", flight)
    assert coalescer.may_have_come(before)
    assert make(Shared(1 << 20)).may_have_come(0)


def test_a_flight_is_followed_where_no_change_can_have_come_before_it_unseen() -> None:
    fleet, alone = make(Shared(1 << 20)), make()
    for coalescer, is_sure in ((fleet, False), (alone, True)):
        flight, before = join(coalescer, "k"), coalescer.happened
        assert coalescer.is_current(flight, before, [b"lease"])  # it has not asked yet
        coalescer.asks(flight, [b"lease"], 0)
        after = coalescer.happened
        assert coalescer.is_current(flight, before, [None])  # it asked since this one came
        assert coalescer.is_current(flight, after, [b"lease"])  # what lay there then still does
        assert coalescer.is_current(flight, after, [None]) is is_sure
        assert coalescer.is_current(flight, after, [b"another lease"]) is is_sure


def test_what_began_before_a_change_is_followed_by_nobody_who_comes_after_it() -> None:
    coalescer = make()
    flights = {key: join(coalescer, key) for key in ("a", "b", "c")}
    coalescer.begin_anew(["a", "nobody's"])
    again = join(coalescer, "a")
    coalescer.leave("a", flights["a"])  # the old one's end is not the new one's
    assert coalescer.join("a") == (again, False)
    assert coalescer.join("b") == (flights["b"], False)
    coalescer.drop("b", again)
    assert coalescer.join("b") == (flights["b"], False)
    coalescer.drop("b", flights["b"])
    coalescer.begin_anew()
    assert len(coalescer) == 0
    assert flights["c"].stage is Stage.DECIDING  # who followed already gets what comes


def join(coalescer: Coalescer[str], key: str) -> Flight[str]:
    joined = coalescer.join(key)
    assert joined is not None and joined[1]
    return joined[0]
