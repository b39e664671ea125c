"""Whose word about the client is taken, by tables."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.components.trust import Trust
from wsgistack.errors import SettingError

OURS = ["10.0.0.0/8", "192.0.2.9"]


def seen(options: dict[str, Any] | None = None, /, **variables: str) -> dict[str, str]:
    environ: dict[str, Any] = {
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_HOST": "proxy",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "inside:8000",
        "SERVER_PORT": "8000",
        **variables,
    }
    kept: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        kept.update(environ)
        return []

    Trust(app, **{"trusted": OURS, **(options or {})})(environ, lambda *arguments: lambda data: None)
    return kept


def test_a_trusted_peer_is_believed() -> None:
    got = seen(
        HTTP_X_FORWARDED_FOR="198.51.100.7",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="example.org",
    )
    assert {name: got[name] for name in ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT")} == {
        "REMOTE_ADDR": "198.51.100.7",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "example.org",
        "SERVER_PORT": "443",
    }
    assert (got["HTTP_X_FORWARDED_FOR"], got["HTTP_X_FORWARDED_PROTO"]) == ("198.51.100.7", "https")
    assert got["wsgistack.peer"] == "10.0.0.1"
    assert "REMOTE_HOST" not in got


@pytest.mark.parametrize("peer", ["198.51.100.7", "", "unknown", "2001:db8::1"])
def test_of_a_stranger_every_such_field_is_dropped(peer: str) -> None:
    fields = {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_X_FORWARDED_PREFIX": "/admin",
        "HTTP_X_REAL_IP": "127.0.0.1",
        "HTTP_FORWARDED": "for=127.0.0.1",
        "HTTP_X_ORIGINAL_URL": "/admin",
        "HTTP_CLIENT_CERT": ":MII=:",
    }
    got = seen(REMOTE_ADDR=peer, **fields)
    assert [name for name in fields if name in got] == []
    assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"], got["HTTP_HOST"]) == (peer, "http", "inside:8000")


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"HTTP_X_FORWARDED_FOR": "6.6.6.6, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"),
        ({"HTTP_X_FORWARDED_FOR": "6.6.6.6, 10.0.0.3, 198.51.100.7"}, "198.51.100.7"),
        ({"HTTP_X_FORWARDED_FOR": "10.0.0.4, 10.0.0.2"}, "10.0.0.4"),
        ({"HTTP_X_FORWARDED_FOR": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"HTTP_X_FORWARDED_FOR": "::ffff:198.51.100.7"}, "198.51.100.7"),
        ({"HTTP_X_FORWARDED_FOR": "garbage"}, "10.0.0.1"),
        ({"HTTP_X_FORWARDED_FOR": ""}, "10.0.0.1"),
        ({}, "10.0.0.1"),
    ],
)
def test_the_walk_ends_at_the_first_stranger(variables: dict[str, str], address: str) -> None:
    assert seen(**variables)["REMOTE_ADDR"] == address


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("https, http", "https"),  # client -> 10.0.0.2 by https, 10.0.0.2 -> 10.0.0.1 by http
        ("http, https, http", "https"),  # the first is the client's own invention
        ("ftp", "http"),
        ("https\x00", "http"),
        ("", "http"),
    ],
)
def test_the_scheme_is_that_of_the_clients_connection(proto: str, scheme: str) -> None:
    got = seen(HTTP_X_FORWARDED_FOR="198.51.100.7, 10.0.0.2", HTTP_X_FORWARDED_PROTO=proto)
    assert got["wsgi.url_scheme"] == got["HTTP_X_FORWARDED_PROTO"] == scheme


def test_the_port_is_that_of_the_scheme_that_was_told() -> None:
    for proto, port in (("https", "443"), ("http", "80"), ("ftp", "8000")):
        assert seen(HTTP_X_FORWARDED_FOR="198.51.100.7", HTTP_X_FORWARDED_PROTO=proto)["SERVER_PORT"] == port


def test_a_client_without_an_address_is_told_as_unknown() -> None:
    got = seen({"trusted": [*OURS, "unix"]}, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="unknown")
    assert (got["REMOTE_ADDR"], got["HTTP_X_FORWARDED_FOR"]) == ("", "unknown")


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("example.org", "example.org"),
        ("example.org:8443", "example.org:8443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("evil.example/path", "inside:8000"),
        ("evil.example@x", "inside:8000"),
        ("a b", "inside:8000"),
    ],
)
def test_only_a_host_is_taken_for_one(told: str, host: str) -> None:
    assert seen(HTTP_X_FORWARDED_FOR="198.51.100.7", HTTP_X_FORWARDED_HOST=told)["HTTP_HOST"] == host


def test_the_host_may_stay_as_it_is() -> None:
    got = seen({"host": False}, HTTP_X_FORWARDED_FOR="198.51.100.7", HTTP_X_FORWARDED_HOST="example.org")
    assert got["HTTP_HOST"] == "inside:8000"


def test_forwarded_is_read_where_proxies_set_that() -> None:
    got = seen(
        {"forwarded": "forwarded"},
        HTTP_FORWARDED='for=6.6.6.6;proto=http, for=198.51.100.7;proto=https;host="example.org", for=10.0.0.2;proto=http',
        HTTP_X_FORWARDED_FOR="127.0.0.1",
    )
    assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"], got["HTTP_HOST"]) == (
        "198.51.100.7",
        "https",
        "example.org",
    )
    assert got["HTTP_X_FORWARDED_FOR"] == "198.51.100.7"
    assert "HTTP_FORWARDED" not in got


def test_an_element_that_says_something_twice_is_believed_in_nothing() -> None:
    told = "for=6.6.6.6;for=198.51.100.7;proto=https;host=evil.example"
    last = seen({"forwarded": "forwarded"}, HTTP_FORWARDED=told)
    assert (last["REMOTE_ADDR"], last["wsgi.url_scheme"], last["HTTP_HOST"]) == (
        "10.0.0.1",
        "http",
        "inside:8000",
    )
    behind = seen({"forwarded": "forwarded"}, HTTP_FORWARDED=f"{told}, for=198.51.100.7;proto=https")
    assert (behind["REMOTE_ADDR"], behind["wsgi.url_scheme"]) == ("198.51.100.7", "https")


def test_a_unix_socket_is_trusted_when_that_is_said() -> None:
    assert seen({"trusted": ["unix"]}, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="198.51.100.7")[
        "REMOTE_ADDR"
    ] == ("198.51.100.7")
    assert seen({"trusted": []}, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="198.51.100.7")["REMOTE_ADDR"] == ""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"trusted": ["10.0.0.0/33"]}, "trusted: '10.0.0.0/33' is not a network"),
        ({"forwarded": "x-real-ip"}, "forwarded: 'x-real-ip' is not one of x-forwarded-for, forwarded"),
    ],
)
def test_what_can_not_be_meant_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as caught:
        Trust(lambda environ, start_response: [], **options)
    assert str(caught.value).startswith(told)
