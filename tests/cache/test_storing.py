"""May it be stored.  RFC 9111 §3"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache.freshness import make_terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.policy import PROFILES
from wsgistack.cache.storing import REASONS, fields_to_store, find_refusal, says_nothing
from wsgistack.wsgi import EnvironRequest

TARGET = "http://example.org/page"
FRESH = "max-age=60"


def refusal(
    profile: str = "rfc9111",
    method: str = "GET",
    status: int = 200,
    asks: dict[str, str] | None = None,
    has_made_tag: bool = False,
    **said: str,
) -> str | None:
    environ = {"REQUEST_METHOD": method, **(asks or {})}
    head = ResponseHead(status, "Words", [(name.replace("_", "-"), value) for name, value in said.items()])
    policy = PROFILES[profile]
    terms = make_terms(head, policy, asked_at=0, received_at=0)
    asked = EnvironRequest(environ)
    return find_refusal(asked, head, terms, policy, target=TARGET, has_made_tag=has_made_tag)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"Cache_Control": FRESH}, None),
        ({"ETag": '"a"'}, None),
        ({"Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        ({}, "no-lifetime"),
        ({"has_made_tag": True, "ETag": '"a"'}, "no-lifetime"),
        ({"has_made_tag": True, "ETag": '"a"', "Cache_Control": "no-cache"}, "no-lifetime"),
        ({"has_made_tag": True, "ETag": '"a"', "Cache_Control": FRESH}, None),
        ({"has_made_tag": True, "ETag": '"a"', "Cache_Control": "max-age=0"}, None),
        ({"has_made_tag": True, "ETag": '"a"', "Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        ({"has_made_tag": True, "ETag": 'W/"a"', "Content_Encoding": "gzip"}, None),
        ({"method": "HEAD", "Cache_Control": FRESH}, "method"),
        ({"method": "PUT", "Cache_Control": FRESH}, "method"),
        ({"method": "POST", "Cache_Control": FRESH}, "method"),
        ({"method": "POST", "Cache_Control": FRESH, "Content_Location": "/page"}, None),
        ({"method": "POST", "Cache_Control": FRESH, "Content_Location": TARGET}, None),
        ({"method": "POST", "Content_Location": "/page"}, "method"),
        ({"method": "POST", "Cache_Control": FRESH, "Content_Location": "/other"}, "method"),
        ({"method": "POST", "Cache_Control": FRESH, "Content_Location": "http://[/"}, "method"),
        ({"method": "POST", "status": 201, "Cache_Control": FRESH, "Content_Location": "/page"}, "method"),
        ({"asks": {"HTTP_CACHE_CONTROL": "no-store"}, "Cache_Control": FRESH}, "request-no-store"),
        ({"status": 103, "Cache_Control": FRESH}, "status"),
        ({"status": 304, "Cache_Control": FRESH}, "status"),
        ({"status": 412, "Cache_Control": FRESH}, "status"),
        ({"status": 416, "Cache_Control": FRESH}, "status"),
        ({"status": 599, "Cache_Control": FRESH}, None),
        ({"status": 599, "Cache_Control": "max-age=60, no-store, must-understand"}, "status"),
        ({"status": 200, "Cache_Control": "max-age=60, no-store, must-understand"}, None),
        ({"status": 202, "ETag": '"a"'}, "status"),
        ({"status": 202, "ETag": '"a"', "Cache_Control": "public"}, None),
        ({"status": 206, "Cache_Control": FRESH}, "partial"),
        ({"status": 206, "Cache_Control": FRESH, "Content_Range": "bytes 0-1/2"}, None),
        ({"status": 206, "Cache_Control": FRESH, "Content_Range": "bytes 1-2/2"}, "partial"),
        ({"Cache_Control": "no-store, max-age=60"}, "no-store"),
        ({"Cache_Control": "PRIVATE, max-age=60"}, "private"),
        ({"Cache_Control": 'private="x-a", max-age=60'}, None),
        ({"Cache_Control": FRESH, "Vary": "Accept, *"}, "vary-star"),
        ({"asks": {"HTTP_AUTHORIZATION": "x"}, "Cache_Control": FRESH}, "authorization"),
        ({"asks": {"HTTP_AUTHORIZATION": "x"}, "Cache_Control": "max-age=60, public"}, None),
        ({"asks": {"HTTP_AUTHORIZATION": "x"}, "Cache_Control": "max-age=60, must-revalidate"}, None),
        ({"asks": {"HTTP_AUTHORIZATION": "x"}, "Cache_Control": "s-maxage=60"}, None),
        (
            {"asks": {"HTTP_AUTHORIZATION": "x"}, "Cache_Control": "public", "profile": "anonymous"},
            "authorization",
        ),
        ({"Cache_Control": FRESH, "Set_Cookie": "a=b"}, None),
        ({"Cache_Control": FRESH, "Set_Cookie": "a=b", "profile": "anonymous"}, "set-cookie"),
        ({"Cache_Control": FRESH, "SET_COOKIE": "a=b", "profile": "anonymous"}, "set-cookie"),
        ({"Cache_Control": FRESH, "Set_Cookie ": "a=b", "profile": "anonymous"}, "set-cookie"),
        ({"Cache_Control": FRESH, "Set_Cookie2": "a=b", "profile": "anonymous"}, "set-cookie"),
        ({"Cache_Control": "private; max-age=60"}, "private"),
        ({"Cache_Control": "max-age=60;no-store"}, "no-store"),
    ],
    ids=str,
)
def test_a_refusal_is_a_word_that_says_where_it_is_written(asked: dict[str, str], word: str | None) -> None:
    assert refusal(**asked) == word  # type: ignore[arg-type]  # a table of keyword arguments
    assert word is None or REASONS[word]


def test_fields_of_the_hop_and_those_named_are_not_stored() -> None:
    fields = [
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "1"),
        ("Cache-Control", 'private="X-User", no-cache="X-Token"'),
        ("X-User", "me"),
        ("x-token", "t"),
        ("X-Kept", "1"),
        ("X-Kept", "2"),
    ]
    stored = fields_to_store(ResponseHead(200, "OK", fields), PROFILES["rfc9111"])
    assert [pair for pair in stored if pair[0] != "Cache-Control"] == [("X-Kept", "1"), ("X-Kept", "2")]


def is_silent(
    profile: str = "anonymous", status: int = 200, asks: dict[str, str] | None = None, **said: str
) -> bool:
    asked = EnvironRequest({"REQUEST_METHOD": "GET", **(asks or {})})
    head = ResponseHead(status, "Words", [(name.replace("_", "-"), value) for name, value in said.items()])
    return says_nothing(asked, head, PROFILES[profile])


def test_a_page_that_says_nothing_of_its_storing_is_known_at_a_glance() -> None:
    assert is_silent(Content_Type="text/html", Vary="Cookie", X_Frame_Options="DENY")
    assert not is_silent(Content_Type="text/html", Cache_Control="max-age=60")
    assert not is_silent(ETag='"a"')
    assert not is_silent(status=404)


SAID = {
    "Cache_Control": ["max-age=60", "public", "no-store", "private"],
    "CDN_Cache_Control": ["max-age=60"],
    "WSGIStack_Cache_Control": ["max-age=60"],
    "Content_Encoding": ["gzip"],
    "Content_Type": ["text/html"],
    "Date": ["Sun, 06 Nov 1994 08:49:37 GMT"],
    "ETag": ['"a"', 'W/"a"'],
    "Expires": ["0", "Sun, 06 Nov 2094 08:49:37 GMT"],
    "Last_Modified": ["Sun, 06 Nov 1994 08:49:37 GMT"],
    "Pragma": ["no-cache"],
    "Set_Cookie": ["a=1"],
    "Set_Cookie2": ["a=1"],
    "Vary": ["Cookie", "*", "Accept, *"],
}


@given(
    profile=st.sampled_from(sorted(PROFILES)),
    status=st.sampled_from([200, 201, 203, 206, 301, 304, 404, 500]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    asks=st.dictionaries(
        st.sampled_from(["HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL"]),
        st.sampled_from(["no-store", "max-age=0"]),
        max_size=1,
    ),
    said=st.lists(st.sampled_from(sorted(SAID)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(SAID[name]) for name in names})
    ),
    has_made_tag=st.booleans(),
)
def test_a_glance_says_no_more_than_a_closer_look(
    profile: str, status: int, method: str, asks: dict[str, str], said: dict[str, str], has_made_tag: bool
) -> None:
    head = ResponseHead(status, "Words", [(name.replace("_", "-"), value) for name, value in said.items()])
    asked = EnvironRequest({"REQUEST_METHOD": method, **asks})
    if says_nothing(asked, head, PROFILES[profile], has_made_tag=has_made_tag):
        found = refusal(profile, method, status, asks, has_made_tag, **said)
        assert found == "no-lifetime"
