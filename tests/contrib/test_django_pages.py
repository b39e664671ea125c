"""What a Django site tells the page cache of its responses."""

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from tests.cache.django_site import serving
from wsgistack.cache.voice import ENVIRON_KEY, Voice


@pytest.fixture
def client() -> Iterator[Client]:
    with serving(adapter=True) as site:
        yield Client(site)


def said(client: Client, path: str) -> str:
    voice = Voice()
    assert client.get(path, environ_overrides={ENVIRON_KEY: voice}).status_code == 200
    return voice.why


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/public", ""),
        ("/hello", ""),
        ("/stream", ""),
        ("/touched", "session"),
        ("/set-cookie", "set-cookie"),
        ("/login?name=joe", "session"),
        ("/token", "csrf-token"),
        ("/logout", "session"),
        ("/message", "messages"),
        ("/read-messages", "messages"),
        ("/navbar", "user"),
        ("/async-navbar", "user"),
    ],
)
def test_a_response_is_private_when_something_of_the_visitors_was_used(
    client: Client, path: str, why: str
) -> None:
    assert said(client, path) == why


def test_a_session_that_holds_something_is_somebodys(client: Client) -> None:
    client.get("/login?name=joe")
    assert said(client, "/hello") == "session"


def test_a_token_is_private_also_when_the_visitor_has_one(client: Client) -> None:
    client.get("/token")
    assert said(client, "/token") == "csrf-token"


def test_a_look_up_that_found_nobody_may_be_allowed() -> None:
    with serving(adapter=True, WSGISTACK_SHARE_ANONYMOUS_USER=True) as site:
        assert said(Client(site), "/navbar") == ""


def test_somebody_whom_a_look_up_found_is_never_nobody() -> None:
    with serving(adapter=True, WSGISTACK_SHARE_ANONYMOUS_USER=True) as site:
        assert said(Client(site), "/by-certificate") == "user"


def test_without_a_cache_nothing_is_said(client: Client) -> None:
    assert client.get("/token").status_code == 200


def test_somebody_elses_variable_is_left_alone(client: Client) -> None:
    other: Any = {"wsgistack": "cache"}
    assert client.get("/token", environ_overrides={ENVIRON_KEY: other}).status_code == 200
    assert other == {"wsgistack": "cache"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/stream", ""),
        ("/stream-token", "csrf-token"),
        ("/stream-user", "user"),
        ("/stream-session", "session"),
    ],
)
def test_what_is_used_while_a_body_is_sent_counts_too(client: Client, path: str, why: str) -> None:
    voice = Voice()
    client.get(path, environ_overrides={ENVIRON_KEY: voice}, buffered=True)
    assert (voice.is_private, voice.why) == (bool(why), why)
