"""Ways around a limit that people try, one test each."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import pytest
from webob import Request

from wsgistack.clock import SteadyClock
from wsgistack.http.paths import normal_path
from wsgistack.ratelimit import (
    RateLimit,
    Rule,
    client_ip,
    client_network,
    environ_key,
    everybody,
    first_of,
    header_key,
)

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


class Site:
    """A limited application on a clock of its own; the application answers as the path says."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.now = NOW
        self.open: list[Any] = []
        self.app = RateLimit(self._serve, *arguments, now=lambda: self.now, **options)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found" if environ["PATH_INFO"].startswith("/none") else "200 OK", [])
        return [b"ok"]

    def ask(self, path: str = "/", *, peer: str = "192.0.2.1", method: str = "GET", **environ: Any) -> int:
        request = Request.blank(path, method=method, environ={"REMOTE_ADDR": peer, **environ})
        response = request.get_response(self.app)
        response.body  # noqa: B018 - reads and closes it
        return int(response.status_int)

    def statuses(self, many: Iterable[dict[str, Any]]) -> list[int]:
        return [self.ask(**one) for one in many]


LOGIN = Rule("login", "1/minute", path="/login", methods="POST GET")


@pytest.mark.parametrize(
    "path",
    [
        "//login",
        "/./login",
        "/a/../login",
        "/login;x=1",
        "/login?x=1",
        "/%6c%6fgin",
        "/%2e/login",
    ],
)
def test_other_spellings_of_a_path(path: str) -> None:
    site = Site(rules=[LOGIN])
    assert (site.ask("/login"), site.ask(path)) == (200, 429)


@pytest.mark.parametrize("path", ["/search/a/../../b", "//search/a/..;/../b", "/search/../static/b"])
def test_dots_that_an_application_does_not_resolve(path: str) -> None:
    """A view of `/search/<path:what>`, or of everything, gets them as they are."""
    rules = [Rule("static", "unlimited", path="/static/*"), Rule("search", "1/minute", path="/search/*")]
    site = Site(rules=rules)
    assert (site.ask("/search/a"), site.ask(path), site.ask("/static/b")) == (200, 429, 200)


@pytest.mark.parametrize("path", ["/static/../login", "/login/../static/x", "/static;/x"])
def test_no_spelling_makes_a_page_one_that_is_unlimited(path: str) -> None:
    site = Site(rules=[Rule("static", "unlimited", path="/static/*"), Rule("all", "1/minute")])
    assert (site.ask("/login"), site.ask(path), site.ask("/static/x")) == (200, 429, 200)


@pytest.mark.parametrize("field", ["HTTP_SCRIPT_NAME", "HTTP_X_FORWARDED_PREFIX"])
def test_a_mount_point_that_a_client_makes_up(field: str) -> None:
    """gunicorn obeys a field SCRIPT_NAME that comes by a proxy it trusts, ProxyFix one of X-Forwarded-Prefix."""
    site = Site(rules=[Rule("static", "unlimited", path="/static/*"), LOGIN])
    made_up = [{"SCRIPT_NAME": mount, field: mount} for mount in ("/m", "/static")]
    assert [site.ask("/login", **one) for one in ({}, *made_up)] == [200, 429, 429]


def test_a_mount_point_of_the_server_is_a_part_of_the_path() -> None:
    rules = [Rule("static", "unlimited", path="/shop/static/*"), Rule("all", "1/minute", path="/shop/*")]
    site = Site(rules=rules)
    paths = ("/login", "/login", "/static/x", "/static/x")
    assert [site.ask(path, SCRIPT_NAME="/shop") for path in paths] == [200, 429, 200, 200]


def test_head_in_the_place_of_get() -> None:
    site = Site(rules=[Rule("page", "1/minute", path="/page", methods="GET")])
    assert (site.ask("/page"), site.ask("/page", method="HEAD")) == (200, 429)


@pytest.mark.parametrize("method", ["post", "Post", "pOST"])
def test_a_method_in_small_letters(method: str) -> None:
    """Applications that know a Request object take it for POST (Werkzeug), and some servers pass it on."""
    site = Site(rules=[Rule("login", "1/minute", path="/login", methods="post")])
    assert (site.ask("/login", method="POST"), site.ask("/login", method=method)) == (200, 429)


