"""What lies in the store is believed only as far as it could be ours."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from wsgistack.cache.entry import Entry, pack
from wsgistack.cache.keys import Key
from wsgistack.cache.stored import open_stored

KEY = Key("p:1", b"frame")
TERMS = (784111777.0, 0.0, 60.0, 0.0, 0.0, 0.0, 0.0, 3600.0)
PAGE = Entry(KEY.full, "http://a.example/", 200, "OK", (), b"page", 784111777.0, TERMS)


def raw_of(page: Entry) -> bytes:
    raw = pack(page)
    assert raw is not None
    return raw


def test_a_page_of_ours_is_opened_with_its_terms() -> None:
    stored = open_stored(raw_of(PAGE), KEY)
    assert stored is not None
    assert (stored.url, stored.received_at, stored.tags) == ("http://a.example/", 784111777.0, ())


@pytest.mark.parametrize("at", range(8), ids=str)
@pytest.mark.parametrize("number", [inf, -1.0, 1e300], ids=str)
def test_a_page_of_no_possible_time_is_nothing(at: int, number: float) -> None:
    terms = (*TERMS[:at], number, *TERMS[at + 1 :])
    assert open_stored(raw_of(replace(PAGE, terms=terms)), KEY) is None


@pytest.mark.parametrize("at", [0, 1, 3, 4, 5, 6, 7], ids=str)
def test_only_a_lifetime_may_be_unknown(at: int) -> None:
    terms = (*TERMS[:at], None, *TERMS[at + 1 :])
    assert open_stored(raw_of(replace(PAGE, terms=terms)), KEY) is None
    assert open_stored(raw_of(replace(PAGE, terms=(*TERMS[:2], None, *TERMS[3:]))), KEY) is not None


@pytest.mark.parametrize("status", [0, 101, 199, 1000, 65_535])
def test_a_page_of_no_final_status_is_nothing(status: int) -> None:
    assert open_stored(raw_of(replace(PAGE, status=status)), KEY) is None
