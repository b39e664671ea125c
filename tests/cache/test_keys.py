"""Keys: no two different requests share one, and what can be read in two ways has none.

WSGISTACK_LONG=1000000 sets the number of fuzzed pairs of neighbours.
"""

import os
import random
from typing import Any

import pytest

from wsgistack.cache.keys import IGNORED_PARAMETERS, Names, Target, find_target, frame, make_key
from wsgistack.errors import ConfigurationError
from wsgistack.wsgi import EnvironRequest

PAIRS = int(os.environ.get("WSGISTACK_LONG", "3000"))
IGNORED = Names(IGNORED_PARAMETERS, setting="ignored_parameters")
NONE = Names([], setting="ignored_parameters")


def asked(path: str = "/", query: str = "", host: str = "example.com", **more: Any) -> EnvironRequest:
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "SCRIPT_NAME": "", "PATH_INFO": path}
    return EnvironRequest(environ | {"QUERY_STRING": query, "HTTP_HOST": host} | more)


def target(request: EnvironRequest, hosts: Names | None = None) -> Target | str:
    return find_target(request, hosts=hosts, ignored=IGNORED)


def test_a_target_is_what_is_asked_for() -> None:
    assert target(asked("/a/b", "x=1&y=2")) == Target("http", "example.com", "/a/b", "x=1&y=2")


def test_its_url_is_absolute() -> None:
    assert Target("https", "example.com:8443", "/a", "b").url == "https://example.com:8443/a?b"
    assert Target("http", "example.com", "/", "").url == "http://example.com/"


@pytest.mark.parametrize(
    ("scheme", "host", "expected"),
    [
        ("http", "Example.COM", "example.com"),
        ("http", "example.com:80", "example.com"),
        ("https", "example.com:443", "example.com"),
        ("https", "example.com:80", "example.com:80"),
        ("http", "example.com:", "example.com"),
        ("http", "example.com.", "example.com"),
        ("http", "example.com:08080", "example.com:8080"),
        ("http", "[2001:DB8::1]:80", "[2001:db8::1]"),
        ("http", "10.0.0.1:8080", "10.0.0.1:8080"),
    ],
    ids=["case", "port 80", "port 443", "another's port", "no port", "last dot", "zeros", "IPv6", "IPv4"],
)
def test_hosts_that_are_the_same_have_one_name(scheme: str, host: str, expected: str) -> None:
    found = target(asked(host=host, **{"wsgi.url_scheme": scheme}))
    assert isinstance(found, Target)
    assert found.host == expected


@pytest.mark.parametrize(
    "host",
    [
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "",
        "ex\xe4mple.com",
        "a:b",
        "a:99999",
        "a:0",
        "-a",
        "a\0",
        "a" * 300,
        "a?b",
    ],
)
def test_a_malformed_host_is_not_cached(host: str) -> None:
    assert target(asked(host=host, SERVER_NAME="", SERVER_PORT="")) == "host"


def test_only_allowed_hosts_are_cached() -> None:
    hosts = Names(["example.com", "*.example.org", "other.net:8080"], setting="hosts")
    allowed = ["example.com", "example.com:8080", "www.example.org", "other.net:8080"]
    assert [name for name in allowed if target(asked(host=name), hosts) == "host"] == []
    assert target(asked(host="evil.com"), hosts) == "host"
    assert target(asked(host="other.net"), hosts) == "host"


@pytest.mark.parametrize(
    "path",
    [
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a\\b",
        "/a%00",
        "/./a",
        "/a/../b",
        "/a/..",
        "/%2e%2E/a",
        "/a/.;x/b",
        "/a b",
        "*",
        "a",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_not_cached(path: str) -> None:
    assert target(asked("/decoded", RAW_URI=path)) == "path"


def test_without_a_raw_path_the_decoded_one_is_looked_at() -> None:
    assert target(asked("/a/../b")) == "path"
    assert target(asked("/a\0b")) == "path"
    assert target(asked("/a b")) == Target("http", "example.com", "/a%20b", "")


def test_the_raw_path_is_the_key() -> None:
    found = target(asked("/\xc3\xa9", RAW_URI="/%C3%A9?x=1"))
    assert found == Target("http", "example.com", "/%C3%A9", "")


def test_a_raw_target_in_absolute_form_is_understood() -> None:
    assert target(asked("/a", RAW_URI="http://example.com/a?b")) == Target("http", "example.com", "/a", "")


def test_a_request_that_a_middleware_moved_has_both_paths_in_its_key() -> None:
    moved = target(asked("/en/a", RAW_URI="/a"))
    plain = target(asked("/a", RAW_URI="/a"))
    assert moved == Target("http", "example.com", "/a", "", "/en/a")
    assert isinstance(moved, Target)
    assert isinstance(plain, Target)
    assert make_key(moved) != make_key(plain)


def test_what_is_too_long_is_not_cached() -> None:
    assert target(asked("/" + "a" * 8192)) == "length"
    assert target(asked("/", "a" * 8192)) == "length"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1&b=2", "a=1&b=2"),
        ("b=2&a=1", "b=2&a=1"),
        ("utm_source=x&a=1&utm_medium=y", "a=1"),
        ("utm_source=x", ""),
        ("utm%5Fsource=x&a=1", "a=1"),
        ("gclid=1&gclidx=2", "gclidx=2"),
        ("utm_x=1;id=5&a=1", "a=1"),
        ("id=5;utm_x=1", "id=5;utm_x=1"),
        ("a=1&&b", "a=1&&b"),
        ("UTM_source=x", "UTM_source=x"),
    ],
    ids=[
        "none",
        "order counts",
        "campaign",
        "nothing left",
        "encoded",
        "exact",
        "cloaked",
        "cloaking",
        "empty",
        "case",
    ],
)
def test_ignored_parameters_are_not_in_the_key(query: str, expected: str) -> None:
    found = target(asked("/", query))
    assert isinstance(found, Target)
    assert found.query == expected


