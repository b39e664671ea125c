"""What limits would say of a request, and what they know of somebody: nothing is counted.

The engine of the WSGI edge decides, on the states that the workers share.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from wsgistack.balancer.address_list import AddressList
from wsgistack.balancer.durations import show_seconds
from wsgistack.balancer.limit import Limit, Step
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.limit_states import read_state
from wsgistack.balancer.model import Service
from wsgistack.balancer.outside import Ledger
from wsgistack.balancer.shedding import fits
from wsgistack.balancer.throttle import BANNED, next_delay_s, throttle_as_wire
from wsgistack.http.forwarded import Address, find_client
from wsgistack.http.networks import parse_network
from wsgistack.http.paths import normal_path, path_readings
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.algorithms.concurrent import LEASE_US
from wsgistack.ratelimit.clients import HOPS
from wsgistack.settings import Value

__all__ = [
    "Foreseen",
    "Left",
    "Listed",
    "find_address",
    "find_keys",
    "find_state",
    "foresee",
    "foretell_throttle",
    "is_about",
    "judge_lists",
    "key_of_address",
    "look",
    "show_key",
    "show_wait",
]

UNKNOWN, EVERYBODY = b"-", b"*"


@dataclass(frozen=True, slots=True)
class Left:
    """What one step leaves a key: *left* units, more in *more_us*; of a ban for how long it lasts."""

    step: Step
    key: bytes
    left: int
    more_us: int


class Listed(NamedTuple):
    """On which list a client is, "" for none; whether it is denied, and whether no limit is about it."""

    setting: str
    denied: bool = False
    passes: bool = False


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a limit would do: *refused* has no room, None if the request may pass.

    *level*: the request's priority, "" where the limit does not ask.
    """

    limit: Limit
    refused: Step | None
    wait_us: int
    left: tuple[Left, ...]
    level: str = ""


def find_address(service: Service, peer: str, field: Callable[[str], str | None]) -> Address | None:
    """Return the client's address, as its proxies tell it if they are trusted; *field* gives what a request says."""
    networks = [parse_network(word) for word in _words(service.settings["trusted_upstream_proxies"])]
    everybody = bool(service.settings["always_trusted"])

    def is_trusted(address: Address | None) -> bool:
        return everybody or (address is not None and any(address in network for network in networks))

    name = str(service.settings["forwarded"])
    told = field(name)
    return find_client(peer, HOPS[name](told) if told else (), is_trusted)


def _words(value: Value) -> tuple[str, ...]:
    assert isinstance(value, tuple)
    return value


def key_of_address(limit: Limit, address: Address | None) -> bytes:
    """Return the key under which *limit* counts an address."""
    if address is None:
        return UNKNOWN
    prefix = limit.settings["ipv4_prefix" if address.version == 4 else "ipv6_prefix"]
    network = ipaddress.ip_network((address, int(str(prefix))), strict=False).network_address
    mapped = b"\0" * 10 + b"\xff\xff" if address.version == 4 else b""
    return b"a" + mapped + network.packed


def judge_lists(
    service: Service, find: Callable[[str], AddressList | None], address: Address | None
) -> Listed:
    """Return what the lists of a service say of a client, as plane/gate.pyx does; *find* gives a list by its setting."""
    allow, deny = find("allow_file"), find("deny_file")
    if allow is not None and address in allow:
        return Listed("allow_file", passes=True)
    is_listed = deny is not None and address in deny
    if is_listed and service.settings["blacklist_action"] == "deny":
        return Listed("deny_file", denied=True)
    is_limited = is_listed or service.settings["default_action"] == "throttle"
    return Listed("deny_file" if is_listed else "", passes=not is_limited)


def find_keys(
    limit: Limit,
    service: Service,
    ledger: Ledger,
    address: Address | None,
    field: Callable[[str], str | None],
) -> list[bytes]:
    """Return the keys of a request, as plane/asker.pyx has them."""
    kind, name = limit.by
    if kind == "service":
        return [b"s" + service.slot.to_bytes(4, "little")]
    if kind == "global":
        return [EVERYBODY]
    credential = field(name) if kind == "header" else None
    own = [ledger.credential(credential)] if credential else []
    return [*own, key_of_address(limit, address)]


