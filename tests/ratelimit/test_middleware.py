"""Rate limits around WSGI applications of every shape."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request

from wsgistack.errors import RateError, SettingError
from wsgistack.ratelimit.clients import header_key
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule

NOW = 1_795_000_000_000_000


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def limited(app: Any = hello, *arguments: Any, **options: Any) -> RateLimit:
    return RateLimit(app, *arguments, now=lambda: NOW, **options)


def ask(app: Any, path: str = "/", peer: str = "192.0.2.1", method: str = "GET", **headers: str) -> Any:
    request = Request.blank(path, method=method, environ={"REMOTE_ADDR": peer})
    for name, value in headers.items():
        request.headers[name.replace("_", "-")] = value
    response = request.get_response(app)
    response.body  # noqa: B018 - reads and closes it, as a server does
    return response


def statuses(app: Any, times: int, **options: Any) -> list[int]:
    return [ask(app, **options).status_int for _ in range(times)]


def test_who_asks_too_often_is_told_so() -> None:
    app = validator(limited(validator(hello), "2/minute"))
    assert statuses(app, 3) == [200, 200, 429]
    refused = ask(app)
    assert refused.content_type == "application/problem+json"
    assert refused.headers["Retry-After"] == "30"
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["RateLimit"] == '"default";r=0;t=30'


def test_not_everybody_is_told_to_come_back_at_the_same_moment() -> None:
    """Later than there is more, never earlier; for whom waiting does not help it still does not."""
    draws = iter([0.0, 0.5, 1.0])
    app = limited(hello, "2/minute", jitter=0.2, draw=lambda: next(draws))
    statuses(app, 2)
    told = [ask(app) for _ in range(3)]
    assert [one.headers["Retry-After"] for one in told] == ["30", "33", "36"]
    assert {one.headers["RateLimit"] for one in told} == {'"default";r=0;t=30'}
    bomb = limited(hello, rules=[Rule("r", "2/minute", cost=3)], jitter=0.2)
    assert "Retry-After" not in ask(bomb).headers


def test_fields_may_come_as_servers_take_them_though_pep_3333_asks_for_a_list() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", (("Content-Type", "text/plain"),))
        return [b"hello"]

    headers = ask(limited(app, "2/minute")).headers
    assert (headers["Content-Type"], headers["RateLimit"]) == ("text/plain", '"default";r=1;t=30')


def test_who_passes_is_told_what_is_left() -> None:
    response = ask(limited(hello, "100/minute; 5/second"))
    assert response.body == b"hello"
    assert response.headers["RateLimit-Policy"] == '"default";q=100;w=60, "default-2";q=5;w=1'
    assert response.headers["RateLimit"] == '"default";r=99;t=1, "default-2";r=4;t=1'


def test_a_refused_request_does_not_reach_the_application() -> None:
    reached: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    statuses(limited(app, "1/minute"), 5)
    assert reached == ["/"]


def test_a_refused_head_has_no_body() -> None:
    app = validator(limited(hello, "1/minute"))
    ask(app)
    refused = ask(app, method="HEAD")
    assert (refused.status_int, refused.body) == (429, b"")
    assert int(refused.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "paths",
    [["/login", "//login", "/./login", "/x/../login", "/login;a=1", "/login?a=1", "/%6cogin"]],
)
def test_a_path_has_no_second_name(paths: list[str]) -> None:
    app = limited(rules=[Rule("login", "1/minute", path="/login")])
    assert [ask(app, path).status_int for path in paths] == [200] + [429] * (len(paths) - 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "6.6.6.6"},
        {"Forwarded": "for=6.6.6.6"},
        {"X_Real_IP": "6.6.6.6"},
        {"X_HTTP_Method_Override": "GET"},
        {"X_Api_Key": "invented"},
        {"X_Api_Key": ""},
    ],
    ids=str,
)
def test_no_field_of_a_client_makes_it_another_client(headers: dict[str, str]) -> None:
    app = limited(hello, "1/minute", key=header_key("X-Api-Key"))
    assert ask(app).status_int == 200
    assert ask(app, **headers).status_int == 429


def test_a_trusted_proxy_tells_clients_apart() -> None:
    app = limited(hello, "1/minute", trusted=["192.0.2.1"])
    assert ask(app, X_Forwarded_For="198.51.100.1").status_int == 200
    assert ask(app, X_Forwarded_For="198.51.100.2").status_int == 200
    assert ask(app, X_Forwarded_For="6.6.6.6, 198.51.100.2").status_int == 429


def test_networks_are_exempt() -> None:
    app = limited(hello, "1/minute", exempt=["192.0.2.0/24"])
    assert statuses(app, 3) == [200, 200, 200]
    assert statuses(app, 2, peer="198.51.100.1") == [200, 429]
    assert "RateLimit" not in ask(app).headers


def test_a_file_of_networks_is_exempt_and_another_denied(tmp_path: Path) -> None:
    (tmp_path / "allow").write_text("192.0.2.0/24\n")
    (tmp_path / "deny").write_text("192.0.2.1\n203.0.113.0/24  # scrapers\n")
    files = {"allow_file": tmp_path / "allow", "deny_file": str(tmp_path / "deny")}
    app = validator(limited(validator(hello), "1/minute", **files))
    assert statuses(app, 3) == [200, 200, 200], "who is exempt is not denied"
    assert statuses(app, 2, peer="198.51.100.1") == [200, 429]
    denied = ask(app, peer="203.0.113.5")
    assert (denied.status_int, denied.content_type) == (403, "application/problem+json")
    assert denied.headers["Cache-Control"] == "no-store"
    assert b"not served" in ask(app, peer="203.0.113.5", Accept="text/html").body
    assert ask(app, peer="203.0.113.5", method="HEAD").body == b""
    assert statuses(limited(hello, "9/minute", dry_run=True, **files), 1, peer="203.0.113.5") == [200]


def test_a_denied_client_is_found_behind_a_trusted_proxy(tmp_path: Path) -> None:
    (tmp_path / "deny").write_text("203.0.113.0/24\n")
    app = limited(hello, "9/minute", trusted=["192.0.2.1"], deny_file=tmp_path / "deny")
    assert ask(app, X_Forwarded_For="198.51.100.1, 203.0.113.5").status_int == 403
    assert ask(app, X_Forwarded_For="203.0.113.5, 198.51.100.1").status_int == 200


def test_a_dry_run_changes_no_response() -> None:
    app = limited(hello, "1/minute", dry_run=True)
    responses = [ask(app) for _ in range(3)]
    assert [(r.status_int, r.headers.get("RateLimit")) for r in responses] == [(200, None)] * 3


def test_the_application_settles_what_a_request_cost() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgistack.ratelimit"].charge(environ["wsgistack.ratelimit"].remaining)
        return hello(environ, start_response)

    assert statuses(limited(app, "10/minute"), 2) == [200, 429]


def test_a_status_gives_back_or_costs_more() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(environ["PATH_INFO"].strip("/") + " Word", [])
        return []

    rule = Rule("r", "6/minute", charge={"5xx": -1, "401": 4})
    application = limited(app, rules=[rule])
    assert [ask(application, "/503").status_int for _ in range(9)] == [503] * 9
    assert [ask(application, "/401").status_int for _ in range(3)] == [401, 401, 429]


def test_bytes_are_counted_as_they_are_sent() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"x" * 400)
        return iter([b"y" * 300, b"", b"z" * 300])

    application = limited(app, rules=[Rule("traffic", "2 kb/minute")])
    assert statuses(application, 4) == [200, 200, 200, 429]


class Body:
    """A body that counts how often it was closed."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.blocks = iter(blocks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        self.closed += 1


