"""Age, lifetime, and the time past it.  RFC 9111 §4.2, RFC 5861"""

from __future__ import annotations

import pytest

from wsgistack.cache.control import control_of
from wsgistack.cache.freshness import Told, age_value, lifetime_of, make_terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.policy import PROFILES, TARGETS
from wsgistack.http.cache_control import LARGEST_SECONDS

NOW = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sun, 06 Nov 1994 08:48:37 GMT"
LATER = "Sun, 06 Nov 1994 08:50:37 GMT"
RFC9111, ANONYMOUS = PROFILES["rfc9111"], PROFILES["anonymous"]


def head(status: int = 200, /, **fields: str) -> ResponseHead:
    return ResponseHead(status, "Words", [(name.replace("_", "-"), value) for name, value in fields.items()])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("60", 60),
        (" 060 ", 60),
        ("0, 7200", 0),
        ("7200, 0", 7200),
        ("-1", 0),
        ("abc", 0),
        ("7200.0", 0),
        ("60;x=1", 0),
        ("abc, 7200", 0),
        ("2147483648", LARGEST_SECONDS),
        ("9" * 50, LARGEST_SECONDS),
    ],
)  # RFC 9111 §5.1
def test_an_age_is_the_first_number_or_nothing(value: str | None, seconds: int) -> None:
    assert age_value(value) == seconds


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        ({"Cache_Control": "max-age=60"}, 60.0),
        ({"Cache_Control": "max-age=60, s-maxage=1"}, 1.0),
        ({"Cache_Control": "max-age=60", "Expires": EARLIER, "Date": DATE}, 60.0),
        ({"Cache_Control": "max-age=x", "Expires": LATER, "Date": DATE}, 0.0),
        ({"Expires": LATER, "Date": DATE}, 60.0),
        ({"Expires": LATER, "Date": EARLIER}, 120.0),
        ({"Expires": LATER}, 60.0),
        ({"Expires": LATER, "Date": "yesterday"}, 60.0),
        ({"Expires": EARLIER, "Date": DATE}, 0.0),
        ({"Expires": "-1"}, 0.0),
        ({"Expires": f"{LATER}, {LATER}"}, 0.0),
        ({"Last_Modified": EARLIER, "Date": LATER}, 12.0),
        ({"Last_Modified": LATER, "Date": DATE}, None),
        ({"Last_Modified": "Thu, 01 Jan 1970 00:00:00 GMT", "Date": DATE}, 86_400.0),
        ({"CDN_Cache_Control": "max-age=5", "Cache_Control": "max-age=60"}, 5.0),
        ({"CDN_Cache_Control": "must-revalidate", "Cache_Control": "max-age=60", "Expires": LATER}, None),
        ({}, None),
    ],
    ids=str,
)  # RFC 9111 §4.2.1, §4.2.2, RFC 9213 §2.2
def test_a_lifetime_is_the_first_thing_said(fields: dict[str, str], lifetime: float | None) -> None:
    response = head(**fields)
    assert lifetime_of(response, control_of(response, TARGETS), received_at=NOW, policy=RFC9111) == lifetime


@pytest.mark.parametrize(
    ("status", "control", "is_heuristic"),
    [(s, "", True) for s in (200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501)]
    + [(s, "", False) for s in (201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599)]
    + [(599, "public", True)],
)  # RFC 9110 §15.1
def test_a_heuristic_is_for_statuses_that_allow_it(status: int, control: str, is_heuristic: bool) -> None:
    response = head(status, Last_Modified=EARLIER, Date=DATE, Cache_Control=control)
    met = lifetime_of(response, control_of(response, TARGETS), received_at=NOW, policy=RFC9111)
    assert met == (6.0 if is_heuristic else None)


@pytest.mark.parametrize(
    ("status", "control", "lifetime"),
    [
        (200, "", None),
        (404, "", None),
        (301, "", 6.0),
        (308, "", 6.0),
        (410, "", 6.0),
        (200, "public", 6.0),
        (200, "public, max-age=0", 0.0),
        (200, 'private="x-a"', None),
    ],
)
def test_a_page_of_an_application_must_call_itself_permanent_or_public(
    status: int, control: str, lifetime: float | None
) -> None:
    response = head(status, Last_Modified=EARLIER, Date=DATE, Cache_Control=control)
    met = lifetime_of(response, control_of(response, TARGETS), received_at=NOW, policy=ANONYMOUS)
    assert met == lifetime


