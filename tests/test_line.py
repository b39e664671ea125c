"""A line of the access log, plain and compiled: the same."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack import account, account_cy, passage, passage_cy

BOTH = pytest.mark.parametrize("twin", [account, account_cy], ids=["plain", "compiled"])


def line_of(
    twin: ModuleType, environ: dict[str, Any], cache_status: str = "", at: float = 1_795_000_000.25
) -> str:
    module = passage if twin is account else passage_cy
    end = module.Passage(environ, lambda *head: len, (), lambda: 0)
    end.started_at, end.status, end.sent, end.took_us = at, "200", 5, 5000
    end.cache_status = cache_status
    line: str = twin.json_line(end)
    return line


@BOTH
def test_a_line_tells_what_is_known(twin: ModuleType) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/page",
        "QUERY_STRING": "a=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_USER": 7,
        "HTTP_USER_AGENT": 'curl "7"\x7f',
        "HTTP_REFERER": "http://a/\r\nb\\",
        "HTTP_TRACEPARENT": "00-1",
        "wsgistack.request_id": "r1",
        "wsgistack.bucket": "b\xe4",
    }
    assert line_of(twin, environ, "c; hit") == (
        '{"time":"2026-11-18T11:06:40.250+00:00","client":"192.0.2.1","method":"GET","target":"/app/page?a=1",'
        '"version":"HTTP/1.1","status":200,"bytes":5,"referer":"http://a/\\r\\nb\\\\",'
        '"user_agent":"curl \\"7\\"\\u007f","user":"7","request_id":"r1","traceparent":"00-1",'
        '"bucket":"b\\u00e4","cache":"c; hit","total_us":5000}'
    )


@BOTH
def test_a_line_of_who_tells_nothing_is_short(twin: ModuleType) -> None:
    assert line_of(twin, {}) == (
        '{"time":"2026-11-18T11:06:40.250+00:00","client":"unknown","method":"","target":"","version":"",'
        '"status":200,"bytes":5,"referer":"","user_agent":"","total_us":5000}'
    )


@BOTH
def test_a_clock_may_be_set_to_before_1970(twin: ModuleType) -> None:
    assert json.loads(line_of(twin, {}, at=-0.25))["time"] == "1969-12-31T23:59:59.750+00:00"


@BOTH
@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/%41", "REQUEST_URI": "/b", "PATH_INFO": "/A"}, "/%41"),
        ({"REQUEST_URI": "/b?c", "PATH_INFO": "/A"}, "/b?c"),
        ({"RAW_URI": "", "PATH_INFO": "/A"}, "/A"),
        ({"RAW_URI": "/" + "a" * 1500}, "/" + "a" * 1499 + "..."),
    ],
    ids=["raw", "requested", "path", "long"],
)
def test_the_target_is_as_it_came_where_that_is_told(
    twin: ModuleType, environ: dict[str, str], target: str
) -> None:
    assert json.loads(line_of(twin, environ))["target"] == target


@BOTH
def test_what_clients_write_is_cut(twin: ModuleType) -> None:
    environ = dict.fromkeys(("HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_TRACEPARENT"), "a" * 2000)
    read = json.loads(line_of(twin, environ))
    assert [len(read[key]) for key in ("user_agent", "referer", "traceparent")] == [1500] * 3


@given(
    st.dictionaries(
        st.sampled_from(["REMOTE_ADDR", "RAW_URI", "HTTP_USER_AGENT", "HTTP_REFERER", "REMOTE_USER"]),
        st.text(st.characters(max_codepoint=300), max_size=8),
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_both_write_the_same_line(environ: dict[str, str]) -> None:
    assert line_of(account_cy, environ) == line_of(account, environ)
