"""Limits in real memcached: round trips, long windows, and servers that hang, forget and restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENT_URL, Cluster
from tests.store.memcached.stage import hanging, wait_until
from tools.real_memcached import Memcached, listening
from tools.turns import counting_turns
from wsgistack.ratelimit import RateLimit, Rule
from wsgistack.ratelimit.clients import header_key
from wsgistack.ratelimit.journal import JournalTable
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store

pytestmark = pytest.mark.live
SECOND = 1_000_000


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


class Site:
    """A limited application over *servers*; its clock stands still unless a test moves it."""

    def __init__(self, *servers: Memcached | str, options: str = PATIENT_URL, **limits: Any) -> None:
        self.now = 1_795_000_000_000_000
        place = ",".join(server if isinstance(server, str) else server.address for server in servers)
        store = make_store(f"memcached://{place}{options}")
        assert isinstance(store, MemcachedStore)
        self.store = store
        self.app = RateLimit(app, store=store, now=lambda: self.now, **limits)

    def ask(self, peer: str = "192.0.2.1", **environ: Any) -> str:
        seen: list[str] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            seen.append(status[:3])
            return lambda block: None

        body = self.app({"REMOTE_ADDR": peer, "PATH_INFO": "/", **environ}, start_response)
        list(body)
        getattr(body, "close", lambda: None)()
        return seen[0]

    def round_trips(self) -> int:
        return sum(node.counters.calls for node in self.store._cluster.nodes())


Make = Callable[..., Site]


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    """A function that makes sites, whose stores are closed at the end."""
    sites: list[Site] = []

    def make(*servers: Memcached | str, **options: Any) -> Site:
        sites.append(Site(*servers, **options))
        return sites[-1]

    yield make
    for site in sites:
        site.store.close()


def test_a_decision_is_one_round_trip_with_fields_and_several_limits(
    memcached: Memcached, make_site: Make
) -> None:
    site = make_site(memcached, rate="100/minute; 5/second; 3 per 2 hours sliding; 1000/calendar month")
    statuses = []
    for step in range(3):
        site.now += step * 10 * SECOND
        statuses.append(site.ask())
    assert (statuses, site.round_trips()) == (["200"] * 3, 3)


def test_fields_metering_and_several_limits_ask_once_for_all_on_the_wire(
    memcached: Memcached, make_site: Make, tmp_path: Path
) -> None:
    """A relay counts, so that nothing which the store forgets to count is left out."""
    with counting_turns(memcached.port) as turns:
        limits = {"rate": "100/minute; 5/second; 3 per 2 hours sliding", "meter": tmp_path}
        site = make_site(turns.address, **limits)
        site.ask("192.0.2.9")  # the connection is made
        before, statuses = turns.count, []
        for step in range(3):
            site.now += step * SECOND
            statuses.append(site.ask())
        assert (statuses, turns.count - before) == (["200"] * 3, 3)
        before, statuses = turns.count, [site.ask() for _ in range(100)]
        assert (statuses, turns.count - before) == (["429"] * 100, 1), "what is refused is known here"
        assert site.app.meter is not None
        counted = {row.key[-1]: row.counts for row in site.app.meter.usage()}
        assert counted == {9: (0, 1, 0, 0, 0, 0, 0), 1: (0, 3, 0, 100, 0, 100, 0)}


def test_under_abuse_most_decisions_ask_nobody(memcached_cluster: Cluster, make_site: Make) -> None:
    site = make_site(*memcached_cluster(2), rate="100/hour; 20/second")
    statuses = [site.ask() for _ in range(1000)]
    for _ in range(3):
        site.now += SECOND
        statuses += [site.ask() for _ in range(100)]
    assert statuses.count("200") == 80
    assert site.round_trips() <= 84 < 0.35 * len(statuses)


@pytest.mark.parametrize(
    "rate",
    ["3/month", "3/year", "3/year fixed", "3 per 2 months sliding", "3/year exact", "3/calendar month", "3/calendar year"],
)  # fmt: skip
def test_a_window_of_a_month_or_a_year_counts(rate: str, memcached: Memcached, make_site: Make) -> None:
    site = make_site(memcached, rate=rate)
    statuses = []
    for _ in range(6):
        site.now += SECOND
        statuses.append(site.ask())
    assert statuses == ["200"] * 3 + ["429"] * 3
    table = site.app.limiter.table
    assert isinstance(table, JournalTable)
    (key,) = table._looks
    left = int(memcached.ask(b"mg " + key.encode() + b" t").split(b"t")[1])
    assert left > 3 * 86_400, "and it is kept as long as it counts"


@pytest.mark.parametrize("credential", ["a b", "é", "\x00\r\nset x 0 0 1", "k" * 10_000, "\t"])
def test_no_credential_is_too_odd_to_be_counted(
    credential: str, memcached: Memcached, make_site: Make
) -> None:
    rule = Rule("api", "2/hour", key=header_key("X-Api-Key"))
    site = make_site(memcached, rules=[rule])
    assert [site.ask(HTTP_X_API_KEY=credential) for _ in range(3)] == ["200", "200", "429"]


def test_a_server_that_hangs_costs_its_deadline_once(memcached: Memcached, make_site: Make) -> None:
    site = make_site(memcached, rate="3/hour")
    assert site.ask() == "200"
    with hanging(site.store, memcached, patience_s=0.02):
        statuses = [site.ask() for _ in range(200)]
    # None where this process stood still itself just then: no node is blamed for that.
    assert sum(node.counters.timeouts for node in site.store._cluster.nodes()) <= 1
    assert statuses == ["200"] * 3 + ["429"] * 197, "counted in this process meanwhile"

    def asks_again() -> bool:
        site.now += 2 * SECOND
        before = site.round_trips()
        site.ask("192.0.2.2")
        return site.round_trips() > before

    wait_until(asks_again)


def test_a_decision_that_was_under_way_when_its_server_stopped_admits_nobody_twice(
    memcached: Memcached,
    make_site: Make,
) -> None:
    """What was sent before the server stood still is counted when it goes on: stricter, never laxer."""
    site = make_site(memcached, options=f"{PATIENT_URL}&on_down=miss", rate="5/hour", on_store_error="closed")
    assert site.ask() == "200"
    with hanging(site.store, memcached, patience_s=0.05):
        assert site.ask() == "503", "nobody could count it"

    site.now += 2 * SECOND

    def asks_again() -> bool:
        before = site.round_trips()
        refused_here = site.app.limiter.table.trouble
        site.ask("192.0.2.2")
        site.now += 2 * SECOND * (site.app.limiter.table.trouble - refused_here)
        return site.round_trips() > before

    wait_until(asks_again)
    assert [site.ask() for _ in range(6)] in (["200"] * 4 + ["429"] * 2, ["200"] * 3 + ["429"] * 3)


def test_a_server_that_restarts_begins_anew_and_goes_on(memcached: Memcached, make_site: Make) -> None:
    site = make_site(memcached, rate="3/hour")
    assert [site.ask() for _ in range(4)] == ["200", "200", "200", "429"]
    memcached.kill()
    with listening("-l", "127.0.0.1", "-p", str(memcached.port)):

        def counts_again() -> bool:
            site.now += 2 * SECOND
            before = site.round_trips()
            site.ask("192.0.2.2")
            return site.round_trips() > before

        wait_until(counts_again)
        assert [site.ask("192.0.2.3") for _ in range(4)] == ["200", "200", "200", "429"]


@pytest.mark.slow
def test_a_key_that_is_asked_for_is_not_evicted_under_pressure(memcached: Memcached, make_site: Make) -> None:
    site = make_site(memcached, rate="20/hour")
    filler = make_store(f"memcached://{memcached.address}{PATIENT_URL}")
    admitted = 0
    for round_ in range(40):
        site.now += SECOND // 10
        admitted += site.ask() == "200"
        for size in (50, 90, 150, 250, 400, 600, 900, 1100):
            filler.set_many({f"{round_}:{size}:{i}": b"x" * size for i in range(1000)}, 600)
    evictions = filler.stats()["evictions"]
    filler.close()
    assert evictions > 10_000
    assert admitted == 20
