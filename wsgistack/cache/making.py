"""The parts of a cache, made of what the middleware was given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wsgistack.cache.audit import Audit
from wsgistack.cache.personal import Visitors
from wsgistack.cache.policy import Policy, find_policy
from wsgistack.cache.settings import check_number
from wsgistack.store.base import Store
from wsgistack.store.memory import LEAST_BYTES, MemoryStore
from wsgistack.store.url import make_store

__all__ = ["make_audit", "make_policy", "make_store_of"]


def make_store_of(store: Store | str | None, max_bytes: int) -> Store:
    """Return the store that is meant: one, its URL, or none for one of this process."""
    check_number("max_bytes", max_bytes, least=LEAST_BYTES)
    return make_store(store) if isinstance(store, str) else store or MemoryStore(max_bytes)


def make_audit(policy: Policy, visitors: Visitors, keyed_fields: Iterable[str]) -> Audit:
    """Return what takes note of reads, as far as keys do not carry what is read."""
    if not policy.is_for_guests:  # nothing is withheld, and no key has more than the URL and what Vary names
        return Audit(())
    # Of Cookie the application sees what the key has, and nothing else.
    return Audit((*keyed_fields, "cookie"), shown=lambda name: not visitors.withholds(name))


def make_policy(
    profile: str, keep: float, stale_if_down: float, stale_if_error: float, *, is_coded: bool
) -> Policy:
    """Return the profile of that name with seconds of its own; *is_coded*: see Policy."""
    check_number("keep", keep, least=0)
    check_number("stale_if_down", stale_if_down, least=0)
    check_number("stale_if_error", stale_if_error, least=0)
    return replace(
        find_policy(profile),
        keep_s=keep,
        failure_grace_s=stale_if_down,
        error_grace_s=stale_if_error,
        is_coded=is_coded,
    )
