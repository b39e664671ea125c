"""The ledger of purges: which pages a ban is about, and what is left when there is no room."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache import bans
from wsgistack.cache.bans import Ban, Ledger, read_ledger, write_ledger
from wsgistack.errors import ArgumentError

EMPTY = Ledger(100, 100)
AT = 2000.0


@dataclass(frozen=True)
class Stored:
    url: str = "https://example.com/news/a?b=1"
    tags: tuple[str, ...] = ("news", "author:7")
    received_at: float = 1000.0
    content_type: str | None = "text/html"

    def field(self, name: str) -> str | None:
        return self.content_type if name == "content-type" else None


def is_gone(ban: Ban, page: Stored | None = None, generation: int = 100) -> bool:
    verdict = EMPTY.with_bans([ban], AT).judge(page or Stored(), generation)
    return verdict is not None and verdict.is_gone


@pytest.mark.parametrize(
    ("ban", "expected"),
    [
        (Ban(url="https://example.com/news/a?b=1"), True),
        (Ban(url="https://example.com/news/a"), False),
        (Ban(url="http://example.com/news/a?b=1"), False),
        (Ban(prefix="https://example.com/news/"), True),
        (Ban(prefix="https://example.com/new/"), False),
        (Ban(tag="news"), True),
        (Ban(tag="author:7"), True),
        (Ban(tag="author:70"), False),
        (Ban(tag="news", origin="https://example.com"), True),
        (Ban(tag="news", origin="https://example.co"), False),
        (Ban(host="*.com"), True),
        (Ban(host="EXAMPLE.com"), True),
        (Ban(host="example.org"), False),
        (Ban(path="/news/*"), True),
        (Ban(path="/news"), False),
        (Ban(host="example.com", path="/old/*"), False),
        (Ban(header="Content-Type", value="text/*"), True),
        (Ban(header="Content-Type", value="image/*"), False),
        (Ban(header="X-Other"), False),
        (Ban(older_s=999.0), True),
        (Ban(older_s=1000.0), False),
        (Ban(older_s=0, path="/news/*", header="content-type"), True),
        (Ban(everything=True), True),
    ],
    ids=str,
)
def test_a_ban_is_about_what_it_says(ban: Ban, expected: bool) -> None:
    assert is_gone(ban) is expected


def test_a_ban_is_not_about_what_was_asked_for_later() -> None:
    ledger = EMPTY.with_bans([Ban(tag="news")], AT)
    assert ledger.serial == 101
    assert ledger.judge(Stored(), 101) is None
    assert ledger.judge(Stored(), 100) is not None


def test_a_soft_ban_makes_a_page_old() -> None:
    verdict = EMPTY.with_bans([Ban(tag="news", soft=True)], AT).judge(Stored(), 100)
    assert verdict is not None
    assert (verdict.is_gone, verdict.old_at) == (False, AT)


def test_a_page_is_old_since_the_first_soft_ban() -> None:
    ledger = EMPTY.with_bans([Ban(tag="news", soft=True)], 10.0).with_bans([Ban(path="*", soft=True)], 20.0)
    verdict = ledger.judge(Stored(), 100)
    assert verdict is not None
    assert verdict.old_at == 10.0


def test_a_hard_ban_counts_more_than_a_soft_one() -> None:
    for order in ([Ban(tag="news", soft=True), Ban(path="*")], [Ban(path="*"), Ban(tag="news", soft=True)]):
        verdict = EMPTY.with_bans(order, AT).judge(Stored(), 100)
        assert verdict is not None
        assert verdict.is_gone


def test_a_ban_made_again_takes_no_more_room() -> None:
    ledger = EMPTY.with_bans([Ban(tag="news"), Ban(tag="x"), Ban(tag="news")], AT)
    assert [(ban.tag, ban.serial) for ban in ledger.bans] == [("x", 102), ("news", 103)]


def test_a_hard_ban_stands_for_a_soft_one_but_not_the_other_way() -> None:
    hard, soft = Ban(tag="news"), Ban(tag="news", soft=True)
    assert [ban.soft for ban in EMPTY.with_bans([soft, hard], AT).bans] == [False]
    assert [ban.soft for ban in EMPTY.with_bans([hard, soft], AT).bans] == [False, True]


def test_what_there_is_no_room_for_counts_as_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "MOST_BANS", 2)
    ledger = EMPTY.with_bans([Ban(tag="a"), Ban(tag="b"), Ban(tag="c")], AT)
    assert [ban.tag for ban in ledger.bans] == ["b", "c"]
    assert ledger.base == 101
    gone = ledger.judge(Stored(tags=()), 100)
    assert gone is not None
    assert gone.is_gone
    assert ledger.judge(Stored(tags=()), 101) is None


def test_a_page_from_before_the_ledger_is_gone() -> None:
    verdict = EMPTY.judge(Stored(), 99)
    assert verdict is not None
    assert verdict.is_gone
    assert verdict.by is None


@pytest.mark.parametrize(
    ("ban", "message"),
    [
        (Ban(), "purge: nothing is said; one of url, prefix, tag"),
        (Ban(origin="https://example.com"), "purge: nothing is said"),
        (Ban(value="x"), "purge: nothing is said"),
        (Ban(soft=True), "purge: nothing is said"),
        (Ban(older_s=-1.0), "purge: older_s: -1.0 is not a number of seconds from 0"),
        (Ban(older_s=float("nan")), "purge: older_s: nan is not"),
        (Ban(url="x" * 9000), "purge: url: 'xxxx"),
        (Ban(tag="a\0b"), "purge: tag: 'a"),
        (Ban(tag=3), "purge: tag: 3 is not text"),  # type: ignore[arg-type]  # what the test is about
    ],
    ids=str,
)
def test_a_ban_that_cannot_be_meant_is_refused(ban: Ban, message: str) -> None:
    with pytest.raises(ArgumentError) as met:
        ban.check()
    assert str(met.value).startswith(message)


def test_a_ledger_comes_back_as_it_was() -> None:
    ledger = EMPTY.with_bans([Ban(tag="größe", soft=True), Ban(older_s=3.5, header="A", value="b*")], AT)
    assert read_ledger(write_ledger(ledger)) == ledger


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"\x80\x04K\x01.",
        b"[]",
        b"{}",
        b"[" * 5000,
        b'{"base": 1, "serial": 0, "bans": []}',
        b'{"base": "1", "serial": 2, "bans": []}',
        b'{"base": 1, "serial": 2, "bans": [[2, 1.0, {}]]}',
        b'{"base": 1, "serial": 2, "bans": [[2, 1.0, {"tags": "a"}]]}',
        b'{"base": 1, "serial": 2, "bans": [[2, "x", {"tag": "a"}]]}',
        b'{"base": 1, "serial": 2, "bans": 5}',
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_what_is_no_ledger_is_none(raw: bytes | None) -> None:
    assert read_ledger(raw) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    assert read_ledger(raw) is None or raw[:1] == b"{"


@given(
    st.lists(st.tuples(st.sampled_from(["news", "x", "author:7"]), st.booleans()), max_size=12),
    st.integers(0, 12),
)
def test_the_ledger_says_what_a_walk_over_all_bans_would(orders: list[tuple[str, bool]], known: int) -> None:
    ledger, soft, hard = EMPTY, False, False
    for number, (tag, is_soft) in enumerate(orders, 1):
        ledger = ledger.with_bans([Ban(tag=tag, soft=is_soft)], AT)
        if number > known and tag != "x":
            soft, hard = soft or is_soft, hard or not is_soft
    verdict: Any = ledger.judge(Stored(), 100 + known)
    assert (verdict is not None and verdict.is_gone) is hard
    assert (verdict is not None) is (soft or hard)


def test_bans_are_values() -> None:
    assert replace(Ban(tag="a"), soft=True) == Ban(tag="a", soft=True)
