"""What the application sees while a shared page is made."""

from typing import Any

from wsgistack.cache.filling import Filling
from wsgistack.cache.keys import IGNORED_PARAMETERS, Names, Target, find_target
from wsgistack.cache.personal import Anonymous, Visitors
from wsgistack.wsgi import EnvironRequest

VISITORS = Visitors(key_cookies={"beta": ["on"]})
FILLING = Filling(VISITORS)
IGNORED = Names(IGNORED_PARAMETERS, setting="ignored_parameters")
PLAIN = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/a",
    "QUERY_STRING": "x=1",
    "RAW_URI": "/a?x=1",
    "HTTP_HOST": "example.com",
    "HTTP_USER_AGENT": "curl",
    "wsgi.url_scheme": "http",
}


def seen(**more: Any) -> dict[str, Any]:
    environ = PLAIN | more
    request = EnvironRequest(environ)
    target, found = find_target(request, ignored=IGNORED), VISITORS.decide(request)
    assert isinstance(target, Target)
    assert isinstance(found, Anonymous)
    return FILLING.environ(environ, target, found)


def test_a_plain_request_is_seen_as_it_is() -> None:
    assert seen() == PLAIN


def test_ignored_cookies_are_not_seen() -> None:
    assert "HTTP_COOKIE" not in seen(HTTP_COOKIE="_ga=1")
    assert seen(HTTP_COOKIE="_ga=1; beta=on")["HTTP_COOKIE"] == "beta=on"


def test_ignored_parameters_are_not_seen_anywhere() -> None:
    made = seen(
        QUERY_STRING="utm_source=x&x=1", RAW_URI="/a?utm_source=x&x=1", REQUEST_URI="/a?utm_source=x&x=1"
    )
    assert (made["QUERY_STRING"], made["RAW_URI"], made["REQUEST_URI"]) == ("x=1", "/a?x=1", "/a?x=1")
    assert seen(QUERY_STRING="utm_source=x")["RAW_URI"] == "/a"


def test_the_host_has_one_spelling() -> None:
    assert seen(HTTP_HOST="EXAMPLE.com:80")["HTTP_HOST"] == "example.com"


def test_fields_that_poison_are_not_seen() -> None:
    poison = {
        "HTTP_X_FORWARDED_HOST": "evil",
        "HTTP_X_ORIGINAL_URL": "/admin",
        "HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE",
        "HTTP_PROXY": "http://evil",
        "HTTP_PROXY_CONNECTION": "x",
        "HTTP_FORWARDED": "host=evil",
        "HTTP_X_FORWARDED_PROTO": "evil",
    }
    assert seen(**poison) == PLAIN


def test_the_environ_that_came_is_left_as_it_is() -> None:
    environ = PLAIN | {"HTTP_COOKIE": "_ga=1", "HTTP_X_FORWARDED_HOST": "evil"}
    before = dict(environ)
    FILLING.environ(environ, Target("http", "example.com", "/a", ""), Anonymous((), None))
    assert environ == before


def test_one_look_tells_that_nothing_is_told() -> None:
    assert FILLING.telling.isdisjoint(PLAIN)
    for name in (
        "HTTP_COOKIE",
        "HTTP_AUTHORIZATION",
        "CONTENT_LENGTH",
        "REMOTE_USER",
        "HTTP_X_FORWARDED_PROTO",
    ):
        assert FILLING.telling & (PLAIN | {name: "1"}).keys() == {name}


def test_a_target_in_absolute_form_names_no_host_of_its_own() -> None:
    assert seen(RAW_URI="http://evil.example/a?x=1")["RAW_URI"] == "/a?x=1"


def test_a_content_type_of_nothing_is_not_seen() -> None:
    assert seen(CONTENT_TYPE="application/json") == PLAIN


def test_a_field_that_is_shown_or_not_by_its_value_is_looked_at_each_time() -> None:
    for _ in range(2):
        assert "HTTP_X_FORWARDED_PROTO" not in seen(HTTP_X_FORWARDED_PROTO="gopher")
        assert seen(HTTP_X_FORWARDED_PROTO="https")["HTTP_X_FORWARDED_PROTO"] == "https"


def test_the_names_that_clients_make_up_are_not_remembered_without_end() -> None:
    filling = Filling(VISITORS)
    request = PLAIN | {f"HTTP_X_{number}": "x" for number in range(5000)}
    target = find_target(EnvironRequest(PLAIN), ignored=IGNORED)
    assert isinstance(target, Target)
    assert filling.environ(request, target, VISITORS.nobody) == request
    assert len(filling._plain) <= 1024


def test_a_keyed_field_is_seen_each_time_also_where_a_pattern_withholds_its_like() -> None:
    visitors = Visitors(keyed_fields={"proxy-kind": ["a"]})
    filling, target = Filling(visitors), Target("http", "example.com", "/a", "x=1")
    for value, shown in (("b", None), ("a", "a"), ("a", "a"), ("b", None)):
        environ = PLAIN | {"HTTP_PROXY_KIND": value, "HTTP_PROXY": "evil"}
        made = filling.environ(environ, target, visitors.nobody)
        assert (made.get("HTTP_PROXY_KIND"), "HTTP_PROXY" in made) == (shown, False)
