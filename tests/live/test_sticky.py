"""Sessions that stay with their node, and the names that requests carry, through a real balancer."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.live.conftest import StartBalancer
from tests.live.processes import Balancer, eventually, site
from tests.live.raw import exchange
from tests.live.scripted import RESET, ScriptedNode, answer

UNCHECKED = "SET mypool.health_check = none"


class Said(NamedTuple):
    """What a client gets to see of one response."""

    status: int
    body: bytes
    cookies: tuple[str, ...]


def ask(balancer: Balancer, *fields: str) -> Said:
    lines = ["GET / HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]
    head, _, body = exchange(balancer.site, "\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    return Said(
        int(head.split()[1]),
        body,
        tuple(re.findall(r"(?i)^set-cookie: (.*?)\r?$", head.decode(), re.MULTILINE)),
    )


def with_cookie(said: Said) -> str:
    return "Cookie: " + said.cookies[0].partition(";")[0]


def start(
    start_balancer: StartBalancer, nodes: list[ScriptedNode], service: str, workers: int = 2
) -> Balancer:
    return start_balancer(site([n.backend for n in nodes], workers=workers, pool=UNCHECKED, service=service))


def says(name: int, *fields: str) -> Callable[[bytes], bytes]:
    """Return a script of a node that answers its number."""
    said = answer(200, b"%d" % name, *fields)
    return lambda head: said


def named_nodes(stack: ExitStack, count: int, *fields: str) -> list[ScriptedNode]:
    return [stack.enter_context(ScriptedNode(says(number, *fields))) for number in range(count)]


def test_a_client_with_our_cookie_stays_with_its_node(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 3)
        balancer = start(start_balancer, nodes, "SET sticky = cookie")
        first = ask(balancer)
        assert re.fullmatch(
            r"wsgistack_node=[A-Za-z0-9_-]{16}; Path=/; HttpOnly; SameSite=Lax", first.cookies[0]
        )
        for _ in range(12):
            again = ask(balancer, with_cookie(first))
            assert again == (200, first.body, ())
        node = nodes[int(first.body)]
        assert node.count(b"wsgistack_node") == 0
        assert ask(balancer, with_cookie(first) + "; theirs=1").body == first.body
        assert b"Cookie: theirs=1" in node.requests[-1]


@pytest.mark.parametrize(
    "forged",
    ["x", "0123456789abcdef", "", "127.0.0.1:8001", "A" * 16, "0" * 4000],
    ids=lambda text: text[:12],
)
def test_a_cookie_that_is_not_ours_gets_a_new_one(start_balancer: StartBalancer, forged: str) -> None:
    with ExitStack() as stack:
        balancer = start(start_balancer, named_nodes(stack, 2), "SET sticky = cookie")
        said = ask(balancer, f"Cookie: wsgistack_node={forged}")
        assert said.status == 200
        assert len(said.cookies) == 1


def test_the_cookie_is_named_timed_and_secured_as_asked(start_balancer: StartBalancer) -> None:
    settings = "SET sticky = cookie\nSET sticky_cookie = where\nSET sticky_ttl = 1h\nSET sticky_secret = s\nSET always_trusted = on"
    with ExitStack() as stack:
        balancer = start(start_balancer, named_nodes(stack, 2), settings)
        over_tls = ask(balancer, "X-Forwarded-Proto: https").cookies[0]
        assert re.fullmatch(r"where=.{16}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure", over_tls)
        assert "Secure" not in ask(balancer, "X-Forwarded-Proto: http").cookies[0]


def test_a_node_that_fails_hands_its_clients_over(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 2)
        balancer = start(start_balancer, nodes, "SET sticky = cookie", workers=1)
        first = ask(balancer)
        nodes[int(first.body)].script = lambda head: RESET
        second = ask(balancer, with_cookie(first))
        assert second.body != first.body
        assert with_cookie(second) != with_cookie(first)
        assert ask(balancer, with_cookie(second)) == (200, second.body, ())


def test_a_node_that_drains_keeps_its_clients_and_gets_no_others(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 2)
        balancer = start(start_balancer, nodes, "SET sticky = cookie")
        first = ask(balancer)
        assert balancer.admin(f"pool mypool drain {nodes[int(first.body)].address}") == ["OK"]
        assert {ask(balancer, with_cookie(first)) for _ in range(10)} == {(200, first.body, ())}
        assert first.body not in {ask(balancer).body for _ in range(20)}


def test_a_node_that_left_the_pool_hands_its_clients_over(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 2)
        balancer = start(start_balancer, nodes, "SET sticky = cookie")
        first = ask(balancer)
        assert balancer.admin(f"pool mypool remove {nodes[int(first.body)].address}") == ["OK"]
        second = ask(balancer, with_cookie(first))
        assert second.body != first.body
        assert len(second.cookies) == 1


def test_a_cookie_is_good_for_all_workers_and_after_their_death(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        balancer = start(start_balancer, named_nodes(stack, 3), "SET sticky = cookie", workers=3)
        first = ask(balancer)
        assert {ask(balancer, with_cookie(first)).body for _ in range(20)} == {first.body}


def test_a_session_that_the_application_made_is_learned(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 3)
        balancer = start(start_balancer, nodes, "SET sticky = learn\nSET sticky_cookie = sid", workers=3)
        addresses = {node.address for node in nodes}
        for number, node in enumerate(nodes):
            node.script = says(number, f"Set-Cookie: sid=s{number}; Path=/")
            for other in addresses - {node.address}:
                assert balancer.admin(f"pool mypool drain {other}") == ["OK"]
            made = ask(balancer)
            assert (made.body, made.cookies) == (b"%d" % number, (f"sid=s{number}; Path=/",))
            for other in addresses - {node.address}:
                assert balancer.admin(f"pool mypool undrain {other}") == ["OK"]
            # Any worker may take these: what one learned, all know.
            assert {ask(balancer, f"Cookie: a=1; sid=s{number}").body for _ in range(6)} == {made.body}


def test_a_learned_session_moves_with_its_node_s_failure(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 2, "Set-Cookie: sid=one")
        balancer = start(start_balancer, nodes, "SET sticky = learn\nSET sticky_cookie = sid", workers=1)
        first = ask(balancer)
        for name, node in enumerate(nodes):
            node.script = says(name)
        nodes[int(first.body)].script = lambda head: RESET
        second = ask(balancer, "Cookie: sid=one")
        assert second.body != first.body
        nodes[int(first.body)].script = says(int(first.body))
        assert {ask(balancer, "Cookie: sid=one").body for _ in range(10)} == {second.body}


def test_without_the_setting_no_cookie_is_touched(start_balancer: StartBalancer) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 1)
        balancer = start(start_balancer, nodes, "")
        assert ask(balancer, "Cookie: wsgistack_node=x; a=1").cookies == ()
        assert b"Cookie: wsgistack_node=x; a=1" in nodes[0].requests[-1]


@pytest.mark.parametrize(
    ("setting", "came", "goes"),
    [
        ("off", "", None),
        ("off", "theirs", "theirs"),
        ("make", "", "[0-9a-f]{32}"),
        ("make", "theirs", "[0-9a-f]{32}"),
        ("trust", "", "[0-9a-f]{32}"),
        ("trust", "01J9-theirs", "01J9-theirs"),
        ("trust", 'bad"one', "[0-9a-f]{32}"),
        ("trust", "x" * 129, "[0-9a-f]{32}"),
    ],
)
def test_a_request_is_named(start_balancer: StartBalancer, setting: str, came: str, goes: str | None) -> None:
    with ExitStack() as stack:
        nodes = named_nodes(stack, 1)
        balancer = start(start_balancer, nodes, f"SET request_id = {setting}")
        trace = "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        fields = [trace, "TraceState: a=1,b=2", *([f"X-Request-Id: {came}"] if came else [])]
        for _ in range(2):
            assert ask(balancer, *fields).status == 200
        eventually(lambda: nodes[0].count() == 2)
        ids = [re.findall(rb"(?i)x-request-id: (.*?)(?:\r\n|$)", head) for head in nodes[0].requests]
        assert all(len(found) == (goes is not None) for found in ids)
        assert all(re.fullmatch(goes or "", one.decode()) for found in ids for one in found)
        assert (ids[0] != ids[1]) is (goes == "[0-9a-f]{32}")
        assert all(trace.encode() in head and b"TraceState: a=1,b=2" in head for head in nodes[0].requests)
