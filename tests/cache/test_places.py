"""Places that are remembered are those that would be found."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.cache import places
from wsgistack.cache.found import Place
from wsgistack.cache.keys import IGNORED_PARAMETERS, Names, find_target
from wsgistack.cache.places import Places
from wsgistack.wsgi import EnvironRequest

IGNORED = Names(IGNORED_PARAMETERS, setting="ignored_parameters")
ASKED = {
    "HTTP_HOST": "example.com",
    "PATH_INFO": "/a",
    "QUERY_STRING": "x=1",
    "SCRIPT_NAME": "",
    "wsgi.url_scheme": "http",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
}
OTHERS = {
    "HTTP_HOST": "other.example",
    "PATH_INFO": "/b",
    "QUERY_STRING": "x=2",
    "RAW_URI": "/c?x=1",
    "REQUEST_URI": "/d?x=1",
    "SCRIPT_NAME": "/mount",
    "wsgi.url_scheme": "https",
}


def find(
    known: Places, environ: dict[str, Any], dimensions: tuple[tuple[str, str | None], ...] = ()
) -> Place | str:
    return known.find(EnvironRequest(environ), dimensions)


def test_a_place_is_found_once() -> None:
    known = Places(None, IGNORED)
    first = find(known, ASKED)
    assert first == Place(find_target(EnvironRequest(ASKED), ignored=IGNORED), ())  # type: ignore[arg-type]  # it is one
    assert find(known, dict(ASKED)) is first


@pytest.mark.parametrize("name", OTHERS)
def test_who_asks_for_something_else_gets_another_place(name: str) -> None:
    known = Places(None, IGNORED)
    other = ASKED | {name: OTHERS[name]}
    assert find(known, ASKED) != find(known, other)
    assert find(known, other) == find(Places(None, IGNORED), other)


@pytest.mark.parametrize("name", ["SERVER_NAME", "SERVER_PORT"])
def test_without_a_host_the_server_counts(name: str) -> None:
    known, asked = Places(None, IGNORED), ASKED | {"HTTP_HOST": ""}
    assert find(known, asked) != find(known, asked | {name: "8080"})


def test_other_visitors_have_another_place() -> None:
    known = Places(None, IGNORED)
    assert find(known, ASKED, (("cookie:beta", "on"),)) != find(known, ASKED, (("cookie:beta", None),))


def test_what_has_no_place_is_told_each_time() -> None:
    known = Places(Names(["example.com"], setting="hosts", caseless=True), IGNORED)
    assert [find(known, ASKED | {"HTTP_HOST": "other.example"}) for _ in range(2)] == ["host", "host"]


def test_what_is_long_is_not_remembered() -> None:
    known, long = Places(None, IGNORED), ASKED | {"QUERY_STRING": "x" * 512}
    assert find(known, long) == find(known, long)
    assert find(known, long) is not find(known, long)


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_PLACES", 2)
    known = Places(None, IGNORED)
    first = find(known, ASKED)
    assert find(known, ASKED) is first
    for path in ("/b", "/c"):
        find(known, ASKED | {"PATH_INFO": path})
    assert find(known, ASKED) is not first
