"""Load shedding by priority."""

from __future__ import annotations

from typing import Any

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit import RateLimit, Rule, shedding

NOW = 1_795_000_000_000_000


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


class Service:
    """An application under *rules*; requests stay open until they are closed."""

    def __init__(self, *rules: Rule) -> None:
        self.app = RateLimit(app, rules=rules, now=lambda: NOW)
        self.fields: dict[str, str] = {}

    def open(self, path: str = "/normal") -> tuple[str, Any]:
        seen: list[str] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            seen.append(status)
            self.fields = dict(headers)
            return lambda block: None

        body = self.app(
            {"REMOTE_ADDR": "192.0.2.1", "PATH_INFO": path, "REQUEST_METHOD": "GET"}, start_response
        )
        return seen[0], body


def by_path(request: Any) -> str:
    return str(request.path.strip("/"))


def test_the_last_places_are_kept_for_what_matters_more() -> None:
    service = Service(*shedding(10, priority=by_path))
    taken = {
        path: [service.open(path)[0][:3] for _ in range(10)]
        for path in ("/sheddable", "/normal", "/critical")
    }
    assert taken == {
        "/sheddable": ["200"] * 5 + ["503"] * 5,
        "/normal": ["200"] * 3 + ["503"] * 7,
        "/critical": ["200"] * 2 + ["503"] * 8,
    }


def test_critical_requests_may_take_all_places_and_then_nobody_else_gets_one() -> None:
    service = Service(*shedding(10, priority=by_path))
    assert [service.open("/critical")[0][:3] for _ in range(11)] == ["200"] * 10 + ["503"]
    assert service.open("/sheddable")[0][:3] == "503"


def test_a_place_is_free_when_the_response_is_closed_also_by_a_client_that_left() -> None:
    service = Service(*shedding(2, priority=by_path, normal=0.5, sheddable=0.5))
    for _ in range(20):
        status, body = service.open("/sheddable")
        assert status == "200 OK"
        assert service.open("/sheddable")[0] == "503 Service Unavailable"
        body.close()  # nothing of it was sent


def test_a_refusal_says_when_to_come_again_and_is_not_kept() -> None:
    service = Service(*shedding(1, priority=by_path))
    service.open()
    status, body = service.open()
    assert status == "503 Service Unavailable"
    assert (service.fields["Retry-After"], service.fields["Cache-Control"]) == ("1", "no-store")
    assert b"temporary-reduced-capacity" in b"".join(body)


def test_nobody_is_told_how_busy_the_service_is() -> None:
    service = Service(*shedding(5, priority=by_path), Rule("api", "9/hour"))
    service.open()
    assert service.fields["RateLimit"] == '"api";r=8;t=400'
    bare = Service(*shedding(5, priority=by_path))
    bare.open()
    assert "RateLimit" not in bare.fields


def test_a_request_that_another_rule_refuses_holds_no_place() -> None:
    service = Service(*shedding(1, priority=by_path), Rule("api", "1/hour"))
    service.open()[1].close()
    assert [service.open()[0][:3] for _ in range(3)] == ["429"] * 3


def test_an_unknown_priority_is_normal() -> None:
    service = Service(*shedding(10, priority=lambda request: "whatever"))
    assert [service.open()[0][:3] for _ in range(10)] == ["200"] * 8 + ["503"] * 2


@pytest.mark.parametrize(
    ("most", "shares"),
    [(0, {}), (True, {}), (2.5, {}), (10, {"normal": 0.4}), (10, {"normal": 1.1}), (10, {"sheddable": 0})],
)
def test_what_cannot_be_meant_is_told(most: Any, shares: Any) -> None:
    with pytest.raises(SettingError, match="shedding: "):
        shedding(most, priority=by_path, **shares)