def test_a_key_fits_memcached_and_its_frame_says_everything() -> None:
    key = make_key(Target("http", "example.com", "/a", "b=1"), (("cookie:beta", "on"), ("x", None)))
    assert key.full == b"1:10:4:read4:http11:example.com2:/a3:b=1-2.11:cookie:beta2:on1:x-"
    assert key.text.startswith("p:")
    assert len(key.text) == 42


def test_a_variant_has_another_key_than_the_url() -> None:
    url = Target("http", "a", "/", "")
    keys = {
        make_key(url).text,
        make_key(url, (), ()).text,
        make_key(url, (), (("accept", None),)).text,
        make_key(url, (), (("accept", ""),)).text,
        make_key(url, (("accept", ""),)).text,
        make_key(url, space="b").text,
        make_key(url, method_class="write").text,
    }
    assert len(keys) == 7


def test_no_two_different_requests_share_a_key_in_fuzzed_pairs() -> None:
    """2 * 10^4 different requests are 2 * 10^8 pairs; their parts are made to run into each other."""
    rng = random.Random(9111)
    words = ["", "-", "0:", "1:a", "a", "/", "/a", ":", ".", "1.", "v1.", "2:-", "\xe9", "a=1", "&", "4:read"]

    def text() -> str:
        return "".join(rng.choices(words, k=rng.randrange(4)))

    def said() -> str | None:
        return None if rng.random() < 0.3 else text()

    def pairs() -> tuple[tuple[str, str | None], ...]:
        return tuple([(text(), said()) for _ in range(rng.randrange(3))])

    def request() -> tuple[Any, ...]:
        variant = None if rng.random() < 0.3 else pairs()
        return Target(text(), text(), text(), text(), said()), pairs(), variant, text()

    requests = {request() for _ in range(20_000)}
    keys = {make_key(url, more, variant, space=space) for url, more, variant, space in requests}
    assert len(requests) > 19_000
    assert len({key.text for key in keys}) == len({key.full for key in keys}) == len(requests)


Parts = list[str | None]
EDGES = [
    "",
    "-",
    "0:",
    "1:a",
    "a",
    "/",
    "/a",
    ":",
    ".",
    "1.",
    "v1.",
    "2:-",
    "\xe9",
    "a=1",
    "&",
    "4:read",
    "2:",
    "1",
]


def parts_of(rng: random.Random) -> Parts:
    """Return a request in parts: five of the target, then names and values, dimensions before selecting."""
    made: Parts = ["".join(rng.choices(EDGES, k=rng.randrange(4))) for _ in range(5 + 2 * rng.randrange(4))]
    if rng.random() < 0.5:
        made[4] = None
    return made


def neighbour_of(parts: Parts, rng: random.Random) -> Parts:
    """Return the parts with one edge moved: what a key without lengths could not tell apart."""
    made = list(parts)
    at = rng.randrange(len(made) - 1)
    one, other = made[at] or "", made[at + 1] or ""
    whole = one + rng.choice(["", "", *EDGES]) + other
    cut = rng.randrange(len(whole) + 1)
    made[at], made[at + 1] = whole[:cut], whole[cut:]
    if len(made) > 5 and rng.random() < 0.2:
        made[-1] = None if made[-1] == "" else ""
    return made


def key_of(parts: Parts, split: int) -> tuple[Any, str]:
    """Return the request that *parts* mean and its key; *split*: how many pairs are dimensions."""
    scheme, host, path, query, seen = parts[:5]
    pairs = tuple([(parts[n] or "", parts[n + 1]) for n in range(5, len(parts), 2)])
    url = Target(scheme or "", host or "", path or "", query or "", seen)
    return (url, pairs[:split], pairs[split:]), make_key(url, pairs[:split], pairs[split:]).text


def test_no_neighbours_share_a_key_in_fuzzed_pairs() -> None:
    rng, different = random.Random(5), 0
    while different < PAIRS:
        parts = parts_of(rng)
        one, its_key = key_of(parts, rng.randrange(4))
        other, others_key = key_of(neighbour_of(parts, rng), rng.randrange(4))
        different += one != other
        assert (its_key == others_key) is (one == other), (one, other)


def test_a_frame_tells_absent_from_empty() -> None:
    assert frame("ab", None, "") == "2:ab-0:"


@pytest.mark.parametrize("patterns", ["utm_*", [""], [3]], ids=repr)
def test_names_that_cannot_be_meant_are_refused(patterns: Any) -> None:
    with pytest.raises(ConfigurationError, match="ignored_parameters: "):
        Names(patterns, setting="ignored_parameters")


def test_no_names_are_nothing() -> None:
    assert not NONE
    assert "a" not in NONE
