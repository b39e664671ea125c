"""A stack is put in order, and everything that is wrong with it is said at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request

from wsgistack.components import COMPONENTS
from wsgistack.errors import ConfigurationError, UnknownName
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.rules_file import NAMES
from wsgistack.stack import wrap
from wsgistack.store.memory import MemoryStore


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def names(stack: Any) -> list[str]:
    return [name for name, _ in stack.layers]


def ask(app: Any) -> Any:
    response = Request.blank("/").get_response(app)
    response.body  # noqa: B018 - reads and closes it, as a server does
    return response


def complaint(*arguments: Any, **parts: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        wrap(hello, *arguments, **parts)
    return str(caught.value)


def test_components_stand_at_their_places() -> None:
    stack = wrap(hello, rate_limit="2/minute", request_id=True, trust=["10.0.0.0/8"])
    assert names(stack) == ["trust", "request_id", "rate_limit"]
    assert repr(stack).startswith("<Stack trust, request_id, rate_limit around <function hello")


def test_a_stack_answers() -> None:
    stack = validator(wrap(validator(hello), rate_limit="1/minute", request_id="on"))
    first, second = (ask(stack) for _ in range(2))
    assert (first.status_int, first.body, len(first.headers["X-Request-Id"])) == (200, b"hello", 32)
    assert (second.status_int, len(second.headers["X-Request-Id"])) == (429, 32)


def test_nothing_around_an_application_is_the_application() -> None:
    assert Request.blank("/").get_response(wrap(hello)).body == b"hello"


def test_a_store_is_shared_by_all_that_keep_something() -> None:
    store = MemoryStore(1_000_000)
    one, two = (wrap(hello, store=store, rate_limit="2/minute", metrics=True) for _ in range(2))
    assert [ask(app).status_int for app in (one, two, one)] == [200, 200, 429]
    one.layer("metrics").tally.bring()
    assert two.layer("metrics").tally.read()["requests|GET|429"] == 1


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("shn:///x", "wrap: store: store 'shn' is not one of"),
        (5, "wrap: store: 5 is neither a store nor the URL of one"),
    ],
)
def test_what_is_no_store_is_refused(store: object, told: str) -> None:
    assert complaint(store=store, rate_limit="1/minute").startswith(told)


def test_what_is_nearly_a_store_is_told_what_it_lacks() -> None:
    class Nearly(MemoryStore):
        cas = touch = property()  # asking for one raises AttributeError

    told = complaint(store=Nearly(1_000_000), rate_limit="1/minute")
    assert told.endswith("is neither a store nor the URL of one; of what a store has it lacks cas, touch")


@pytest.mark.parametrize("value", [False, None, "off", "no"])
def test_a_part_that_is_off_is_left_out(value: object) -> None:
    assert names(wrap(hello, {"request_id": value, "store": value})) == []


def test_a_list_is_in_its_own_order() -> None:
    stack = wrap(hello, [("compression", 9), "request_id", {"conditional": {"most_bytes": "1k"}}])
    assert names(stack) == ["compression", "request_id", "conditional"]


def test_a_layer_is_found_by_its_name() -> None:
    stack = wrap(hello, rate_limit="1/minute")
    assert isinstance(stack.layer("rate_limit"), RateLimit)
    with pytest.raises(UnknownName, match=r"the stack has no 'trust'; it has rate_limit"):
        stack.layer("trust")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stack.toml"
    path.write_text('[wsgistack]\nrate_limit = "1/minute"\n[wsgistack.compression]\nleast_bytes = "1k"\n')
    assert names(wrap(hello, path)) == ["rate_limit", "compression"]
    assert names(wrap(hello, str(path), request_id=True)) == ["request_id", "rate_limit", "compression"]


def test_rules_come_as_objects_or_as_mappings() -> None:
    rules = [Rule("all", "5/minute"), {"name": "login", "rate": "1/minute", "path": "/login"}]
    stack = wrap(hello, rate_limit={"rules": rules})
    statuses = [Request.blank("/login").get_response(stack).status_int for _ in range(2)]
    assert statuses == [200, 429]


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    told = complaint(
        {
            "rate_limt": "1/minute",
            "compression": {"level": 10, "lest_bytes": 5},
            "request_id": {"respond": "maybe"},
        },
        buckets={"split": "beta 5%", "secret": "short"},
    )
    assert told.splitlines() == [
        "wrap: 5 errors",
        f"  component 'rate_limt' is not one of {', '.join(COMPONENTS.names())} (did you mean 'rate_limit'?)",
        "  compression: level: 10 is above 9",
        "  compression: Unknown compression parameter 'lest_bytes' (did you mean 'least_bytes'?)",
        "  request_id: Expecting boolean value for parameter 'respond', on or off, not 'maybe'",
        "  buckets: secret: 5 characters; it takes 16 that nobody can guess",
    ]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("/no/such.toml", "wrap: /no/such.toml: No such file or directory"),
        ("/dev/zero", "wrap: /dev/zero: not a regular file"),
        (5, "wrap: 5 is no mapping, no list and no path of a TOML file"),
        ([5], "wrap: 5 is neither a component's name nor a pair of name and value"),
        (["trust", "trust"], "wrap: trust: stands there twice"),
        (
            ["rate_limit", "trust"],
            "wrap: 2 errors\n  trust has to stand outside of rate_limit, else all clients of a proxy",
        ),
        (
            {"rate_limit": {"rules": [{"nam": "x"}]}},
            "wrap: 2 errors\n  rate_limit: rules: rule 1: 'nam' is not one of name, rate, ",
        ),
        (
            {"compression": {"level": True}},
            "wrap: compression: Expecting integer value for parameter 'level', not True",
        ),
        ({"trust": {"trusted": ["10.0.0.0/33"]}}, "wrap: trust: trusted: '10.0.0.0/33' is not a network"),
        ({5: True}, "wrap: component '5' is not one of access_log, "),
        ({"compression": {5: True}}, "wrap: compression: Unknown compression parameter '5'"),
        ("a\0b", "wrap: a\0b: "),  # what is wrong with it every Python says in its own words
        ([("store", "memory://"), ("store", "memory://")], "wrap: store: stands there twice"),
        (
            ["page_cache", "request_id"],
            "wrap: request_id has to stand outside of page_cache, else a stored page would carry the name",
        ),
        (
            ["metrics", "trust"],
            "wrap: trust has to stand outside of metrics, else whoever comes by a proxy of this machine",
        ),
        (
            {
                "buckets": {"split": "a 5%", "secret": "0123456789abcdef"},
                "page_cache": {"key_cookies": ["b"]},
            },
            "wrap: page_cache: key_cookies: ['b'] is not {name: the values that count}",
        ),
        (
            {"rate_limit": {"rules": [5]}},
            "wrap: rate_limit: rules: 5 is neither a Rule nor a mapping of what",
        ),
        (
            {"rate_limit": {"rules": [{"name": "x", "rate": 5}]}},
            "wrap: rate_limit: rules: rule x: rate: 5 is not a text such as '100/minute'",
        ),
        (
            {"rate_limit": {"rate": "1/s", "key": "REMOTE_USER"}},
            "wrap: rate_limit: key: 'REMOTE_USER' is not one of ip, everybody, network, header:NAME, environ:NAME",
        ),
        ("", "wrap: '' is no mapping, no list and no path of a TOML file"),
        (b"trust", "wrap: b'trust' is no mapping, no list and no path of a TOML file"),
        ({"metrics": {"path": ""}}, "wrap: metrics: path: '' does not begin with /"),
        ({"metering": {"name": ""}}, "wrap: metering: name: '' is what rows can not be called"),
        ({"metering": "/dev/null/usage"}, "wrap: metering: folder: /dev/null/usage: "),
        ({"buckets": "beta 5%"}, "wrap: buckets: secret: none is given; it takes 16 characters that"),
        (
            {"page_cache": {"keep": -5}},
            "wrap: page_cache: Expecting duration value for parameter 'keep', such as 5, 5s, 200ms, 2m or 1h, not -5",
        ),
        ({"page_cache": {"is_personal": 5}}, "wrap: page_cache: is_personal: 5 can not be called"),
        ({"page_cache": {"now": "5"}}, "wrap: page_cache: now: '5' is a text, and only a Python object"),
    ],
)
def test_what_can_not_be_meant_is_refused(config: object, told: str) -> None:
    assert complaint(config).startswith(told)


def test_everything_that_is_wrong_with_a_list_is_told_at_once() -> None:
    assert complaint([5, "request_id", ("trust",), {"a": 1, "b": 2}, "compresion"]).splitlines()[:4] == [
        "wrap: 4 errors",
        "  5 is neither a component's name nor a pair of name and value",
        "  ('trust',) is neither a component's name nor a pair of name and value",
        "  {'a': 1, 'b': 2} is neither a component's name nor a pair of name and value",
    ]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"trust": ["a", "10.0.0.0/8", "b"]},
            [
                "trust: trusted: 'a' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
                "trust: trusted: 'b' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
            ],
        ),
        (
            {"metrics": {"path": "x", "allow": "a, b"}},
            [
                "metrics: allow: 'a' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
                "metrics: allow: 'b' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
                "metrics: path: 'x' does not begin with /",
            ],
        ),
        (
            {"metering": {"path": "x", "keep": "1s", "by": "X", "key": str, "allow": ["::1"]}},
            [
                "metering: path: 'x' does not begin with /",
                "metering: keep: 1 seconds; the shortest is an hour",
                "metering: by and key: both say what is counted by",
            ],
        ),
        (
            {"rate_limit": {"rate": "5/minte", "rules": [5, {"nam": 1}]}},
            [
                "rate_limit: '5/minte', column 3: met 'minte', expected a unit of time such as 'minute' (did you mean 'minute'?)",
                "rate_limit: rules: 5 is neither a Rule nor a mapping of what one has",
                f"rate_limit: rules: rule 2: 'nam' is not one of {', '.join(NAMES)}, exempt (did you mean 'name'?)",
                "rate_limit: rules: rule 2: no 'rate'",
            ],
        ),
        (
            {"buckets": {"split": "beta 500%", "secret": "short", "cookie": "a b", "by": "HTTP_X"}},
            [
                "buckets: split: 'beta 500%' takes more than all, which is 100%",
                "buckets: secret: 5 characters; it takes 16 that nobody can guess",
                "buckets: cookie: 'a b' is not a name of letters, digits, '_', '.' and '-'",
                "buckets: by: HTTP_X is written by the client",
            ],
        ),
    ],
    ids=["trust", "metrics", "metering", "rate_limit", "buckets"],
)
def test_everything_that_is_wrong_in_one_component_is_told_at_once(
    parts: dict[str, object], told: list[str]
) -> None:
    assert complaint(**parts).splitlines() == [f"wrap: {len(told)} errors", *(f"  {one}" for one in told)]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"rate_limit": {"rate": 5}},
            "Expecting a text for parameter 'rate', not 5",
        ),
        ({"rate_limit": {"rat": "5/s"}}, "Unknown rate_limit parameter 'rat' (did you mean 'rate'?)"),
        (
            {"buckets": {"split": "beta 5%", "secret": 5}},
            "Expecting a text for parameter 'secret', not int",
        ),
        (
            {"buckets": {"split": 5, "secret": "0123456789abcdef"}, "page_cache": True},
            "Expecting a text for parameter 'split', not 5",
        ),
    ],
    ids=["a rate", "a misspelt rate", "a secret", "a split"],
)
def test_what_could_not_be_read_is_not_told_to_be_missing(parts: dict[str, object], told: str) -> None:
    assert complaint(**parts) == f"wrap: {next(iter(parts))}: {told}"


def test_more_buckets_than_the_page_cache_keeps_apart_are_refused() -> None:
    splits = "; ".join(f"s{number}: a 5%" for number in range(7))
    buckets = {"split": splits, "secret": "0123456789abcdef"}
    assert names(wrap(hello, buckets=buckets)) == ["buckets"]
    told = "wrap: buckets: split: 128 combinations of buckets; the page cache keeps at most 64"
    assert complaint(buckets=buckets, page_cache=True) == told


def test_a_component_s_own_store_is_not_the_common_one() -> None:
    common = MemoryStore(1_000_000)
    limits = [{"rate": "1/minute", "store": MemoryStore(1_000_000)} for _ in range(2)]
    assert [ask(wrap(hello, store=common, rate_limit=limit)).status_int for limit in limits] == [200, 200]


def test_a_file_may_be_about_nothing_else_and_words_are_read_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "stack.toml"
    path.write_text('compression = "ON"\n')
    assert names(wrap(hello, path)) == ["compression"]


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stack.toml"
    path.write_text("rate_limit = \n")
    assert complaint(path).startswith(f"wrap: {path}: Invalid value (at line 1, column 14)")


def test_only_a_callable_is_wrapped() -> None:
    with pytest.raises(ConfigurationError, match=r"'app' is not a WSGI application"):
        wrap("app")  # type: ignore[arg-type]


def test_the_defaults_of_settings_are_those_of_the_components() -> None:
    differing = []
    for name, component in COMPONENTS:
        signature = inspect.signature(component.make).parameters
        for row in component.settings:
            if row.name in signature and signature[row.name].default != row.default:
                differing.append((name, row.name))
    assert differing == []


def test_a_server_that_takes_the_head_too_early_gets_it_early() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"hello"

    told: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None, /) -> Any:
        told.append(status)

    for software, heads in (("Granian", ["200 OK"]), ("gunicorn/26.0", [])):
        told.clear()
        environ = {"REQUEST_METHOD": "GET", "SERVER_SOFTWARE": software}
        body = wrap(app, conditional=True)(environ, start_response)
        assert told == heads
        assert b"".join(body) == b"hello"
        assert told == ["200 OK"]


@pytest.mark.parametrize(("software", "several"), [("Granian", True), ("gunicorn/26.0", False)])
def test_a_server_that_hides_its_processes_is_taken_for_several(software: str, several: bool) -> None:
    seen: list[object] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["wsgi.multiprocess"])
        return list(hello(environ, start_response))

    wrap(app, request_id=True)(
        {"REQUEST_METHOD": "GET", "SERVER_SOFTWARE": software, "wsgi.multiprocess": False},
        lambda status, headers, exc_info=None: lambda data: None,
    )
    assert seen == [several]


def test_an_empty_text_in_a_file_is_nothing() -> None:
    stack = wrap(hello, metering={"path": "", "allow": ""}, compression={"codings": ""})
    assert Request.blank("/usage", {"REMOTE_ADDR": "127.0.0.1"}).get_response(stack).body == b"hello"


def test_a_complaint_tells_no_secret() -> None:
    told = complaint(buckets={"split": "beta 5%", "secret": b"hunter2hunter2hunter2"})
    assert told == "wrap: buckets: Expecting a text for parameter 'secret', not bytes"
    assert "hunter2" not in complaint(page_cache={"secret": ["hunter2"]})