def test_long_paths_and_credentials_fill_no_memory() -> None:
    """What anybody may send is remembered only while it is short: caches count entries, not bytes."""
    key = header_key("X-Api-Key")
    site = Site("100/minute", key=key)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for i in range(200):
            normal_path(f"/{i}/" + "x" * 50_000)
            site.ask(HTTP_X_API_KEY=f"{i}" + "k" * 50_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000_000, "of 20 MB that were sent"


def test_a_method_override() -> None:
    site = Site(rules=[LOGIN])
    site.ask("/login", method="POST")
    assert site.ask("/login", method="POST", HTTP_X_HTTP_METHOD_OVERRIDE="PUT") == 429


def test_paths_that_do_not_exist() -> None:
    site = Site("2/minute")
    assert [site.ask(f"/none/{i}") for i in range(3)] == [404, 404, 429]


def test_the_old_protocol() -> None:
    site = Site("1/minute")
    assert [site.ask(SERVER_PROTOCOL=version) for version in ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9")] == [
        200,
        429,
        429,
    ]


@pytest.mark.parametrize(
    "peers",
    [
        ["198.51.100.7", "::ffff:198.51.100.7", "[::ffff:c633:6407]"],
        ["2001:db8::1", "2001:DB8:0:0::2", "2001:db8::ffff:ffff", "2001:0db8:0000:0000::3"],
    ],
)
def test_other_spellings_of_an_address(peers: list[str]) -> None:
    site = Site("1/minute")
    assert site.statuses({"peer": peer} for peer in peers) == [200] + [429] * (len(peers) - 1)


@pytest.mark.parametrize(
    "field",
    [
        "198.51.100.7:1",
        "198.51.100.7:2",
        " 198.51.100.7 ",
        "6.6.6.6, 198.51.100.7",
        "garbage<script>, 198.51.100.7",
    ],
)
def test_ports_spaces_and_lies_in_a_forwarded_address(field: str) -> None:
    site = Site("1/minute", trusted=["192.0.2.1"])
    assert site.ask(HTTP_X_FORWARDED_FOR="198.51.100.7") == 200
    assert site.ask(HTTP_X_FORWARDED_FOR=field) == 429


def test_a_forwarded_address_from_nobody_that_is_trusted() -> None:
    site = Site("1/minute", trusted=["10.0.0.0/8"])
    assert site.statuses({"HTTP_X_FORWARDED_FOR": f"6.6.6.{i}"} for i in range(3)) == [200, 429, 429]


def test_a_rotation_through_the_addresses_of_one_network() -> None:
    site = Site("3/minute")
    network = int(ip_address("2001:db8:1:2::"))
    assert site.statuses({"peer": str(ip_address(network + i * 2**40))} for i in range(9)).count(200) == 3


def test_a_rotation_through_the_networks_of_one_site() -> None:
    rules = [Rule("client", "3/minute"), Rule("site", "5/minute", key=client_network())]
    site = Site(rules=rules)
    network = int(ip_address("2001:db8:1::"))
    assert site.statuses({"peer": str(ip_address(network + i * 2**64))} for i in range(9)).count(200) == 5


def test_a_new_credential_for_each_request() -> None:
    site = Site("3/minute", key=header_key("X-Api-Key"))
    assert site.statuses({"HTTP_X_API_KEY": f"k{i}"} for i in range(9)).count(200) == 3


@pytest.mark.parametrize("credential", ["", " ", "\t"])
def test_an_empty_credential(credential: str) -> None:
    site = Site("1/minute", key=header_key("X-Api-Key", known=lambda key: True))
    assert [site.ask(HTTP_X_API_KEY=credential) for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "credential", ["sesame ", " sesame", "sesame, sesame", "Sesame", "sesame\t", "sesame;"]
)
def test_other_spellings_of_a_credential(credential: str) -> None:
    """None is a fresh count: what is not known counts by the address, as does its next spelling."""
    site = Site("2/minute", key=header_key("X-Api-Key", known={"sesame"}.__contains__))
    site.ask(HTTP_X_API_KEY="x")
    assert site.statuses({"HTTP_X_API_KEY": credential + "!" * i} for i in range(2)) == [200, 429]


def test_upper_and_lower_case_of_a_path_are_apart_as_they_are_for_applications() -> None:
    """Where an application thinks otherwise the rule has to name both, or `*`."""
    site = Site(rules=[LOGIN, Rule("all", "3/minute")])
    assert (site.ask("/login"), site.ask("/Login"), site.ask("/login")) == (200, 200, 429)
    assert site.statuses({"path": path} for path in ("/LOGIN", "/lOgin")) == [200, 429]


def test_no_key_at_all() -> None:
    nothing = first_of(lambda asker: None, lambda asker: ())
    for key in (nothing, environ_key("nobody.set.this"), client_ip, everybody):
        site = Site("1/minute", key=key)
        assert site.statuses({"peer": "" if key is client_ip else "192.0.2.9"} for _ in range(2)) == [
            200,
            429,
        ]


def test_a_client_cannot_name_the_user() -> None:
    site = Site("1/minute", key=environ_key("REMOTE_USER"))
    assert site.statuses({"HTTP_REMOTE_USER": f"u{i}"} for i in range(2)) == [200, 429]


def test_so_many_keys_that_the_table_is_full() -> None:
    site = Site("2/hour", max_keys=1000)
    assert site.statuses({} for _ in range(3)) == [200, 200, 429]
    for i in range(5000):
        site.ask(peer=str(ip_address(0x0A000000 + i)))
    assert site.ask() == 429


def test_keys_that_are_made_to_collide() -> None:
    """Marks depend on a secret of the process (PEP 456), so what collides in one does not in another."""
    import subprocess
    import sys

    program = "from wsgistack.ratelimit.taking import HASH_BITS; print(hash(b'198.51.100.7') & HASH_BITS)"
    marks = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
        for _ in range(3)
    }
    assert len(marks) == 3


