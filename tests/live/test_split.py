"""A beta test on a real balancer with a page cache: set at run time, kept by a cookie, counted, and safe when beta dies."""

import re
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tests.live.conftest import StartBalancer
from tests.live.processes import Balancer, site
from tests.live.scripted import ScriptedNode
from tests.live.test_sticky import ask, says, with_cookie
from tests.live.test_upgrade import Chain

KEPT = "Cache-Control: max-age=600"
STEADY = "SET mypool.health_check = none"


def test_a_share_of_the_visitors_gets_another_pool_and_pages_of_its_own(
    start_balancer: StartBalancer,
) -> None:
    with ExitStack() as stack:
        main = stack.enter_context(ScriptedNode(says(1, KEPT)))
        beta = stack.enter_context(ScriptedNode(says(2, KEPT)))
        balancer = start_balancer(site([main.backend], workers=2, pool=STEADY, service="SET cache = on"))
        for line in (
            "CREATE POOL beta",
            "SET beta.health_check = none",
            f"POOL ADD beta {beta.backend.address}",
            "SET mysite.split = beta 50% cookie",
        ):
            assert balancer.admin(line) == ["OK"], line
        found: dict[bytes, str] = {}
        for _ in range(60):  # one in 2**59 that all are of one kind
            said = ask(balancer)
            assert [one.partition("=")[0] for one in said.cookies] == ["wsgistack_split"]
            found.setdefault(said.body, with_cookie(said))
            if len(found) == 2:
                break
        for body, cookie in found.items():
            for _ in range(4):
                again = ask(balancer, cookie)
                assert (again.status, again.body, again.cookies) == (200, body, ())
        assert main.count() + beta.count() < 10  # the rest were pages that are kept
        counts = count_by_bucket(balancer)
        assert counts["-"] + counts["beta"] >= 10
        assert "        strayed: 0"[1:] in balancer.admin("show service mysite")
        assert balancer.admin("cache purge http://a/") == ["OK"]
        assert balancer.admin(f"POOL REMOVE beta {beta.backend.address}") == ["OK"]
        assert ask(balancer, found[b"2"]).body == b"1"


def test_visitors_keep_their_pool_through_an_upgrade_and_counters_go_on(
    start_balancer: StartBalancer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        main = stack.enter_context(ScriptedNode(says(1)))
        beta = stack.enter_context(ScriptedNode(says(2)))
        pidfile = tmp_path / "pid"
        more = f"SERVER pidfile = {pidfile}\nCREATE POOL beta\nPOOL ADD beta {beta.backend.address}"
        text = site([main.backend], workers=1, pool=STEADY, more=f"{more}\nSET beta.health_check = none")
        chain = Chain(start_balancer(text), pidfile)
        stack.callback(chain.end)
        balancer = chain.balancer
        assert balancer.admin("SET mysite.split = old: beta 50% cookie") == ["OK"]
        assert balancer.admin("SET mysite.split = beta 20% cookie") == ["OK"]
        visitors: list[tuple[str, bytes]] = []
        while {body for _, body in visitors} != {b"1", b"2"} or len(visitors) < 6:
            said = ask(balancer)
            visitors.append((with_cookie(said), said.body))
            assert len(visitors) < 400, "one in 10**38 that nobody is in beta"
        told = [tell_bucket(balancer, cookie) for cookie, _ in visitors[-2:]]
        assert count_by_bucket(balancer) == {"-": main.count(), "beta": beta.count()}
        assert balancer.admin("upgrade") == ["OK"]
        for cookie, body in visitors:
            assert ask(balancer, cookie) == (200, body, ())
        assert [tell_bucket(balancer, cookie) for cookie, _ in visitors[-2:]] == told
        chain.upgraded(1)
        assert main.count() + beta.count() == 2 * len(visitors)
        assert count_by_bucket(balancer) == {"-": main.count(), "beta": beta.count()}


def count_by_bucket(balancer: Balancer) -> dict[str, int]:
    """Return what Prometheus sees of the visitors of the site."""
    with urllib.request.urlopen(f"http://{balancer.admin_address}/metrics", timeout=30) as page:
        text = page.read().decode()
    found = re.findall(r'split_requests_total\{bucket="(.*?)",service="mysite"\} (\d+)', text)
    return {name: int(number) for name, number in found}


def tell_bucket(balancer: Balancer, cookie: str) -> str:
    """Return what the operator is told of a visitor's bucket."""
    (told,) = [line for line in balancer.admin(f"explain GET / {cookie}") if line.startswith("bucket ")]
    return told
