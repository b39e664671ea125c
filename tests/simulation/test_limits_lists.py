"""Lists of networks in the data plane: who is let through, and who gets 403."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.limited import LimitedWorld, make_limit
from tests.simulation.test_limits import HTML, TRUSTED, ask_wsgi, forwarded, hello, make
from wsgistack.balancer.address_list import AddressList, read_list
from wsgistack.ratelimit.middleware import RateLimit


def listed(text: str) -> AddressList:
    found, _ = read_list("/list", text)
    assert found is not None
    return found


def test_who_is_on_the_deny_list_gets_403_and_no_node_hears_of_it(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, deny_file="/list", **TRUSTED)
    world.lists = {"/list": listed("198.51.100.0/25\n2001:db8::/32\n")}
    world.put()
    visitor = world.visitor()
    for told in ("198.51.100.7", "2001:db8:9::1"):
        denied = visitor.ask(forwarded(told))
        assert (denied.status, denied.fields["cache-control"], denied.kept) == (403, "no-store", True)
        assert denied.body == b'{"type": "about:blank", "title": "Forbidden", "status": 403}'
    page = visitor.ask(forwarded("198.51.100.7"), HTML)
    assert (page.status, b"<h1>Forbidden</h1>" in page.body) == (403, True)
    assert visitor.ask(forwarded("198.51.100.7"), method="HEAD").body == b""
    assert (world.executed, world.board.service(0)["denied"], world.board.service(0)["refused"]) == (0, 4, 4)
    assert world.ask(forwarded("198.51.100.200")).status == 200
    world.lists = {"/list": listed("")}
    world.put()
    assert visitor.ask(forwarded("198.51.100.7")).status == 200
    assert world.events == []


LISTED: dict[str, tuple[dict[str, Any], list[int], list[int]]] = {
    # the settings; statuses of who is on the deny list, and of who is on no list
    "usual": ({}, [403, 403, 403], [200, 429, 429]),
    "only who is listed is limited": (
        {"blacklist_action": "throttle", "default_action": "allow"},
        [200, 429, 429],
        [200, 200, 200],
    ),
    "everybody is limited": ({"blacklist_action": "throttle"}, [200, 429, 429], [200, 429, 429]),
    "others are let through": ({"default_action": "allow"}, [403, 403, 403], [200, 200, 200]),
    "nobody is refused": ({"log_only": True}, [200, 200, 200], [200, 200, 200]),
}


@pytest.mark.parametrize("name", LISTED)
def test_who_is_on_a_list_is_treated_as_the_service_says(name: str, worlds: list[LimitedWorld]) -> None:
    settings, denied, others = LISTED[name]
    world = make(
        worlds, make_limit("api", rate="1/minute"), allow_file="/in", deny_file="/out", **TRUSTED, **settings
    )
    world.lists = {"/in": listed("198.51.100.7"), "/out": listed("198.51.100.0/24")}
    world.put(*world.limits.values())
    assert world.statuses(3, forwarded("198.51.100.7")) == [200, 200, 200], "who is allowed is not denied"
    assert world.statuses(3, forwarded("198.51.100.8")) == denied
    assert world.statuses(3, forwarded("203.0.113.8")) == others


def test_both_edges_deny_in_the_same_words(tmp_path: Path, worlds: list[LimitedWorld]) -> None:
    (tmp_path / "deny").write_text("192.0.2.0/24\n")
    app = RateLimit(hello, "100/minute", deny_file=tmp_path / "deny")
    world = make(worlds, deny_file="/list")
    world.lists = {"/list": listed("192.0.2.0/24\n")}
    world.put()
    for fields in ((), (HTML,)):
        wanted, got = ask_wsgi(app, "GET", fields), world.ask(*fields)
        assert (got.status, got.body) == (wanted.status_int, wanted.body)
        for field in ("content-type", "content-length", "cache-control", "vary"):
            assert got.fields[field] == wanted.headers[field]
