"""Cache-Control, as written by people.  RFC 9111 §5.2, §4.2.1"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.http.cache_control import LARGEST_SECONDS, parse_cache_control


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("max-age=3600", 3600),
        ("Max-AGE=3600", 3600),
        ('max-age="3600"', 3600),
        ("max-age=003600", 3600),
        ("max-age=0", 0),
        ("foobar, max-age=60", 60),
        ("max-age=60, max-age=60", 60),
        ("max-age=99999999999999999999999", LARGEST_SECONDS),
        ("max-age=2147483649", LARGEST_SECONDS),
        ("max-age=" + "0" * 50 + "7", 7),
        ('extension="max-age=3600", max-age=1', 1),
        ("public", None),
        ("", None),
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=-1", 0),
        ("max-age=1.5", 0),
        ("max-age= 3600", 0),
        ("max-age='3600'", 0),
        ("max-age=a100", 0),
        ("max-age=100a", 0),
        ("max-age=٣", 0),
        ("max-age=1, max-age=1800", 0),
        ("max-age =60", None),
        ("max-age:60", None),
        ('x="open, max-age=60', None),
    ],
)
def test_a_time_is_digits_or_the_response_is_stale(value: str, seconds: int | None) -> None:
    assert parse_cache_control(value).seconds("max-age") == seconds


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("private", ()),
        ("Private", ()),
        ('private="Set-Cookie, X-User"', ("set-cookie", "x-user")),
        ("private=x-user", ("x-user",)),
        ('private="a", private', ()),
        ("public", None),
    ],
    ids=["all", "in capitals (CVE-2026-8404)", "two fields", "a token", "both", "absent"],
)
def test_private_is_about_all_or_about_named_fields(value: str, names: tuple[str, ...] | None) -> None:
    assert parse_cache_control(value).names("private") == names


def test_what_is_no_directive_is_stepped_over() -> None:
    directives = parse_cache_control(';;, =5, "x", no-store, \x00')
    assert "no-store" in directives
    assert repr(directives) == "Directives({'no-store': None})"


def test_a_directive_may_stand_alone() -> None:
    assert parse_cache_control("max-stale").stands_alone("max-stale")
    assert not parse_cache_control("max-stale=5").stands_alone("max-stale")
    assert not parse_cache_control(None).stands_alone("max-stale")
    assert not parse_cache_control(None)


@given(st.text(alphabet='abcmax-ge=0123456789," \t\\;\x00\xff', max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(parse_cache_control(text).seconds("max-age"), int | None)


@pytest.mark.parametrize(
    ("value", "forbids"),
    [
        ("private; max-age=60", {"private"}),
        ("max-age=60; Private", {"private"}),
        ("max-age=60 private", {"private"}),
        ("no-store;max-age=60, public", {"no-store"}),
        ("no-cache must-revalidate", {"no-cache", "must-revalidate"}),
        ("max-age=60;proxy-revalidate", {"proxy-revalidate"}),
        ('max-age=60, x="a; no-store"', set()),
        ("not-private; x", set()),
        ("private-ish; x", set()),
        ("max-age=60;", set()),
    ],
)
def test_what_forbids_is_obeyed_also_in_a_list_that_is_none(value: str, forbids: set[str]) -> None:
    directives = parse_cache_control(value)
    words = ("no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate")
    assert {word for word in words if directives.stands_alone(word)} == forbids
