"""A beta test on a real balancer with a page cache: set at run time, kept by a cookie, counted, and safe when beta dies."""

import re
import urllib.request
from contextlib import ExitStack

from tests.live.conftest import StartBalancer
from tests.live.processes import site
from tests.live.scripted import ScriptedNode
from tests.live.test_sticky import ask, says, with_cookie

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
        with urllib.request.urlopen(f"http://{balancer.admin_address}/metrics", timeout=30) as page:
            text = page.read().decode()
        counts = dict(re.findall(r'split_requests_total\{bucket="(.*?)",service="mysite"\} (\d+)', text))
        assert int(counts["-"]) + int(counts["beta"]) >= 10
        assert "        strayed: 0"[1:] in balancer.admin("show service mysite")
        assert balancer.admin("cache purge http://a/") == ["OK"]
        assert balancer.admin(f"POOL REMOVE beta {beta.backend.address}") == ["OK"]
        assert ask(balancer, found[b"2"]).body == b"1"
