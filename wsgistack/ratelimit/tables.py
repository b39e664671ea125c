"""Which table keeps the states: a family of four, chosen by who shares the limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from wsgistack.errors import StoreDown
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.journal import AppendingStore, JournalTable
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.notes import FileNote, Note
from wsgistack.ratelimit.segment import FOLDER, open_segment, workers_name
from wsgistack.ratelimit.shared import SharedTable
from wsgistack.ratelimit.slots import SlotTable, may_be_packed, segment_bytes
from wsgistack.ratelimit.table import Claim, Outcome, Table
from wsgistack.store.base import Store

__all__ = ["Options", "States", "make_table", "make_workers_table"]

STORE_BYTES_OF_KEY = 160
MOST_STORE_BYTES = 256 * 1024 * 1024


class Options(NamedTuple):
    """What all tables take; see RateLimit."""

    on_store_error: str
    max_keys: int
    processes: int


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


def make_table(limits: Sequence[Limit], store: Store | None, options: Options) -> States:
    """Return a table in this process, or in *store*."""
    if store is None:
        return Table([limit.counter for limit in limits], max_keys=options.max_keys)
    if isinstance(store, AppendingStore):
        return JournalTable(limits, store, **options._asdict())
    return SharedTable(limits, store, **options._asdict())


def make_workers_table(
    limits: Sequence[Limit], place: str, options: Options, master: int | None = None
) -> tuple[States, Note]:
    """Return a table that the worker processes of this server share, known among them as *place*, and
    what operators say there.

    *master*: whose children they are, who has to have some; without it this process is one of them.
    Raises StoreDown, or ConfigurationError where a limit needs compiled modules that are not here.
    """
    max_keys = options.max_keys
    text = "\n".join(
        [place, os.getcwd(), str(max_keys), *[f"{one.policy} {one.rate} {one.ban}" for one in limits]]
    )
    code = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    note = FileNote(FOLDER / workers_name(f"{code}b", master))
    code = code if may_be_packed(limits) else f"{code}5"
    if master is not None and not (FOLDER / workers_name(code, master)).exists():
        raise StoreDown(f"no worker of process {master} has such limits, or none was asked anything yet")
    if may_be_packed(limits):
        segment = open_segment(segment_bytes(len(limits), max_keys), code, parent=master)
        return SlotTable(limits, segment, **options._asdict()), note
    # Logs, places and bans are of any length: what keeps them is the store.
    from wsgistack.store.shm.store import ShmStore

    size = min(max(len(limits) * max_keys * STORE_BYTES_OF_KEY, 4 * 1024 * 1024), MOST_STORE_BYTES)
    store = ShmStore(workers_name(code, master).removeprefix("wsgistack-"), size)
    return SharedTable(limits, store, **options._asdict()), note
