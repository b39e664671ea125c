"""Which pages lie in the ready table, and when they do not lie there any more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.stage import NOW, Stage
from wsgistack.cache.found import Found

KEY = b"3 http www.example /page "


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def fill(stage: Stage, times: int = 2, **fields: Any) -> list[bytes]:
    """Ask for the page that often, and return the keys of what is ready then."""
    said: dict[str, Any] = {"Cache_Control": "max-age=60", **fields}
    stage.answer(**said)
    for _ in range(times):
        stage.say()
    return list(stage.table.pages)


def test_a_page_that_answered_a_plain_request_is_ready(stage: Stage) -> None:
    assert fill(stage, 1) == []
    assert fill(stage, 1, ETag='"a"') == [KEY]
    page = stage.table.pages[KEY]
    assert page["head_before"] == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: max-age=60\r\n"
    )
    assert (page["body"], page["born"], page["expires_at"]) == (b"one", NOW, NOW + 60)
    assert page["head_after"] == b""


def test_its_age_before_it_came_counts(stage: Stage) -> None:
    fill(stage, Age="20")
    assert (stage.table.pages[KEY]["born"], stage.table.pages[KEY]["expires_at"]) == (NOW - 20, NOW + 40)


@pytest.mark.parametrize(
    "fields",
    [
        {"Cache_Control": "max-age=60, no-cache", "ETag": '"a"'},
        {"Cache_Control": "max-age=0, stale-while-revalidate=60"},
        {"Vary": "Accept-Language"},
        {"Vary": "Accept-Encoding, Accept"},
        {"No_Vary_Search": "params"},
        {"Set_Cookie": "a=1"},
    ],
    ids=lambda fields: " ".join(fields),
)
def test_what_needs_a_decision_is_not_ready(stage: Stage, fields: dict[str, Any]) -> None:
    assert fill(stage, 3, **fields) == []


def test_a_page_is_ready_for_each_spelling_of_what_is_accepted(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60", Vary="Accept-Encoding")
    for encoding in ("gzip", "br") * 2:
        stage.say(Accept_Encoding=encoding)
    assert sorted(stage.table.pages) == [KEY + b"br", KEY + b"gzip"]


def test_one_stored_form_is_ready_under_each_spelling(stage: Stage) -> None:
    stage.apply(codings="br, gzip")
    stage.answer(Cache_Control="max-age=60", Vary="Accept-Encoding")
    for encoding in ("gzip", "gzip, deflate", "gzip;q=0") * 2:
        stage.say(Accept_Encoding=encoding)
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in stage.asked] == ["gzip", "identity"]
    assert sorted(stage.table.pages) == [KEY + b"gzip", KEY + b"gzip, deflate", KEY + b"gzip;q=0"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Cookie": "beta=on"},
        {"X_Requested_With": "XMLHttpRequest"},
        {"Authorization": "x"},
        {"Range": "bytes=0-"},
    ],
    ids=lambda fields: " ".join(fields),
)
def test_a_request_that_is_not_plain_makes_nothing_ready(stage: Stage, fields: dict[str, Any]) -> None:
    stage.apply(key_cookies="beta=on|off")
    stage.answer(Cache_Control="max-age=60")
    for _ in range(3):
        stage.say(**fields)
    assert stage.table.pages == {}


def test_ignored_cookies_are_nothing(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    for _ in range(2):
        stage.say(Cookie="_ga=1")
    assert list(stage.table.pages) == [KEY]


@pytest.mark.parametrize(
    "about",
    [
        {"url": "http://www.example/page"},
        {"everything": True},
        {"tag": "x"},
        {"prefix": "http://", "soft": True},
    ],
    ids=lambda about: " ".join(about),
)
def test_nothing_is_ready_once_a_purge_returns(stage: Stage, about: dict[str, object]) -> None:
    fill(stage)
    stage.caches.by_name["pages"].pages.purge(**about)
    assert stage.table.pages == {}


def test_a_change_takes_out_what_it_made_worthless_and_nothing_else(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    for target in ("/page", "/other") * 2:
        stage.say(target)
    stage.say(method="POST")
    assert list(stage.table.pages) == [b"3 http www.example /other "]


def test_a_page_that_is_replaced_is_taken_out(stage: Stage) -> None:
    fill(stage, ETag='"a"')
    stage.now += 61
    stage.answer(b"two", Cache_Control="max-age=60", ETag='"b"', Date="Sun, 06 Nov 1994 08:50:38 GMT")
    assert stage.say().body == b"two"
    assert stage.table.pages == {}
    stage.say()
    assert stage.table.pages[KEY]["body"] == b"two"


def test_a_look_that_began_before_a_purge_makes_nothing_ready(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stage, 1)
    pages = stage.caches.by_name["pages"].pages
    find = pages.shelf.find

    def find_slowly(*arguments: Any) -> Found:
        found = find(*arguments)
        pages.purge(everything=True)  # as if another greenlet had the processor meanwhile
        return found

    monkeypatch.setattr(pages.shelf, "find", find_slowly)
    assert stage.say().cache == "wsgistack; hit; ttl=60"
    assert stage.table.pages == {}


def test_other_settings_take_everything_out(stage: Stage) -> None:
    fill(stage)
    stage.apply(strict="off")
    assert stage.table.pages == {}


def test_a_page_that_the_table_does_not_take_stays_with_the_keeper(stage: Stage) -> None:
    stage.answer(b"x" * 2000, Cache_Control="max-age=60")
    assert [stage.say().cache.partition(";")[2][:5] for _ in range(3)] == [" fwd=", " hit;", " hit;"]
    assert stage.table.pages == {}
