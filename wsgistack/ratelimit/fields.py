"""What a response says of a quota: RateLimit-Policy, RateLimit, Retry-After, and the older forms.

draft-ietf-httpapi-ratelimit-headers-10: both are Lists of Items (RFC 9651) whose values are Strings.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Protocol

from wsgistack.errors import SettingError
from wsgistack.ratelimit.algorithms import Counter, State
from wsgistack.ratelimit.algorithms.gcra import Gcra
from wsgistack.ratelimit.rates import Rate
from wsgistack.ratelimit.tellers import Teller
from wsgistack.ratelimit.telling import Item
from wsgistack.registry import find_hint

__all__ = [
    "FORMS",
    "Decided",
    "Fields",
    "Form",
    "Quota",
    "find_form",
    "limit_item",
    "limit_prefix",
    "make_teller",
    "policy_item",
    "retry_after",
]

Fields = list[tuple[str, str]]

SECOND_US = 1_000_000
PK_BYTES = 9  # 12 characters


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
    def item(self) -> Item | None:
        """What `limit_item` gives for it, None where clients are not told of it."""
        ...


Quota = tuple[Policy, int, int]  # (limit, units left now, microseconds until there are more)


class Decided(Protocol):
    """What was decided about a request, as forms see it."""

    def told(self) -> tuple[Teller, Sequence[State | None], int]:
        """Return what tells of its limits, their states after it, and when it was decided."""
        ...

    def quotas(self) -> Sequence[Quota]:
        """Return what is left under each of its limits."""
        ...

    def partitions(self) -> Sequence[bytes]:
        """Return the key under which each of them counts."""
        ...


Form = Callable[[Decided], Fields]


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


def limit_item(name: str, counter: Counter) -> Item:
    """Return what writes the item of RateLimit for a limit of that name."""
    return limit_prefix(name), counter.quota, counter.numbers if isinstance(counter, Gcra) else None


def make_teller(limits: Sequence[Policy]) -> Teller:
    """Return what tells of *limits* by draft 10: made once for all who count under the same ones."""
    policies = [limit.policy_item for limit in limits if limit.item is not None]
    return Teller(", ".join(policies), [limit.item for limit in limits])


def draft10(decided: Decided) -> Fields:
    """Return both fields for all limits that tell."""
    teller, states, now = decided.told()
    return teller.fields(states, now)


def draft10_pk(decided: Decided) -> Fields:
    """Return the same with `pk` in each item: under which partition the client counts.  §3.1.4, §3.2.3

    It is a hash of the key, so a credential is not told to whoever reads the response.
    """
    policies, items = [], []
    for (limit, left, more_us), key in zip(decided.quotas(), decided.partitions(), strict=True):
        digest = blake2b(key, digest_size=PK_BYTES, person=b"wsgistack pk").digest()
        pk = f";pk=:{b64encode(digest).decode()}:"
        policies.append(limit.policy_item + pk)
        more = f";t={-(-more_us // SECOND_US)}" if more_us else ""
        items.append(f"{limit_prefix(limit.policy)}{left}{more}{pk}")
    if not items:
        return []
    return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(items))]


def draft6(decided: Decided) -> Fields:
    """Return the three fields of draft 03 to 06, for the quota that is nearest to its end."""
    quotas = decided.quotas()
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


def legacy(decided: Decided) -> Fields:
    """Return the X-RateLimit fields, for the quota that is nearest to its end; Reset in seconds."""
    quotas = decided.quotas()
    if not quotas:
        return []
    closest, left, reset_us = _closest(quotas)
    return [
        ("X-RateLimit-Limit", str(closest.rate.amount)),
        ("X-RateLimit-Remaining", str(left)),
        ("X-RateLimit-Reset", str(-(-reset_us // SECOND_US))),
    ]


def none(decided: Decided) -> Fields:
    """Return no field."""
    return []


FORMS: dict[str, Form] = {
    "draft10": draft10,
    "draft10-pk": draft10_pk,
    "draft6": draft6,
    "legacy": legacy,
    "none": none,
}


def find_form(name: str) -> Form:
    """Return the form of that name, a function of what was decided; raises SettingError with the nearest.

    Where nothing limits a request, every form is silent.
    """
    if name not in FORMS:
        hint = find_hint(str(name), FORMS)
        raise SettingError(f"headers: {name!r} is not one of {', '.join(FORMS)}{hint}")
    return FORMS[name]


def _closest(quotas: Sequence[Quota]) -> Quota:
    return min(quotas, key=lambda quota: (quota[1] / quota[0].rate.amount, -quota[2]))


def _string(name: str) -> str:
    # The names of policies come from rules, which refuse what is not printable ASCII.
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
