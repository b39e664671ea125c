"""What operators ask of the caches."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper.stage import Stage
from wsgistack.keeper.orders import Refused, perform, read_ban


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    stage.answer(Cache_Control="max-age=60", Cache_Tag="news", ETag='"a"')
    stage.say()
    yield stage
    stage.close()


@pytest.mark.parametrize(
    ("action", "argument", "cache"),
    [
        ("purge", "http://WWW.example:80/page", "wsgistack; fwd=uri-miss; ttl=60; stored"),
        ("purge", "http://www.example/other", "wsgistack; hit; ttl=60"),
        ("softpurge", "http://www.example/page", "wsgistack; fwd=stale; ttl=60; stored"),
        ("tag", "sport news", "wsgistack; fwd=uri-miss; ttl=60; stored"),
        ("ban", "host=*.example path=/p*", "wsgistack; fwd=uri-miss; ttl=60; stored"),
        ("ban", "everything", "wsgistack; fwd=uri-miss; ttl=60; stored"),
        ("ban", "older=1h", "wsgistack; hit; ttl=60"),
    ],
)
def test_a_page_that_is_meant_is_asked_for_anew(stage: Stage, action: str, argument: str, cache: str) -> None:
    assert perform(stage.caches.by_name, action, argument) == []
    assert stage.say().cache == cache


def test_stats_tell_how_requests_were_answered_and_what_is_stored(stage: Stage) -> None:
    stage.say()
    lines = perform(stage.caches.by_name, "stats", "")
    assert lines[:2] == ["pages hit 1", "pages uri-miss 1"]
    assert [line.split()[:2] for line in lines[2:]] == [["pages", "store"]] * (len(lines) - 2)
    assert len(lines) > 3


def test_a_trace_tells_the_decision_with_its_sections(stage: Stage) -> None:
    lines = perform(stage.caches.by_name, "trace", "http://www.example/page")
    assert lines[0] == "cache: pages"
    assert lines[1].startswith("url: http://www.example/page, key p:")
    assert lines[-1] == "decision: 200 from the store (RFC 9111 §4)"
    personal = perform(stage.caches.by_name, "trace", "http://www.example/page Cookie: sessionid=1; a=2")
    assert personal[-2:] == [
        "visitor: personal, cookie:sessionid (see personal.Visitors)",
        "decision: past the cache",
    ]


@pytest.mark.parametrize(
    ("action", "argument", "error"),
    [
        ("purge", "/page", "'/page' is not a URL such as http://www.example.com/news"),
        ("ban", "pth=/a", "ban: 'pth' is not one of url, prefix, tag, host, path, header, value, older, everything, soft (did you mean 'path'?)"),
        ("ban", "soft", "purge: nothing is said"),
        ("ban", "path", "ban: path of what? expected path=..."),
        ("ban", "path=/a ;", "ban: ';' is not one of name=value, everything or soft"),
        ("ban", "older=soon", "ban: older: 'soon' is no time such as 60, 5m or 1h"),
        ("trace", "page", "'page' is not a URL such as"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(stage: Stage, action: str, argument: str, error: str) -> None:
    with pytest.raises(Refused) as refused:
        perform(stage.caches.by_name, action, argument)
    assert error in str(refused.value)


def test_a_ban_can_have_blanks_in_quotes() -> None:
    assert read_ban('header=X-Kind value="a b*"') == {"header": "X-Kind", "value": "a b*"}
