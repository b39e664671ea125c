"""Which table keeps the states: a family of four, chosen by who shares the limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.journal import AppendingStore, JournalTable
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.segment import open_segment, workers_name
from wsgistack.ratelimit.shared import SharedTable
from wsgistack.ratelimit.slots import SlotTable, may_be_packed, segment_bytes
from wsgistack.ratelimit.table import Claim, Outcome, Table
from wsgistack.store.base import Store

__all__ = ["States", "make_table", "make_workers_table"]

STORE_BYTES_OF_KEY = 160
MOST_STORE_BYTES = 256 * 1024 * 1024


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


def make_table(limits: Sequence[Limit], store: Store | None, on_store_error: str, max_keys: int) -> States:
    """Return a table in this process, or in *store*."""
    if store is None:
        return Table([limit.counter for limit in limits], max_keys=max_keys)
    if isinstance(store, AppendingStore):
        return JournalTable(limits, store, on_store_error=on_store_error, max_keys=max_keys)
    return SharedTable(limits, store, on_store_error=on_store_error, max_keys=max_keys)


def make_workers_table(limits: Sequence[Limit], place: str, on_store_error: str, max_keys: int) -> States:
    """Return a table that the worker processes of this server share, known among them as *place*.

    Raises StoreDown, or ConfigurationError where a limit needs compiled modules that are not here.
    """
    text = "\n".join(
        [place, os.getcwd(), str(max_keys), *[f"{one.policy} {one.rate} {one.ban}" for one in limits]]
    )
    code = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    if may_be_packed(limits):
        segment = open_segment(segment_bytes(len(limits), max_keys), code)
        return SlotTable(limits, segment, max_keys=max_keys, on_store_error=on_store_error)
    # Logs, places and bans are of any length: what keeps them is the store.
    from wsgistack.store.shm.store import ShmStore

    size = min(max(len(limits) * max_keys * STORE_BYTES_OF_KEY, 4 * 1024 * 1024), MOST_STORE_BYTES)
    store = ShmStore(workers_name(f"{code}5").removeprefix("wsgistack-"), size)
    return SharedTable(limits, store, on_store_error=on_store_error, max_keys=max_keys)
