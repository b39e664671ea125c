"""What a response says of a quota, read by an independent parser of RFC 9651."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.errors import SettingError
from wsgistack.ratelimit.fields import (
    FORMS,
    Quota,
    draft10,
    find_form,
    limit_prefix,
    policy_item,
    retry_after,
)
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.tellers import Teller

SECOND = 1_000_000


def quota(policy: str, rate: str, left: int, reset_us: int) -> Quota:
    return Limit(0, policy, parse_rates(rate)[0], Rule("r", rate)), left, reset_us


@dataclass(frozen=True)
class Decided:
    """What leaves *left* of some limits."""

    left: tuple[Quota, ...] = ()

    def quotas(self) -> tuple[Quota, ...]:
        return self.left

    def partitions(self) -> list[bytes]:
        return [b"\xc0\0\2\1"] * len(self.left)

    def told(self) -> tuple[Teller, list[Any], int]:
        """Return a teller of these very quotas, which are the states."""
        items = [(limit_prefix(limit.policy), lambda state, now: state, None) for limit, _, _ in self.left]
        policies = ", ".join([limit.policy_item for limit, _, _ in self.left])
        return Teller(policies, items), [(left, more_us) for _, left, more_us in self.left], 0


TWO = Decided(
    (
        quota("burst", "100/minute", 50, 30 * SECOND),
        quota("daily", "1000/day fixed", 999, 0),
    )
)


def read(value: str) -> list[tuple[str, dict[str, Any]]]:
    items: Any = http_sf.parse(value.encode(), tltype="list")
    return list(items)


@pytest.mark.parametrize(
    ("rate", "item"),
    [
        ("100/minute", '"p";q=100;w=60'),
        ("1000/hour burst 50", '"p";q=1000;w=3600;wsgistack-burst=50'),
        ("5/500ms", '"p";q=5'),
        ("5/1.5s", '"p";q=5'),
        ("64 kb/10s sliding", '"p";q=65536;qu="content-bytes";w=10'),
        ("20 concurrent", '"p";q=20;qu="concurrent-requests"'),
        ("3/calendar day UTC", '"p";q=3;w=86400'),
    ],
)
def test_a_policy_is_an_item(rate: str, item: str) -> None:
    assert policy_item("p", parse_rates(rate)[0]) == item
    assert len(read(item)) == 1


def test_all_policies_and_what_is_left_of_each_are_lists() -> None:
    fields = dict(draft10(TWO))
    assert fields == {
        "RateLimit-Policy": '"burst";q=100;w=60, "daily";q=1000;w=86400',
        "RateLimit": '"burst";r=50;t=30, "daily";r=999',
    }
    assert read(fields["RateLimit"]) == [("burst", {"r": 50, "t": 30}), ("daily", {"r": 999})]


def test_a_partition_is_told_as_bytes_that_do_not_give_the_key_away() -> None:
    fields = dict(FORMS["draft10-pk"](TWO))
    told = read(fields["RateLimit"])
    assert [(name, more["r"], more.get("t")) for name, more in told] == [
        ("burst", 50, 30),
        ("daily", 999, None),
    ]
    partitions = {more["pk"] for _, more in told + read(fields["RateLimit-Policy"])}
    (partition,) = partitions
    assert isinstance(partition, bytes) and len(partition) == 9
    assert b"\xc0\0\2\1" not in partition


@given(
    name=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
    left=st.integers(0, 10**12),
    reset_us=st.integers(0, 10**16),
)
def test_whatever_is_left_the_fields_can_be_read(name: str, left: int, reset_us: int) -> None:
    fields = dict(draft10(Decided((quota(name, "5/s", left, reset_us),))))
    ((met, parameters),) = read(fields["RateLimit"])
    assert met == name
    assert parameters["r"] == left
    assert (parameters.get("t", 0) - 1) * SECOND < reset_us <= parameters.get("t", 0) * SECOND
    assert [item[0] for item in read(fields["RateLimit-Policy"])] == [name]


def test_the_older_forms_tell_the_quota_that_ends_first() -> None:
    assert FORMS["draft6"](TWO) == [
        ("RateLimit-Limit", "100, 100;w=60, 1000;w=86400"),
        ("RateLimit-Remaining", "50"),
        ("RateLimit-Reset", "30"),
    ]
    assert FORMS["legacy"](TWO) == [
        ("X-RateLimit-Limit", "100"),
        ("X-RateLimit-Remaining", "50"),
        ("X-RateLimit-Reset", "30"),
    ]
    assert FORMS["none"](TWO) == []


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_said_where_nothing_limits(form: str) -> None:
    assert find_form(form)(Decided()) == []


@pytest.mark.parametrize(
    ("wait_us", "text"), [(1, "1"), (999_999, "1"), (1_000_001, "2"), (60_000_000, "60")]
)
def test_retry_after_is_never_too_early(wait_us: int, text: str) -> None:
    assert retry_after(wait_us) == text


def test_an_unknown_form_names_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"did you mean 'draft10'\?"):
        find_form("draft1")
