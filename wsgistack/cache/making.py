"""The parts of a cache, made of what the middleware was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from wsgistack.cache.audit import Audit
from wsgistack.cache.filling import variable_of
from wsgistack.cache.guests import Guests
from wsgistack.cache.keys import Names
from wsgistack.cache.personal import Visitors
from wsgistack.cache.policy import Policy, find_policy
from wsgistack.cache.purge import Purges
from wsgistack.cache.settings import check_number
from wsgistack.cache.shelf import Shelf
from wsgistack.cache.shortcut import Lately, Verdict
from wsgistack.cache.shortcuts import Passing, Shortcut
from wsgistack.cache.signs import ASKING_FIELDS
from wsgistack.cache.status import bypassed
from wsgistack.cache.verification import Verification
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.passage import Instead
from wsgistack.store.base import Store, is_store, refuse_store
from wsgistack.store.memory import LEAST_BYTES, MemoryStore
from wsgistack.store.url import make_store
from wsgistack.wsgi import Environ

__all__ = [
    "check_secret",
    "make_audit",
    "make_hosts",
    "make_passing",
    "make_policy",
    "make_shelf",
    "make_shortcut",
    "make_store_of",
    "make_verification",
]

MOST_SECRET = 64  # bytes of BLAKE2b's key


def make_store_of(store: Store | str | None, max_bytes: int) -> Store:
    """Return the store that is meant: one, its URL, or none for one of this process."""
    check_number("max_bytes", max_bytes, least=LEAST_BYTES)
    if isinstance(store, str):
        return make_store(store)
    if store is not None and not is_store(store):
        raise SettingError(refuse_store(store))
    return store or MemoryStore(max_bytes)


def make_hosts(hosts: Iterable[str] | None) -> Names | None:
    """Return the hosts whose pages are kept, None for all."""
    return None if hosts is None else Names(hosts, setting="hosts", caseless=True)


def make_verification(fills: int) -> Verification | None:
    """Return what compares so many fills, None for 0."""
    return Verification(fills) if fills else None


def check_secret(secret: bytes) -> None:
    """Raise SettingError for what can not sign pages; it says nothing of the secret."""
    if not isinstance(secret, bytes):
        raise SettingError(f"secret: {type(secret).__name__}, expected bytes")
    if len(secret) > MOST_SECRET:
        raise SettingError(f"secret: {len(secret)} bytes, at most {MOST_SECRET} fit")


def make_shelf(store: Store, policy: Policy, purges: Purges, secret: bytes) -> Shelf:
    """Return where pages are kept."""
    return Shelf(store, purges=purges, reorders=policy.reorders_lists, keep_s=policy.keep_s, secret=secret)


def make_shortcut(guests: Guests | None, *, keyed: str, learns: bool) -> Shortcut:
    """Return what knows most requests at a glance."""
    asking = [variable_of(name) for name in ASKING_FIELDS]
    if guests is None:
        return Shortcut(asking, keyed=keyed, learns=learns)
    return Shortcut(
        [*asking, *guests.telling],
        guests.judge,
        kinds=guests.cookies,
        nobody=guests.anonymous,
        owners=guests.owners,
        of_kind=guests.of_kind,
        keyed=keyed,
        learns=learns,
    )


def make_passing(
    shortcut: Shortcut, lately: Lately | None, otherwise: Callable[[Environ, Verdict], Instead]
) -> Passing:
    """Return what lets requests pass the cache in a frame that is shared with other components."""
    return Passing(shortcut, bypassed, lately, otherwise)


def make_audit(policy: Policy, visitors: Visitors, keyed_fields: Iterable[str]) -> Audit:
    """Return what takes note of reads, as far as keys do not carry what is read."""
    if not policy.is_for_guests:  # nothing is withheld, and no key has more than the URL and what Vary names
        return Audit(())
    # Of Cookie the application sees what the key has, and nothing else.
    return Audit((*keyed_fields, "cookie"), shown=lambda name: not visitors.withholds(name))


def make_policy(profile: str, keep: float, stale_if_down: float, stale_if_error: float) -> Policy:
    """Return the profile of that name with seconds of its own."""
    steps: tuple[Callable[[], Any], ...] = (
        partial(find_policy, profile),
        partial(check_number, "keep", keep, least=0),
        partial(check_number, "stale_if_down", stale_if_down, least=0),
        partial(check_number, "stale_if_error", stale_if_error, least=0),
    )
    policy: Policy = gather(steps)[0]
    return replace(policy, keep_s=keep, failure_grace_s=stale_if_down, error_grace_s=stale_if_error)
