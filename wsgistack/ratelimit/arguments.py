"""What RateLimit is given, checked: SettingError for what cannot be meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from wsgistack.complaints import complaints_of, gather
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.ratelimit.clients import Key
from wsgistack.ratelimit.fallback import ON_STORE_ERROR
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.networks import NetworkFile, NetworkSet, parse_networks
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule, check_counted, check_names
from wsgistack.ratelimit.rules_file import NAMES, make_rule
from wsgistack.ratelimit.waiting import check_waits
from wsgistack.registry import find_hint
from wsgistack.store.base import Store, is_store, refuse_store
from wsgistack.store.url import make_store

__all__ = [
    "PROCESS",
    "WORKERS",
    "check_every",
    "check_keys",
    "check_policy",
    "check_processes",
    "check_share",
    "find_denied",
    "find_exempt",
    "find_keeping",
    "find_rules",
    "find_store",
    "make_meter",
]

WORKERS, PROCESS = "workers", "process"
DEFAULT = "default"  # the rule that a bare rate is
LONGEST_DEADLINE_S = 60
LEAST_TIMEOUT_S = 0.015  # of a node that usually answers at once; see docs/memcached.md
SHORTEST_S, LONGEST_S = 0.1, 3600
MOST_PROCESSES = 100_000


def find_rules(
    rate: str | None,
    rules: Iterable[Rule | Mapping[str, Any]],
    *,
    key: Key,
    is_enough: bool,
    may_wait: bool,
) -> list[Rule]:
    """Return the rules: *rate* as one, and *rules*.  *is_enough*: there may be none, a file has some.

    *may_wait*: whether a request may wait for its turn.
    """
    if rate is None and not rules and not is_enough:
        raise SettingError("rate and rules: neither is given; a rate reads as '100/minute'")
    if isinstance(rules, str | Mapping) or not isinstance(rules, Iterable):
        raise SettingError(f"rules: {rules!r:.80} is not a list of rules")
    rules = [*rules]
    makes: list[Callable[[], Rule]] = [] if rate is None else [partial(_make_default, rate, key)]
    makes += [partial(_read_rule, number, rule) for number, rule in enumerate(rules, 1)]
    if not may_wait:
        makes = [partial(_make_at_once, make) for make in makes]
    names = [*([] if rate is None else [DEFAULT]), *filter(None, map(_name_of, rules))]
    steps: tuple[Callable[[], Any], ...] = (partial(gather, makes), partial(check_names, names))
    made: list[Rule] = gather(steps)[0]
    return made


def _make_at_once(make: Callable[[], Rule]) -> Rule:
    return check_waits(make())


def _name_of(rule: object) -> str:
    """Return the name that a rule has, "" for none: what it is not is told elsewhere."""
    name = rule.get("name") if isinstance(rule, Mapping) else getattr(rule, "name", "")
    return name if isinstance(name, str) else ""


def _make_default(rate: str, key: Key) -> Rule:
    if isinstance(rate, str):
        check_counted(parse_rates(rate))  # whose complaints need no name of a rule
    return Rule(DEFAULT, rate, key=key)


def _read_rule(number: int, rule: Rule | Mapping[str, Any]) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, Mapping):
        raise SettingError(f"rules: {rule!r:.80} is neither a Rule nor a mapping of what one has")
    try:
        return make_rule(number, rule, names=(*NAMES, "exempt"))
    except ConfigurationError as error:
        raise SettingError(*(f"rules: {text}" for text in complaints_of(error))) from None


def find_exempt(exempt: Iterable[str], allow_file: str | os.PathLike[str]) -> list[NetworkSet]:
    """Return the sets of networks that pass everything."""
    steps: list[Callable[[], NetworkSet]] = [partial(parse_networks, exempt, setting="exempt")]
    if allow_file:
        steps.append(partial(NetworkFile, allow_file, setting="allow_file"))
    passes = gather(steps)
    return [networks for networks in passes if networks]


def find_denied(deny_file: str | os.PathLike[str]) -> NetworkFile | None:
    """Return the file of networks that are refused, None for none."""
    return NetworkFile(deny_file, setting="deny_file") if deny_file else None


def find_keeping(
    max_keys: int,
    store: Store | str | None,
    store_deadline: float,
    on_store_error: str,
    processes: int,
    bans_every: float,
) -> dict[str, Any]:
    """Return where and how counts are kept, as a Limiter takes it."""
    steps: dict[str, Callable[[], Any]] = {
        "max_keys": partial(check_keys, max_keys),
        "store": partial(find_store, store, store_deadline),
        "on_store_error": partial(check_policy, on_store_error),
        "processes": partial(check_processes, processes),
        "bans_every_us": partial(check_every, bans_every),
    }
    return dict(zip(steps, gather(steps.values()), strict=True))


def check_keys(max_keys: int) -> int:
    """Return how many clients each limit remembers."""
    if isinstance(max_keys, bool) or not isinstance(max_keys, int) or not 1 <= max_keys <= 10**8:
        raise SettingError(f"max_keys: {max_keys!r} is not a number from 1 to 10**8")
    return max_keys


def check_policy(policy: str) -> str:
    """Return what is done while a store is in trouble."""
    if policy not in ON_STORE_ERROR:
        hint = find_hint(str(policy), ON_STORE_ERROR)
        raise SettingError(f"on_store_error: {policy!r} is not one of {', '.join(ON_STORE_ERROR)}{hint}")
    return policy


def check_share(jitter: float) -> float:
    """Return a share from 0 to 1."""
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise SettingError(f"jitter: {jitter!r} is not a share from 0 to 1")
    return jitter


def check_every(every: float) -> int:
    """Return the microseconds of an interval, 0 for never."""
    is_number = isinstance(every, int | float) and not isinstance(every, bool)
    if not is_number or not (every == 0 or SHORTEST_S <= every <= LONGEST_S):
        raise SettingError(f"bans_every: {every!r} is not from {SHORTEST_S} to {LONGEST_S} seconds, nor 0")
    return round(every * 1_000_000)


def check_processes(processes: int) -> int:
    """Return how many processes use a store."""
    if isinstance(processes, bool) or not isinstance(processes, int) or not 1 <= processes <= MOST_PROCESSES:
        raise SettingError(f"processes: {processes!r} is not a number from 1 to {MOST_PROCESSES}")
    return processes


def find_store(store: Store | str | None, deadline_s: float) -> Store | None:
    """Return the store of that URL, None for the memory of processes.

    Servers of memcached are waited for as long as *deadline_s*, where the URL has no `timeout` of its own.
    """
    if isinstance(deadline_s, bool) or not isinstance(deadline_s, int | float):
        raise SettingError(f"store_deadline: {deadline_s!r} is not a number of seconds")
    if not 0.001 <= deadline_s <= LONGEST_DEADLINE_S:
        raise SettingError(
            f"store_deadline: {deadline_s:g} is not from 0.001 to {LONGEST_DEADLINE_S} seconds"
        )
    if store is None or is_store(store):
        return store
    if not isinstance(store, str):
        raise SettingError(refuse_store(store))
    if store in (WORKERS, PROCESS):
        return None
    if "://" not in store:
        hint = find_hint(store, (WORKERS, PROCESS))
        raise SettingError(f"store: {store!r} is neither a URL nor {WORKERS} or {PROCESS}{hint}")
    return make_store(_with_deadline(store, deadline_s))


def _with_deadline(url: str, deadline_s: float) -> str:
    place, _, query = url.partition("?")
    names = [pair.partition("=")[0] for pair in query.split("&")]
    if not place.startswith("memcached://") or "timeout" in names:
        return url
    waits = {
        "timeout": deadline_s,
        "least_timeout": min(deadline_s, LEAST_TIMEOUT_S),
        "connect_timeout": deadline_s,
    }
    more = [f"{name}={seconds:g}" for name, seconds in waits.items() if name not in names]
    return f"{place}?{'&'.join([*filter(None, [query]), *more])}"


def make_meter(meter: Meter | str | os.PathLike[str] | bool) -> Meter | None:
    """Return what counts, None for nothing."""
    if isinstance(meter, bool):
        return Meter() if meter else None
    return meter if isinstance(meter, Meter) else Meter(meter)