def serve(app: Any, *, blocks: int | None = None, peer: str = "192.0.2.1") -> list[bytes]:
    """Do as a server does: start, take *blocks* blocks (all by default), close."""
    sent: list[bytes] = []
    environ = Request.blank("/", environ={"REMOTE_ADDR": peer}).environ

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        sent.append(status.encode())
        return sent.append

    body = app(environ, start_response)
    try:
        for number, block in enumerate(body):
            if number == blocks:
                break
            sent.append(block)
    finally:
        if hasattr(body, "close"):
            body.close()
    return sent


@pytest.mark.parametrize("blocks", [None, 0, 1], ids=["whole", "gone at once", "gone in the middle"])
def test_a_client_that_leaves_gives_its_place_back(blocks: int | None) -> None:
    bodies: list[Body] = []

    def app(environ: dict[str, Any], start_response: Any) -> Body:
        start_response("200 OK", [])
        bodies.append(Body([b"a", b"b", b"c"]))
        return bodies[-1]

    application = limited(app, rules=[Rule("slots", "1 concurrent")])
    for _ in range(5):
        assert serve(application, blocks=blocks)[0] == b"200 OK"
    assert [body.closed for body in bodies] == [1] * 5


def test_a_place_is_taken_as_long_as_the_body_lasts() -> None:
    application = limited(rules=[Rule("slots", "1 concurrent")])
    environ = Request.blank("/", environ={"REMOTE_ADDR": "192.0.2.1"}).environ
    body: Any = application(environ, lambda *arguments: lambda block: None)
    assert serve(application)[0] == b"503 Service Unavailable"
    assert list(body) == [b"hello"]
    assert serve(application)[0] == b"503 Service Unavailable", "the server has not closed it yet"
    body.close()
    assert serve(application)[0] == b"200 OK"