@pytest.mark.parametrize("status", [301, 410])
def test_what_is_permanent_needs_to_say_since_when(status: int) -> None:
    response = head(status, Date=DATE, Cache_Control="public")
    met = lifetime_of(response, control_of(response, TARGETS), received_at=NOW, policy=ANONYMOUS)
    assert met is None


@pytest.mark.parametrize(
    ("fields", "asked_at", "age"),
    [
        ({}, NOW, 0),
        ({"Date": EARLIER}, NOW, 60),
        ({"Date": LATER}, NOW, 0),
        ({"Age": "30"}, NOW - 2, 32),
        ({"Age": "30", "Date": EARLIER}, NOW, 60),
        ({"Age": "90", "Date": EARLIER}, NOW, 90),
    ],
    ids=str,
)  # RFC 9111 §4.2.3
def test_a_response_comes_with_an_age(fields: dict[str, str], asked_at: float, age: float) -> None:
    terms = make_terms(head(**fields), RFC9111, asked_at=asked_at, received_at=NOW)
    assert terms.age(NOW) == age
    assert terms.age(NOW + 7) == age + 7
    assert terms.age(NOW - 100) == age, "a clock that was set back makes nothing younger"


@pytest.mark.parametrize(
    ("control", "asks_always", "never_stale"),
    [
        ("max-age=60", False, False),
        ("no-cache", True, True),
        ('no-cache="x-a"', False, False),
        ("must-revalidate", False, True),
        ("proxy-revalidate", False, True),
        ("s-maxage=60", False, True),
    ],
)  # RFC 9111 §4.2.4, §5.2.2
def test_some_directives_forbid_stale_use(control: str, asks_always: bool, never_stale: bool) -> None:
    terms = make_terms(head(Cache_Control=control), RFC9111, asked_at=NOW, received_at=NOW)
    assert (terms.asks_always, terms.never_stale) == (asks_always, never_stale)


def test_the_operator_goes_before_the_fields_but_not_for_errors() -> None:
    told = Told(ttl_s=300, grace_s=30)
    response = head(Cache_Control="max-age=1, s-maxage=1, stale-if-error=5", Age="100")
    terms = make_terms(response, ANONYMOUS, asked_at=NOW, received_at=NOW, told=told)
    assert (terms.lifetime_s, terms.age(NOW), terms.never_stale) == (300, 0, False)
    assert (terms.while_revalidate_s, terms.if_error_s, terms.if_down_s) == (30, 30, 30)
    assert terms.longest_s == 330
    error = make_terms(head(500), ANONYMOUS, asked_at=NOW, received_at=NOW, told=told)
    assert error.lifetime_s is None


def test_an_error_lives_ten_seconds_at_most_for_guests() -> None:
    response = head(503, Cache_Control="max-age=600")
    assert make_terms(response, ANONYMOUS, asked_at=NOW, received_at=NOW).lifetime_s == 10
    assert make_terms(response, RFC9111, asked_at=NOW, received_at=NOW).lifetime_s == 600
    gone = head(404, Cache_Control="max-age=600")
    assert make_terms(gone, ANONYMOUS, asked_at=NOW, received_at=NOW).lifetime_s == 600


@pytest.mark.parametrize("status", [400, 401, 403, 406, 429, 431, 500])
def test_no_rule_makes_an_error_that_a_client_provokes_last(status: int) -> None:
    said = make_terms(head(status), ANONYMOUS, asked_at=NOW, received_at=NOW, told=Told(ttl_s=300))
    assert said.lifetime_s is None
    own = make_terms(head(status, Cache_Control="max-age=600"), ANONYMOUS, asked_at=NOW, received_at=NOW)
    assert own.lifetime_s == 10


def test_what_must_not_be_used_stale_is_not_kept_for_that() -> None:
    response = head(Cache_Control="max-age=60, must-revalidate, stale-if-error=600")
    assert make_terms(response, RFC9111, asked_at=NOW, received_at=NOW).longest_s == 60
