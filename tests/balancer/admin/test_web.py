"""The pages of an admin port, as a WSGI application without a server."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from tests.balancer.stage import Stage
from wsgistack.balancer.admin.access import Attempts
from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.admin.web import DOOR, Pages
from wsgistack.balancer.events import Log
from wsgistack.balancer.language.replies import Reply
from wsgistack.balancer.language.session import Session

ADMIN, READER = "the-administrator", "whoever-may-read"
TOKENS = (f"SET admin.admin_token = {ADMIN}", f"SET admin.readonly_token = {READER}")
JSON = "application/json"


class Site:
    """The admin pages of the manual's site, with a view that tests write."""

    def __init__(self, *lines: str, peer: str = "127.0.0.1:4000") -> None:
        self.stage = Stage()
        self.stage.make_site()
        self.stage.do(*lines)
        self.reason = ""
        log = Log(lambda line: None, clock=lambda: 0.0)
        settings = lambda: self.stage.control.service("admin").settings
        self._door = Door("admin", peer, settings, Attempts(), lambda: 0.0, log)
        self._client = Client(Pages(self, self.perform))

    def perform(self, line: str, session: Session) -> Reply:
        return self.stage.control.run(line, session, 0.0)

    def state(self) -> dict[str, Any]:
        return {"pools": {}}

    def metrics(self, accept: str) -> tuple[bytes, str]:
        return b"m 1\n", f"text/plain; for={accept}"

    def unready(self) -> str:
        return self.reason

    def open(self, path: str, method: str = "GET", **given: Any) -> TestResponse:
        """Return the response; Host is 127.0.0.1:60000 unless given."""
        given.setdefault("base_url", "http://127.0.0.1:60000")
        return self._client.open(path, method=method, environ_overrides={DOOR: self._door}, **given)

    def run(self, body: object, **given: Any) -> tuple[int, Any]:
        """Return status and JSON of POST /admin/run."""
        given.setdefault("content_type", JSON)
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        response = self.open("/admin/run", "POST", data=data, **given)
        return response.status_code, response.get_json()


def test_a_line_is_run_and_answered() -> None:
    site = Site()
    assert site.run({"line": "show pool"}) == (
        200,
        {"ok": True, "line": "show pool", "lines": ["mypool nodes 2", "mypool services 1"], "error": None},
    )
    assert site.run({"line": "create pool x"}) == (
        200,
        {"ok": True, "line": "create pool x", "lines": [], "error": None},
    )
    assert site.stage.control.snapshot.pools["x"].nodes == ()


def test_a_refused_line_is_a_400_with_its_error() -> None:
    assert Site().run({"line": "show pool nope"}) == (
        400,
        {"ok": False, "line": "show pool nope", "lines": [], "error": "pool 'nope' does not exist"},
    )


def test_lines_share_a_session_and_stop_at_the_first_error() -> None:
    site = Site()
    status, said = site.run({"lines": ["use mysite", "set buffer_size = 1k", "frob", "create pool x"]})
    assert status == 400
    assert [(reply["line"], reply["ok"]) for reply in said["replies"]] == [
        ("use mysite", True),
        ("set buffer_size = 1k", True),
        ("frob", False),
    ]
    assert (said["ok"], said["replies"][2]["error"]) == (False, "unknown command: frob")
    assert site.stage.control.snapshot.services["mysite"].settings["buffer_size"] == 1024
    assert site.run({"lines": []}) == (200, {"ok": True, "replies": []})


@pytest.mark.parametrize(
    ("token", "line", "status"),
    [
        (None, "show pool", 401),
        ("wrong-wrong-wrong-wrong", "show pool", 401),
        (READER, "show pool", 200),
        (READER, "create pool x", 403),
        (ADMIN, "create pool x", 200),
    ],
)
def test_a_token_says_what_may_be_run(token: str | None, line: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    site = Site(*TOKENS)
    response = site.open("/admin/run", "POST", json={"line": line}, headers=headers)
    assert response.status_code == status
    assert (response.headers.get("WWW-Authenticate") == "Bearer realm=wsgistack") is (status == 401)
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("shown", ["Basic dGhlLWFkbWluaXN0cmF0b3I=", ADMIN, "Bearer", "Bearer ", "\xff"])
def test_a_token_that_is_not_shown_as_bearer_is_none(shown: str) -> None:
    response = Site(*TOKENS).open("/admin/state", headers={"Authorization": shown})
    assert response.status_code == 401


def test_a_guesser_has_to_wait() -> None:
    site = Site(*TOKENS)
    statuses = [
        site.open("/admin/state", headers={"Authorization": "Bearer guess"}).status_code for _ in range(6)
    ]
    assert statuses == [401] * 5 + [429]
    response = site.open("/admin/state", headers={"Authorization": f"Bearer {ADMIN}"})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "61")


