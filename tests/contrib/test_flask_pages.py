"""What a Flask site tells the page cache of its responses."""

import pytest
from werkzeug.test import Client

from tests.cache.flask_site import make_site
from wsgistack.cache.voice import ENVIRON_KEY, Voice


@pytest.fixture
def client() -> Client:
    return Client(make_site(adapter=True))


def said(client: Client, path: str) -> str:
    voice = Voice()
    assert client.get(path, environ_overrides={ENVIRON_KEY: voice}).status_code == 200
    return voice.why


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/public", ""),
        ("/hello", ""),
        ("/in", ""),
        ("/touched", "session"),
        ("/login?name=joe", "session"),
        ("/flash", "session"),
        ("/token", "csrf-token"),
        ("/user", "user"),
    ],
)
def test_a_response_is_private_when_something_of_the_visitors_was_used(
    client: Client, path: str, why: str
) -> None:
    assert said(client, path) == why


def test_a_session_that_holds_something_is_somebodys(client: Client) -> None:
    client.get("/login?name=joe")
    assert said(client, "/public") == "session"


def test_looking_at_a_response_adds_no_vary(client: Client) -> None:
    voice = Voice()
    reply = client.get("/public", environ_overrides={ENVIRON_KEY: voice})
    assert "Vary" not in reply.headers


def test_without_a_cache_nothing_is_said(client: Client) -> None:
    assert client.get("/touched").status_code == 200


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/stream-nothing", ""),
        ("/stream-token", "csrf-token"),
        ("/stream-session", "session"),
    ],
)
def test_what_is_used_while_a_body_is_sent_counts_too(client: Client, path: str, why: str) -> None:
    voice = Voice()
    client.get(path, environ_overrides={ENVIRON_KEY: voice}, buffered=True)
    assert (voice.is_private, voice.why) == (bool(why), why)
