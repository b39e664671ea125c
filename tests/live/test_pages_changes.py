"""A page cache while the configuration is read anew and while a new program takes over, under load."""

import re
from pathlib import Path

import pytest

from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import eventually, site
from tests.live.test_upgrade import Chain

CACHE = """CREATE CACHE pages
  SET profile = rfc9111
SET mysite.cache = pages"""


@pytest.mark.timeout(300)
def test_a_reload_and_an_upgrade_with_a_cache_fail_no_request(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    more = f"{CACHE}\nSERVER pidfile = {pidfile}\nSERVER drain_timeout = 10"
    balancer = start_balancer(site([start_backend("a")], more=more))
    chain = Chain(balancer, pidfile)
    try:
        with Load(balancer.site, clients=4) as load:
            eventually(lambda: load.count > 20)
            text = balancer.file.read_text()
            balancer.file.write_text(text.replace("profile = rfc9111", "profile = anonymous"))
            assert balancer.admin("reload")[-1] == "OK"
            before = load.count
            eventually(lambda: load.count > before + 20)
            assert balancer.admin("upgrade") == ["OK"]
            chain.upgraded(1)
            after = load.count
            eventually(lambda: load.count > after + 20)
            assert any(re.match(r"pages \S+ \d+$", line) for line in balancer.admin("cache stats"))
        assert load.failures == {}
    finally:
        chain.end()
