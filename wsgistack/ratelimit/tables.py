"""Which table keeps the states: a family of four, chosen by who shares the limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from wsgistack import forks
from wsgistack.errors import StoreDown
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.journal import JournalTable
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.notes import FileNote, Note
from wsgistack.ratelimit.segment import FOLDER, open_segment, workers_name
from wsgistack.ratelimit.shared import SharedTable
from wsgistack.ratelimit.slots import SlotTable, may_be_packed, segment_bytes
from wsgistack.ratelimit.table import Claim, Outcome, Table
from wsgistack.store.base import Store, is_appending

__all__ = ["Before", "Options", "States", "make_table", "make_workers_table"]

forks.load("wsgistack.store.shm.store")

STORE_BYTES_OF_KEY = 160
LIMITS_TO_COME = 4  # room for those of rules that follow
MOST_STORE_BYTES = 256 * 1024 * 1024


class Options(NamedTuple):
    """What all tables take; see RateLimit."""

    on_store_error: str
    max_keys: int
    processes: int


class Before(NamedTuple):
    """The limits of rules that others follow, and the table of their states."""

    table: States
    limits: Sequence[Limit]

    def numbers(self, limits: Sequence[Limit]) -> list[int | None]:
        """Return the number that each of *limits* had: of the same name and rate, or a ban in the same words."""
        known: dict[str, list[int]] = {}
        for limit in reversed(self.limits):
            known.setdefault(_signature(limit), []).append(limit.number)
        # Each goes on once only: the limits of two tiers may read alike, and are counted apart.
        found = [known.get(_signature(limit)) for limit in limits]
        return [numbers.pop() if numbers else None for numbers in found]


def _signature(limit: Limit) -> str:
    return f"{limit.policy} {limit.rate} {limit.ban}"


class States(Protocol):
    """What Table offers, which says what it means; *trouble*: how often a store failed."""

    @property
    def trouble(self) -> int: ...

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome: ...

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]: ...

    def charge(self, claims: Sequence[Claim], now: int) -> None: ...

    def give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> None: ...

    def get(self, number: int, key: bytes) -> State | None: ...

    def reset(self, number: int, key: bytes) -> bool: ...


def make_table(
    limits: Sequence[Limit], store: Store | None, options: Options, before: Before | None = None
) -> States:
    """Return a table in this process, or in *store*; limits that were *before* keep their states."""
    if store is None:
        counters = [limit.counter for limit in limits]
        if before is None or not isinstance(before.table, Table):
            return Table(counters, max_keys=options.max_keys)
        numbers = before.numbers(limits)
        return Table(counters, max_keys=options.max_keys, before=before.table, numbers=numbers)
    if is_appending(store):
        return JournalTable(limits, store, **options._asdict())
    return SharedTable(limits, store, **options._asdict())


def make_workers_table(
    limits: Sequence[Limit], place: str, options: Options, *, master: int | None, follow: bool
) -> tuple[States, Note, Store | None]:
    """Return a table that the worker processes of this server share, known among them as *place*, and
    what operators say there.

    *follow*: other rules may follow these, so that states are in a store that knows them by their names,
    which is returned too.  *master*: whose children they are, who has to have some; without it this process
    is one of them.
    Raises StoreDown, or ConfigurationError where a limit needs compiled modules that are not here.
    """
    max_keys = options.max_keys
    text = "\n".join([place, os.getcwd(), str(max_keys), *[_signature(one) for one in limits if not follow]])
    code = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    note = FileNote(FOLDER / workers_name(f"{code}b", master))
    is_packed = may_be_packed(limits) and not follow
    code = code if is_packed else f"{code}5"
    if master is not None and not (FOLDER / workers_name(code, master)).exists():
        raise StoreDown(f"no worker of process {master} has such limits, or none was asked anything yet")
    if is_packed:
        segment = open_segment(segment_bytes(len(limits), max_keys), code, parent=master)
        return SlotTable(limits, segment, **options._asdict()), note, None
    # Logs, places and bans are of any length: what keeps them is the store.
    from wsgistack.store.shm.store import ShmStore

    count = max(len(limits), LIMITS_TO_COME) if follow else len(limits)
    size = min(max(count * max_keys * STORE_BYTES_OF_KEY, 4 * 1024 * 1024), MOST_STORE_BYTES)
    store = ShmStore(workers_name(code, master).removeprefix("wsgistack-"), size)
    return SharedTable(limits, store, **options._asdict()), note, store