def test_a_burst_at_each_edge_of_a_window() -> None:
    strict, lax = Site("10/minute sliding"), Site("10/minute exact")
    for site in (strict, lax):
        site.now = NOW - NOW % (60 * SECOND) + 59 * SECOND
        admitted = site.statuses({} for _ in range(20)).count(200)
        site.now += 2 * SECOND
        admitted += site.statuses({} for _ in range(20)).count(200)
        assert admitted == 10, "a fixed window would admit 20"


def test_a_clock_that_is_set_back_or_forward() -> None:
    wall, steady = [NOW * 1000], [10**9]
    clock = SteadyClock(lambda: wall[0], lambda: steady[0])
    app = RateLimit(lambda environ, start_response: [], "1/hour", now=clock)

    def admits() -> bool:
        decision = app.limiter.hit(_request())
        steady[0] += 2 * 10**9
        wall[0] += 2 * 10**9
        return decision.ok

    assert [admits(), admits()] == [True, False]
    wall[0] -= 7200 * 10**9  # an administrator, or a leap
    assert [admits() for _ in range(5)] == [False] * 5, "nobody waits for the wall to catch up either:"
    steady[0] += 3600 * 10**9
    wall[0] += 3600 * 10**9
    assert admits()
    wall[0] += (7200 + 3600) * 10**9  # set right, after a sleep of an hour
    assert admits()


def _request() -> Any:
    from wsgistack.wsgi import EnvironRequest

    return EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})


@pytest.mark.parametrize("count_refused", [False, True])
def test_slow_requests_hold_no_more_places_than_there_are(count_refused: bool) -> None:
    """Who is refused holds none, also where refusals count: there is nobody who would give it back."""
    site = Site(rules=[Rule("slots", "2 concurrent", count_refused=count_refused)])
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status[:3])
        return lambda block: None

    environ = {"REMOTE_ADDR": "192.0.2.1"}
    bodies = [site.app(Request.blank("/", environ=dict(environ)).environ, start_response) for _ in range(4)]
    assert statuses == ["200", "200", "503", "503"]
    assert site.ask() == 503
    for body in bodies[:2]:
        body.close()  # type: ignore[attr-defined]  # of Watched
    assert site.ask() == 200


def test_a_cost_that_is_larger_than_the_limit() -> None:
    site = Site(
        rules=[Rule("api", "10/minute", cost=lambda request: 10**9 if request.path == "/bomb" else 1)]
    )
    assert [site.ask("/bomb") for _ in range(3)] == [429] * 3
    assert [site.ask() for _ in range(11)] == [200] * 10 + [429], "it took nothing from the others"


def test_lines_for_the_log(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    from wsgistack.ratelimit.__main__ import main

    evil = '\x1b[2Jevil - - [25/Nov/2026:10:00:00 +0000] "GET /\x1b[31m HTTP/1.1" 200 1\n'
    (tmp_path / "log").write_text(evil * 3 + "\x1b]0;title\x07\n")
    assert main(["replay", str(tmp_path / "log"), "1/hour"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\\x1b[2Jevil" in shown


def test_a_rotation_of_methods_and_fields_that_mean_nothing() -> None:
    site = Site("1/minute")
    site.ask()
    for field in (
        "X_REAL_IP",
        "CF_CONNECTING_IP",
        "TRUE_CLIENT_IP",
        "FORWARDED",
        "X_CLIENT_IP",
        "X_CLUSTER_CLIENT_IP",
    ):
        assert site.ask(method="OPTIONS", **{f"HTTP_{field}": "6.6.6.6"}) == 429