def test_probes_need_no_token() -> None:
    site = Site(*TOKENS)
    assert site.open("/healthz").get_json() == {"ok": True}
    assert site.open("/ready").get_json() == {"ok": True}
    site.reason = "shutting down"
    response = site.open("/ready")
    assert (response.status_code, response.get_json()) == (503, {"ok": False, "error": "shutting down"})
    assert site.open("/admin/state").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:60000", 200),
        ("[::1]:60000", 200),
        ("10.1.2.3", 200),
        ("localhost:60000", 200),
        ("LOCALHOST", 200),
        ("rebound.example", 403),
        ("rebound.example:60000", 403),
        ("127.0.0.1.example", 403),
        ("localhost.example", 403),
        ("", 403),
    ],
)
def test_a_rebound_name_is_not_answered(host: str, status: int) -> None:
    site = Site()
    assert site.open("/admin/state", headers={"Host": host}).status_code == status
    assert site.open("/healthz", headers={"Host": host}).status_code == status


def test_the_operator_may_give_it_names() -> None:
    site = Site("SET admin.admin_hosts = lb.example, Other.example")
    assert site.open("/admin/state", headers={"Host": "LB.example:60000"}).status_code == 200
    assert site.open("/admin/state", headers={"Host": "other.example"}).status_code == 200
    assert site.open("/admin/state", headers={"Host": "lb.example.org"}).status_code == 403


def test_over_a_unix_socket_the_host_is_not_asked_for() -> None:
    assert Site(peer="unix").open("/admin/state", headers={"Host": "admin"}).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "multipart/form-data; boundary=x"}, 415),
        ({"content_type": ""}, 415),
        ({"headers": {"Origin": "http://evil.example"}}, 403),
        ({"headers": {"Origin": "null"}}, 403),
        ({"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ({"headers": {"Sec-Fetch-Site": "same-site"}}, 403),
        ({"headers": {"Origin": "http://127.0.0.1:60000", "Sec-Fetch-Site": "same-origin"}}, 200),
        ({"content_type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_what_a_foreign_page_can_send_changes_nothing(given: dict[str, Any], status: int) -> None:
    site = Site()
    assert site.run({"line": "create pool x"}, **given)[0] == status
    assert ("x" in site.stage.control.snapshot.pools) is (status == 200)


def test_nobody_is_told_that_a_foreign_page_may_read() -> None:
    site = Site()
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    response = site.open("/admin/run", "OPTIONS", headers=asked)
    assert response.status_code == 405
    assert not [name for name in response.headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 10_000,
        b"null",
        b"[]",
        b'"uptime"',
        b"{}",
        b'{"line": 1}',
        b'{"line": null}',
        b'{"lines": "uptime"}',
        b'{"lines": [1]}',
        b'{"line": "uptime", "lines": []}',
        b'{"line": "a\\nb"}',
        b'{"line": "' + b"a" * 8193 + b'"}',
        b'{"lines": [' + b'"",' * 1000 + b'""]}',
        b'{"line": "\\ud800"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_command_is_a_400(body: bytes) -> None:
    status, said = Site().run(body)
    assert (status, said["ok"]) == (400, False)
    assert said["error"]


def test_a_huge_body_is_a_413() -> None:
    assert Site().run(b"x" * (1024 * 1024 + 1))[0] == 413


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/admin/run", "GET", 405),
        ("/admin/state", "POST", 405),
        ("/admin/state", "HEAD", 200),
        ("/admin/run/", "POST", 404),
        ("/%00", "GET", 404),
        ("/../etc/passwd", "GET", 404),
    ],
)
def test_what_is_not_there_is_said_in_json(path: str, method: str, status: int) -> None:
    response = Site().open(path, method)
    assert response.status_code == status
    assert response.headers["Content-Type"] == JSON
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@settings(deadline=None)  # a busy machine
@given(st.binary(max_size=200), st.sampled_from(["GET", "POST", "PUT", "FROB"]), st.text(max_size=30))
def test_no_body_and_no_path_ends_in_an_exception(body: bytes, method: str, path: str) -> None:
    response = Site().open("/" + path.lstrip("/"), method, data=body, content_type=JSON)
    assert response.status_code in (200, 400, 403, 404, 405, 415, 503)
