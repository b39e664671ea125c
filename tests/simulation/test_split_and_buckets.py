"""A site that has a split in the balancer and buckets in the application: each keeps its visitors, and no cookie is set twice."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import h11
import pytest

from tests.simulation.cached import make
from tests.simulation.limited import LimitedWorld
from tests.simulation.split import SECRET, split
from tests.simulation.world import World
from tests.wsgi_shapes import serve
from wsgistack.stack import wrap

VISITS = 8


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Bucket", environ["wsgistack.bucket"]), ("Cache-Control", "max-age=60")])
    return [b""]


def serve_buckets(world: LimitedWorld, cookie: str, secret: str) -> None:
    """Let both nodes be the application within wrap(): it reads and sets cookies as for a browser."""
    site = wrap(app, buckets={"split": "button: green 50%", "secret": secret, "cookie": cookie})
    for name, node in zip(("main", "beta"), world.nodes, strict=True):

        def look(request: h11.Request, name: str = name, node: Any = node) -> None:
            got = dict(request.headers)
            environ = {"HTTP_COOKIE": got[b"cookie"].decode()} if b"cookie" in got else {}
            seen = serve(site, environ)
            node.says = [
                ("x-node", name),
                *((key.lower(), value) for key, value in seen.headers if key != "Content-Length"),
            ]

        node.look = look


class Browser:
    """Keeps cookies, and notes what each answer set."""

    def __init__(self, world: LimitedWorld) -> None:
        self.world = world
        self.jar: dict[str, str] = {}
        self.visitor = world.visitor()

    def visit(self) -> tuple[list[str], str, str]:
        """Return the names of the cookies that were set, the node, and the application's bucket."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        said, end = [("Cookie", cookie)] if cookie else [], None
        self.visitor.send(*said)
        names: list[str] = []
        while not isinstance(end, h11.EndOfMessage):
            end = self.visitor.h11.next_event()
            if isinstance(end, h11.Response):
                response = end
            elif end is h11.NEED_DATA:
                self.world.step()
                got = self.world.net.take(self.visitor.end, 65536)
                if not isinstance(got, int):
                    self.visitor.h11.receive_data(got)
        self.visitor.h11.start_next_cycle()
        for name, value in response.headers:
            if name == b"set-cookie":
                (morsel,) = SimpleCookie(value.decode()).values()
                names.append(morsel.key)
                self.jar[morsel.key] = morsel.value
        fields = {name.decode(): value.decode() for name, value in response.headers}
        return names, fields["x-node"], fields["x-bucket"]


def make_world(
    worlds: list[Any], cookie: str, secret: str, *, cached: bool = False, ours: str
) -> LimitedWorld:
    world: LimitedWorld
    if cached:
        world = make(worlds, split_cookie=ours)
    else:
        world = LimitedWorld(split_cookie=ours)
        worlds.append(world)
    split(world, "beta 50% cookie")
    serve_buckets(world, cookie, secret)
    return world


@pytest.mark.parametrize("cached", [False, True], ids=["alone", "behind a page cache"])
def test_with_two_names_both_keep_their_visitors(cached: bool, worlds: list[World]) -> None:
    world = make_world(worlds, "wsgistack_bucket", SECRET, cached=cached, ours="wsgistack_split")
    seen = set()
    for _ in range(VISITS):
        browser = Browser(world)
        first = browser.visit()
        assert sorted(first[0]) == ["wsgistack_bucket", "wsgistack_split"]
        assert [browser.visit() for _ in range(3)] == [([], *first[1:])] * 3
        seen.add(first[1])
    assert seen == {"main", "beta"}


@pytest.mark.parametrize("secret", [SECRET, "another secret of the application"], ids=["one secret", "two"])
@pytest.mark.parametrize("cached", [False, True], ids=["alone", "behind a page cache"])
def test_with_one_name_there_is_one_cookie_and_it_is_the_balancers(
    secret: str, cached: bool, worlds: list[World]
) -> None:
    world = make_world(worlds, "wsgistack_split", secret, cached=cached, ours="wsgistack_split")
    for _ in range(VISITS):
        browser = Browser(world)
        names, node, _ = browser.visit()
        assert names == ["wsgistack_split"]
        for _ in range(3):
            names, again, _ = browser.visit()
            assert (names, again) == ([], node)
