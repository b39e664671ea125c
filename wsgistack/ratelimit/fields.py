"""What a response says of a quota: RateLimit-Policy, RateLimit, Retry-After, and the older forms.

draft-ietf-httpapi-ratelimit-headers-10: both are Lists of Items (RFC 9651) whose values are Strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wsgistack.errors import SettingError
from wsgistack.ratelimit.rates import Rate
from wsgistack.registry import find_nearest

__all__ = ["FORMS", "Fields", "Quota", "find_form", "limit_prefix", "policy_item", "retry_after"]

Fields = list[tuple[str, str]]

SECOND_US = 1_000_000


class Policy(Protocol):
    """A limit that has a name; its texts are made once."""

    @property
    def policy(self) -> str:
        """The name."""
        ...

    @property
    def rate(self) -> Rate:
        """How much."""
        ...

    @property
    def policy_item(self) -> str:
        """What `policy_item` gives for it."""
        ...

    @property
    def prefix(self) -> str:
        """What `limit_prefix` gives for it."""
        ...


# A plain tuple: it is made for each limit of each request.
Quota = tuple[Policy, int, int]  # (limit, units left now, microseconds until there are more)


def policy_item(name: str, rate: Rate) -> str:
    """Return one item of RateLimit-Policy.  §3.1

    A window that is no whole number of seconds has no `w`: the draft knows none.  Our own
    parameter tells a burst that differs from the quota.

    >>> from wsgistack.ratelimit.rates import parse_rates
    >>> policy_item("api", parse_rates("1000/hour burst 50")[0])
    '"api";q=1000;w=3600;wsgistack-burst=50'
    """
    item = f"{_string(name)};q={rate.amount}"  # at most 10**12, RFC 9651 §3.3.1 allows 10**15
    if rate.quota_unit != "requests":
        item += f';qu="{rate.quota_unit}"'
    seconds, rest = divmod(rate.window_us, SECOND_US)
    if seconds and not rest:
        item += f";w={seconds}"
    if rate.algorithm == "gcra" and rate.burst != rate.amount:
        item += f";wsgistack-burst={rate.burst}"
    return item


def retry_after(wait_us: int) -> str:
    """Return the delay-seconds of Retry-After: rounded up, at least 1.  RFC 9110 §10.2.3"""
    return str(max(-(-wait_us // SECOND_US), 1))


def limit_prefix(name: str) -> str:
    """Return how an item of RateLimit begins, up to the units that are left.  §3.2"""
    return f"{_string(name)};r="


def draft10(quotas: Sequence[Quota]) -> Fields:
    """Return both fields for all *quotas*."""
    policies, items = [], []
    for limit, left, reset_us in quotas:
        policies.append(limit.policy_item)
        if reset_us:
            items.append(f"{limit.prefix}{left};t={(reset_us + SECOND_US - 1) // SECOND_US}")
        else:
            items.append(f"{limit.prefix}{left}")
    if not items:
        return []
    return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(items))]


def draft6(quotas: Sequence[Quota]) -> Fields:
    """Return the three fields of draft 03 to 06, for the quota that is nearest to its end."""
    if not quotas:
        return []
    closest, left, reset_us = _closest(quotas)
    rates = [limit.rate for limit, _, _ in quotas]
    policies = [f"{rate.amount};w={max(rate.window_us // SECOND_US, 1)}" for rate in rates]
    return [
        ("RateLimit-Limit", ", ".join([str(closest.rate.amount), *policies])),
        ("RateLimit-Remaining", str(left)),
        ("RateLimit-Reset", str(-(-reset_us // SECOND_US))),
    ]


def legacy(quotas: Sequence[Quota]) -> Fields:
    """Return the X-RateLimit fields, for the quota that is nearest to its end; Reset in seconds."""
    if not quotas:
        return []
    closest, left, reset_us = _closest(quotas)
    return [
        ("X-RateLimit-Limit", str(closest.rate.amount)),
        ("X-RateLimit-Remaining", str(left)),
        ("X-RateLimit-Reset", str(-(-reset_us // SECOND_US))),
    ]


def none(quotas: Sequence[Quota]) -> Fields:
    """Return no field."""
    return []


FORMS: dict[str, Callable[[Sequence[Quota]], Fields]] = {
    "draft10": draft10,
    "draft6": draft6,
    "legacy": legacy,
    "none": none,
}


def find_form(name: str) -> Callable[[Sequence[Quota]], Fields]:
    """Return the form of that name, a function of the quotas; raises SettingError with the nearest.

    Where nothing limits a request, every form is silent.
    """
    if name not in FORMS:
        nearest = find_nearest(str(name), FORMS)
        hint = f" (did you mean '{nearest}'?)" if nearest else ""
        raise SettingError(f"headers: {name!r} is not one of {', '.join(FORMS)}{hint}")
    return FORMS[name]


def _closest(quotas: Sequence[Quota]) -> Quota:
    return min(quotas, key=lambda quota: (quota[1] / quota[0].rate.amount, -quota[2]))


def _string(name: str) -> str:
    # The names of policies come from rules, which refuse what is not printable ASCII.
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