@pytest.mark.parametrize("when", ["at once", "in the body", "at close"])
def test_an_application_that_fails_gives_its_place_back(when: str) -> None:
    class Failing(Body):
        def close(self) -> None:
            if when == "at close":
                raise RuntimeError("at close")

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if when == "at once":
            raise RuntimeError(when)
        start_response("200 OK", [])

        def blocks() -> Iterator[bytes]:
            yield b"a"
            if when == "in the body":
                raise RuntimeError(when)

        return Failing(blocks())

    application = limited(app, rules=[Rule("slots", "1 concurrent")])
    for _ in range(3):
        with pytest.raises(RuntimeError, match=when):
            serve(application)


def test_a_late_start_response_and_its_repetition_get_the_fields() -> None:
    seen: list[list[str]] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", [])
            raise ValueError
        except ValueError:
            start_response("500 Oh", [("X", "1")], sys.exc_info())
        yield b"late"

    environ = Request.blank("/", environ={"REMOTE_ADDR": "192.0.2.1"}).environ

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        seen.append([status, *(name for name, _ in headers), str(bool(exc_info))])
        return lambda block: None

    assert list(limited(app, "5/s")(environ, start_response)) == [b"late"]
    assert seen == [
        ["200 OK", "RateLimit-Policy", "RateLimit", "False"],
        ["500 Oh", "X", "RateLimit-Policy", "RateLimit", "True"],
    ]


def test_a_servers_file_wrapper_reaches_the_server_untouched() -> None:
    class FileWrapper(Body):
        pass

    wrapper = FileWrapper([])

    def app(environ: dict[str, Any], start_response: Any) -> FileWrapper:
        start_response("200 OK", [])
        return wrapper

    environ = Request.blank("/").environ
    assert limited(app, "5/s")(environ, lambda *arguments: lambda block: None) is wrapper


@pytest.mark.parametrize(
    ("arguments", "options", "error", "complaint"),
    [
        ((), {}, SettingError, "rate and rules: neither is given; a rate reads as '100/minute'"),
        (("5/minte",), {}, RateError, "did you mean 'minute'?"),
        (("5/s",), {"headers": "draft11"}, SettingError, "did you mean 'draft10'?"),
        (("5/s",), {"jitter": 2}, SettingError, "jitter: 2 is not a share from 0 to 1"),
        (("5/s",), {"max_keys": 0}, SettingError, "max_keys: 0 is not a number"),
        (("5/s",), {"deny_file": "/no/such/file"}, SettingError, "deny_file: /no/such/file: No such"),
        (("5/s",), {"store": "worker"}, SettingError, "did you mean 'workers'?"),
        (("5/s",), {"exempt": ["x"]}, SettingError, "exempt: 'x' is not a network"),
        (("5/s",), {"trusted": ["x"]}, SettingError, "trusted: 'x' is not a network"),
        (("100000/s exact",), {}, RateError, "an exact limit keeps every stamp"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(
    arguments: tuple[str, ...], options: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error) as caught:
        RateLimit(hello, *arguments, **options)
    assert complaint in str(caught.value)


def test_everything_that_cannot_be_meant_is_told_together() -> None:
    rules: list[Rule | dict[str, str]] = [
        {"name": "api", "rate": "5/s"},
        {"name": "api", "rate": "100000/s exact"},
        {"name": "slow", "rate": "10/second burst 5 delay 1"},
        {"name": "slow", "rate": "9/second"},
        Rule("default", "5/s", tier=lambda request: "gold", tiers={"gold": "10/s burst 20 delay 5"}),
        Rule("watched", "10/s burst 20 delay 5", dry_run=True),
    ]
    with pytest.raises(SettingError) as caught:
        RateLimit(hello, "200000/s exact", rules=rules, jitter=2)
    assert caught.value.complaints == (
        "'200000/second exact': an exact limit keeps every stamp, at most 10000; 'sliding' does not",
        "rules: rule api: '100000/second exact': an exact limit keeps every stamp, at most 10000; 'sliding' does not",
        "rule slow: '10/second burst 5 delay 1' lets requests wait, and most_waiting, how many of them may at once, is 0",
        "rule default: '10/second burst 20 delay 5' lets requests wait, and most_waiting, how many of them may at once, is 0",
        "rule default: two rules have this name",
        "rule api: two rules have this name",
        "rule slow: two rules have this name",
        "jitter: 2 is not a share from 0 to 1",
    )


def test_importing_it_imports_neither_gevent_nor_the_balancer() -> None:
    import subprocess

    program = (
        "import sys, wsgistack.ratelimit.middleware\n"
        "print([m for m in sys.modules if m.startswith(('gevent', 'wsgistack.balancer', 'wsgistack.cache'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
