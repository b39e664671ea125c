"""A guarded store: its failures are counted, told to whoever wants to hear, and never raised."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.contracts.stores import Clock
from wsgistack.errors import ConfigurationError, CounterError, StoreDown, StoreFull, TooLarge
from wsgistack.store.base import Counted, Step, Store
from wsgistack.store.guarded import Breaker, Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.store.tiered import Tiered


class Failing:
    """A store that raises *error* from every method while it is set, and is a memory store otherwise."""

    def __init__(self, error: BaseException | None, clock: Clock, takes_s: float = 0.0) -> None:
        self.error, self.clock, self.takes_s = error, clock, takes_s
        self.calls = 0
        self.store = MemoryStore(1024 * 1024, clock=clock)

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name == "within":
            raise AttributeError(name)  # it cannot give up waiting

        def call(*arguments: object, **options: object) -> object:
            self.calls += 1
            self.clock.now += self.takes_s
            if self.error is not None:
                raise self.error
            method = getattr(self.store, name)
            return method(*arguments, **options)

        return call


def make(error: BaseException | None, takes_s: float = 0.0) -> tuple[Guarded, Failing, Clock]:
    clock = Clock()
    failing = Failing(error, clock, takes_s)
    return Guarded(failing, clock=clock), failing, clock  # type: ignore[arg-type]  # answers every method


NOTHING: dict[str, tuple[Callable[[Store], object], object]] = {
    "get": (lambda s: s.get("key"), None),
    "gets": (lambda s: s.gets("key"), None),
    "get_many": (lambda s: s.get_many(["key"]), {}),
    "set": (lambda s: s.set("key", b"value", 60), None),
    "set_many": (lambda s: s.set_many({"key": b"value"}, 60), None),
    "add": (lambda s: s.add("key", b"value", 60), True),
    "cas": (lambda s: s.cas("key", b"value", 60, 1), False),
    "touch": (lambda s: s.touch("key", 60), False),
    "incr": (lambda s: s.incr("key", 2, 60), 2),
    "incr down": (lambda s: s.incr("key", -2, 60), 0),
    "incr from first": (lambda s: s.incr("key", 2, 60, first=9), 9),
    "incr_many": (
        lambda s: s.incr_many([Step("a", 1, 60), Step("b", 1, 60, 5)]),
        [Counted(1, 0), Counted(5, 0)],
    ),
    "update": (lambda s: s.update("key", lambda old: (b"made of %r" % old, 60)), b"made of None"),
    "update that leaves it": (lambda s: s.update("key", lambda old: None), None),
    "delete": (lambda s: s.delete("key"), False),
    "delete_many": (lambda s: s.delete_many(["key"]), 0),
    "clear": (lambda s: s.clear(), None),
}


@pytest.mark.parametrize(
    "error", [StoreDown("gone"), StoreFull("full"), OSError("no"), KeyError("bug")], ids=repr
)
@pytest.mark.parametrize(("call", "answer"), NOTHING.values(), ids=NOTHING)
def test_a_store_that_fails_is_empty_and_forgets_at_once(
    error: Exception, call: Callable[[Store], object], answer: object
) -> None:
    guarded, _, _ = make(error)
    assert call(guarded) == answer
    assert sum(guarded.errors.values()) == 1


def test_stats_are_zeros_and_say_how_often_it_failed() -> None:
    guarded, _, _ = make(StoreDown("gone"))
    for _ in range(5):
        guarded.get("key")
    stats = guarded.stats()
    assert stats == {
        "items": 0,
        "bytes": 0,
        "hits": 0,
        "misses": 0,
        "evictions": 0,
        "errors": 3,
        "skipped": 3,
    }


def test_each_failure_is_told_with_its_operation() -> None:
    told: list[tuple[str, Exception]] = []
    error = StoreDown("gone")
    clock = Clock()
    guarded = Guarded(
        Failing(error, clock),  # type: ignore[arg-type]  # answers every method
        on_error=lambda operation, raised: told.append((operation, raised)),
        clock=clock,
    )
    guarded.get("key")
    guarded.set("key", b"", 60)
    assert told == [("get", error), ("set", error)]
    assert guarded.errors == {"get": 1, "set": 1}


def test_what_the_last_call_of_an_operation_failed_with_is_known() -> None:
    error = StoreDown("gone")
    guarded, failing, _ = make(error)
    guarded.set("key", b"value", 60)
    failing.error = None
    guarded.get("key")
    assert (guarded.trouble("set"), guarded.trouble("get")) == (error, None)
    guarded.set("key", b"value", 60)
    assert guarded.trouble("set") is None


def test_after_three_failures_the_store_is_left_alone_for_a_while() -> None:
    guarded, failing, clock = make(StoreDown("gone"))
    for _ in range(10):
        assert guarded.get("key") is None
    assert (failing.calls, guarded.skipped, guarded.is_down) == (3, 7, True)
    clock.now += 0.9
    guarded.get("key")
    assert failing.calls == 3
    clock.now += 0.2
    guarded.get("key")
    guarded.get("key")
    assert failing.calls == 4  # one trial, which failed


def test_a_trial_that_succeeds_opens_the_way_again() -> None:
    guarded, failing, clock = make(StoreDown("gone"))
    for _ in range(3):
        guarded.get("key")
    failing.error = None
    clock.now += 1.1
    guarded.set("key", b"value", 60)
    assert guarded.get("key") == b"value"
    assert guarded.is_down is False


def test_answers_that_take_too_long_count_as_failures() -> None:
    guarded, failing, _ = make(None, takes_s=0.3)
    for _ in range(10):
        guarded.get("key")
    assert failing.calls == 3
    assert guarded.is_down


class Cooperative(MemoryStore):
    """A store that is asked to give up waiting, and does so as long as *is_slow*."""

    def __init__(self) -> None:
        super().__init__(1024 * 1024)
        self.is_slow = False
        self.limits: list[float] = []

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.limits.append(seconds)
        if self.is_slow:
            raise StoreDown(f"no answer within {seconds} s")
        yield


@pytest.mark.parametrize(
    "wrap", [lambda store: store, lambda store: Tiered(MemoryStore(1024 * 1024), store, near_s=0.001)]
)
def test_a_store_that_can_give_up_waiting_is_made_to_at_the_deadline(wrap: Callable[[Store], Store]) -> None:
    store = Cooperative()
    store.shared = True
    told: list[str] = []
    guarded = Guarded(wrap(store), slow_s=0.2, on_error=lambda operation, error: told.append(str(error)))
    guarded.set("key", b"value", 60)
    store.is_slow = True
    assert guarded.get("absent") is None
    assert store.limits == [0.2, 0.2]
    assert (told, guarded.errors) == (["no answer within 0.2 s"], {"get": 1})


def test_a_tiered_store_waits_for_one_that_cannot_give_up() -> None:
    far = MemoryStore(1024 * 1024)
    far.shared = True
    guarded = Guarded(Tiered(MemoryStore(1024 * 1024), far, near_s=1.0))
    guarded.set("key", b"value", 60)
    assert guarded.get("key") == b"value"


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()], ids=repr)
def test_what_ends_a_program_or_a_greenlet_goes_through(error: BaseException) -> None:
    guarded, _, _ = make(error)
    with pytest.raises(type(error)):
        guarded.get("key")


def test_what_the_caller_did_wrong_is_still_raised_and_does_not_open_the_breaker() -> None:
    guarded = Guarded(MemoryStore(1024 * 1024))
    guarded.set("key", b"letters", 60)
    for _ in range(5):
        with pytest.raises(CounterError):
            guarded.incr("key", 1, 60)
    assert guarded.is_down is False
    assert guarded.errors == {}


def test_a_value_that_is_too_large_is_not_stored_and_no_failure_of_the_store() -> None:
    guarded = Guarded(MemoryStore(64 * 1024))
    with pytest.raises(TooLarge):
        guarded.store.set("key", bytes(60_000), 60)
    for _ in range(5):
        guarded.set("key", bytes(60_000), 60)
    assert guarded.get("key") is None
    assert (guarded.errors, guarded.is_down) == ({"set": 5}, False)


def test_an_error_of_the_change_is_the_callers() -> None:
    guarded = Guarded(MemoryStore(64 * 1024))

    def change(old: bytes | None) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        guarded.update("key", change)
    assert guarded.errors == {}


@pytest.mark.parametrize(
    "options", [{"failures": 0}, {"rest_s": 0}, {"rest_s": math.nan}, {"slow_s": -1}], ids=str
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="guarded"):
        Guarded(MemoryStore(64 * 1024), **options)  # type: ignore[arg-type]


def test_a_rest_doubles_with_each_failed_trial_up_to_half_a_minute() -> None:
    breaker = Breaker(failures=1, rest_s=1.0)
    now, rests = 0.0, []
    for _ in range(8):
        assert breaker.may_try(now)
        breaker.failed(now)
        rest = next(seconds for seconds in range(1, 100) if now + seconds >= (breaker._open_until or 0))
        rests.append(rest)
        now += rest
    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]
    breaker.succeeded()
    breaker.failed(now)
    assert not breaker.may_try(now + 0.9)
    assert breaker.may_try(now + 1.0)


REMOVALS: dict[str, Callable[[Store], object]] = {
    "delete": lambda s: s.delete("key"),
    "delete_many": lambda s: s.delete_many(["key", "other"]),
}
READS: dict[str, tuple[Callable[[Store], object], object]] = {
    "get": (lambda s: s.get("key"), None),
    "gets": (lambda s: s.gets("key"), None),
    "get_many": (lambda s: s.get_many(["key"]), {}),
    "touch": (lambda s: s.touch("key", 60), False),
    "update": (lambda s: s.update("key", lambda old: None if old is None else (old, 60)), None),
}


@pytest.mark.parametrize("calls", [1, 5], ids=["once", "left alone"])
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
@pytest.mark.parametrize(("read", "nothing"), READS.values(), ids=READS)
def test_what_could_not_be_removed_is_gone_when_the_store_is_back(
    read: Callable[[Store], object], nothing: object, remove: Callable[[Store], object], calls: int
) -> None:
    guarded, failing, clock = make(None)
    guarded.set("key", b"old", 3600)
    failing.error = StoreDown("gone")
    for _ in range(calls):
        guarded.get("another")
    remove(guarded)
    failing.error = None
    clock.now += 60
    assert read(guarded) == nothing
    assert failing.store.get("key") is None
    guarded.set("key", b"new", 60)
    assert guarded.get("key") == b"new"


def test_what_one_node_of_several_can_not_remove_costs_the_others_nothing() -> None:
    guarded, failing, clock = make(None)
    guarded.set_many({"key": b"old", "other": b"kept"}, 3600)
    failing.__dict__["delete_many"] = failing.__dict__["delete"] = _refuse
    guarded.delete("key")
    for _ in range(9):
        assert (guarded.get("key"), guarded.get("other")) == (None, b"kept")
        assert guarded.get_many(["key", "other"]) == {"other": b"kept"}
        clock.now += 60
    guarded.set("key", b"new", 60)
    assert guarded.get("key") == b"new"
    assert not guarded.is_down


def _refuse(_: object) -> object:
    raise StoreDown("this node")


def test_what_was_stored_after_a_removal_is_not_removed_for_it() -> None:
    guarded, failing, _ = make(None)
    failing.error = StoreDown("gone")
    guarded.delete("key")
    failing.error = None
    guarded.set("key", b"new", 60)
    assert [guarded.get("key") for _ in range(2)] == [b"new", b"new"]


def test_what_is_no_text_keeps_nothing_else_from_being_removed() -> None:
    guarded, failing, clock = make(StoreDown("gone"))
    failing.store.set("key", b"old", 60)
    delete_many = failing.store.delete_many

    def strict(keys: list[str]) -> int:
        return delete_many([key.encode().decode() for key in keys])

    failing.__dict__["delete_many"] = lambda keys: _refuse(keys) if failing.error else strict(keys)
    guarded.delete_many(["key", 5, ["list"]])  # type: ignore[list-item]  # what a caller does wrong
    failing.error, clock.now = None, clock.now + 60
    assert guarded.get("other") is None
    assert failing.store.get("key") is None


def test_a_counter_that_is_still_to_be_removed_begins_anew_among_others_too() -> None:
    guarded, failing, _ = make(None)
    guarded.incr("key", 7, 60)
    failing.__dict__["delete_many"] = failing.__dict__["delete"] = _refuse
    guarded.delete("key")
    assert guarded.incr_many([Step("key", 1, 60), Step("other", 2, 60)]) == [Counted(1, 0), Counted(2, 0)]


def test_one_removes_what_is_owed_while_others_go_on() -> None:
    guarded, failing, _ = make(StoreDown("gone"))
    guarded.delete("key")
    failing.error = None
    removals: list[object] = []

    def remove(keys: list[str]) -> int:
        removals.append((keys, guarded.get("key"), guarded.get("other")))  # as another thread would
        return 1

    failing.__dict__["delete_many"] = remove
    failing.store.set("key", b"old", 60)
    failing.store.set("other", b"kept", 60)
    assert guarded.get("other") == b"kept"
    assert removals == [(["key"], None, b"kept")]


def test_a_removal_that_takes_its_time_makes_no_call_a_slow_one() -> None:
    guarded, failing, clock = make(StoreDown("gone"))
    for _ in range(3):
        guarded.delete("key")
    failing.error, failing.takes_s = None, 0.2  # within slow_s, each of both
    clock.now += 60
    guarded.get("other")
    assert not guarded.is_down