def is_about(limit: Limit, method: str, target: str, address: Address | None) -> bool:
    """Tell whether *limit* is about a request; HEAD is GET without a body (RFC 9110 §9.3.2)."""
    globs = _words(limit.settings["path"])
    paths = path_readings(unquote(target.partition("?")[0], "latin-1"))
    if globs and not any(fits(glob, path) for glob in globs for path in paths):
        return False
    methods = _words(limit.settings["methods"])
    method = method.upper()
    if methods and method not in methods and not (method == "HEAD" and "GET" in methods):
        return False
    exempt = [parse_network(word) for word in _words(limit.settings["exempt"])]
    return address is None or not any(address in network for network in exempt)


def find_state(step: Step, key: bytes, ledger: Ledger, now: int) -> Any:
    """Return the state of a key as the counter of *step* knows it, None if there is none."""
    if step.kind == "exact":
        return ledger.stamps(key, step.id, step.engine.rate.amount) or None
    if step.kind == "concurrent":
        return (now + LEASE_US,) * ledger.held(key, step.id) or None
    return read_state(step.kind, step.engine.rate, ledger.get(key, step.id), now)


def look(limit: Limit, keys: Sequence[bytes], ledger: Ledger, level: str = "") -> tuple[Left, ...]:
    """Return what each step that is about requests of a *level* leaves each key now."""
    now = ledger.now()
    found = []
    for key in keys:
        for step in [step for step in limit.steps if step.is_about(level)]:
            state = find_state(step, key, ledger, now)
            found.append(Left(step, key, *step.engine.counter.quota(state, now)))
    return tuple(found)


def foresee(limit: Limit, keys: Sequence[bytes], ledger: Ledger, level: str = "") -> Foreseen:
    """Return what the limit would say of a request with these keys."""
    now = ledger.now()
    for key in keys:
        for step in [step for step in limit.steps if step.is_about(level)]:
            state = find_state(step, key, ledger, now)
            wait, _ = step.engine.counter.decide(state, now, limit.cost if step.kind != "ban" else 0)
            if wait:
                return Foreseen(limit, step, wait, look(limit, keys, ledger, level), level)
    return Foreseen(limit, None, 0, look(limit, keys, ledger, level), level)


def foretell_throttle(
    service: Service, method: str, target: str, address: Address | None, ledger: Ledger
) -> tuple[str, bool]:
    """Return a line on what Throttle would do with a request, "" for nothing, and whether it refuses it."""
    rules = throttle_as_wire(service.name, service.settings)
    path = normal_path(unquote(target.partition("?")[0], "latin-1"))
    patterns = (("path_regex", path), ("method_regex", method))
    if rules is None or not all(re.search(str(service.settings[name]), text) for name, text in patterns):
        return "", False
    key = key_of_address(Limit("throttle", 0, LIMIT_SETTINGS.defaults()), address)
    state, now = ledger.get(key, rules["limit"]["rates"][0]["id"]), ledger.now()
    delay_s = next_delay_s(rules, state, now)
    if delay_s == BANNED and state[2] == BANNED:
        return f"throttle: banned, ends {show_wait(state[0] - now)}", True
    if delay_s == BANNED:
        return "throttle: this request too many, it bans the client", True
    return f"throttle: {f'held for {show_seconds(delay_s)} s' if delay_s else 'passes at once'}", False


def show_key(limit: Limit, key: bytes) -> str:
    """Return a key as people write it; of a credential only that there is one, and which."""
    if key == UNKNOWN:
        return "unknown"
    if key == EVERYBODY:
        return "everybody"
    if key[:1] == b"s":
        return f"service#{int.from_bytes(key[1:], 'little')}"
    if key[:1] == b"h":
        return f"credential#{key[1:].hex()}"
    address = ipaddress.ip_address(key[1:])
    assert isinstance(address, ipaddress.IPv6Address)
    shown = address.ipv4_mapped or address
    prefix = int(str(limit.settings["ipv4_prefix" if shown.version == 4 else "ipv6_prefix"]))
    return str(shown) if prefix == shown.max_prefixlen else f"{shown}/{prefix}"


def show_wait(wait_us: int) -> str:
    """Return a wait in words.

    >>> show_wait(1_500_000), show_wait(7_200_000_000)
    ('in 1.5 s', 'in 7200 s')
    """
    return "never" if wait_us == NEVER else f"in {show_seconds(wait_us / 1e6)} s"
