"""What an operator does about clients: shut them out, let them in again, look at them, forget them.

`RateLimit.operator` is one; `python -m wsgistack.ratelimit ban|unban|bans|show|reset` is its face.
Who is meant is an address, a network that is one client (2001:db8:1:2::/64), `*` for everybody, or
the hash of a credential, as `usage` shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Protocol

from wsgistack.errors import SettingError
from wsgistack.http.forwarded import parse_hop
from wsgistack.ratelimit.clients import EVERYBODY, NOBODY, Trust
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_window, show_window
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.shut import ANY, Shut, ShutList
from wsgistack.ratelimit.tables import States
from wsgistack.ratelimit.usage import show_key
from wsgistack.registry import find_hint

__all__ = ["Operator", "find_key"]

SECOND_US = 1_000_000


class Counting(Protocol):
    """The limiter that he has a say in; see Limiter."""

    rules: tuple[Rule, ...]
    limits: list[Limit]
    trust: Trust
    table: States
    shut: ShutList

    def now(self) -> int: ...


class Operator:
    """Works on all processes that share the limits: at once here, within a second in the others.

    *rule*: under which rule, every one without it.  SettingError for what cannot be meant, StoreError
    while the store is in trouble.
    """

    def __init__(self, limiter: Counting) -> None:
        self._limiter = limiter

    def follow(self, limiter: Counting) -> None:
        """Speak to *limiter* from now on."""
        self._limiter = limiter

    def ban(self, who: str | bytes, length: str = "1 hour", *, rule: str = ANY) -> None:
        """Shut *who* out for a *length* such as `2 hours`; a ban that he has is replaced."""
        limiter = self._limiter
        length_us, now = parse_window(length), limiter.now()
        limiter.shut.put(Shut(now + length_us, self._find_rule(rule), self._find_key(who)), now)

    def unban(self, who: str | bytes, *, rule: str = ANY) -> bool:
        """Let *who* in again, also where the `ban` of a rule shut him out; return whether he was.

        In memcached a rule's counts of him go with its ban.
        """
        rule, key = self._find_rule(rule), self._find_key(who)
        found = self._limiter.shut.drop(rule, key, self._limiter.now())
        for limit in self._limits(rule):
            if limit.ban is not None:
                found = self._limiter.table.reset(limit.number, key) or found
        return found

    def reset(self, who: str | bytes, *, rule: str = ANY) -> bool:
        """Forget what *who* used, and the bans that he got for it; return whether there was anything."""
        rule, key = self._find_rule(rule), self._find_key(who)
        found = [self._limiter.table.reset(limit.number, key) for limit in self._limits(rule)]
        return any(found)

    def bans(self) -> list[Shut]:
        """Return everybody whom an operator shut out, who is so for longest first."""
        return self._limiter.shut.shown(self._limiter.now())

    def show(self, who: str | bytes, *, rule: str = ANY) -> list[str]:
        """Return a line for each limit: what it leaves *who*; and one for each ban that he has."""
        rule, key = self._find_rule(rule), self._find_key(who)
        now = self._limiter.now()
        lines = [
            f"{one.rule} {show_key(key)}: banned for {_show_us(one.until - now)}"
            for one in self.bans()
            if one.key == key and (rule == ANY or one.rule in (ANY, rule))
        ]
        for limit in self._limits(rule):
            left, more_us = limit.quota(self._limiter.table.get(limit.number, key), now)
            if limit.ban is not None:
                told = f"banned for {_show_us(more_us)}" if more_us else "not banned"
                lines.append(f"{limit.policy} {show_key(key)}: {told}")
            else:
                more = f", more in {_show_us(more_us)}" if more_us else ""
                lines.append(f"{limit.policy} {show_key(key)}: {limit.rate}: {left} left{more}")
        return lines

    def _limits(self, rule: str) -> Iterator[Limit]:
        return (limit for limit in self._limiter.limits if rule in (ANY, limit.rule.name))

    def _find_key(self, who: str | bytes) -> bytes:
        return who if isinstance(who, bytes) else find_key(who, self._limiter.trust)

    def _find_rule(self, name: str) -> str:
        names = [rule.name for rule in self._limiter.rules]
        if name != ANY and name not in names:
            hint = find_hint(name, names)
            raise SettingError(f"rule {name}: no rule has this name{hint}")
        return name


def find_key(who: str, trust: Trust) -> bytes:
    """Return the key under which *who* is counted; SettingError for what names nobody."""
    if who in ("*", "-"):
        return EVERYBODY if who == "*" else NOBODY
    if parse_hop(who) is not None:
        return trust.key_of_peer(who)
    try:
        if "/" in who:
            network = ip_network(who)
            whole, rest = divmod(network.prefixlen, 8)
            if not rest:
                shortest = 4 if network.version == 4 else 5
                return network.network_address.packed[: max(whole, shortest)]
        elif len(who) >= 32:
            return bytes.fromhex(who)
    except ValueError:
        pass
    text = (
        "an address, a network of whole bytes such as 2001:db8:1:2::/64, '*', or a hash as 'usage' shows it"
    )
    raise SettingError(f"{who!r:.80} is not {text}")


def _show_us(us: int) -> str:
    text = show_window(-(-us // SECOND_US) * SECOND_US)
    return text if text[0].isdigit() else f"1 {text}"
