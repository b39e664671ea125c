"""Pictures for tests: the site of the manual, never asked or asked a little."""

from tests.balancer.stage import Stage, make_counts
from wsgistack.balancer.ledger import no_counts
from wsgistack.balancer.outside import Outcomes, TableUse
from wsgistack.balancer.picture import NodeRow, Picture, ProcessView, ServiceCounts

__all__ = ["TOKEN", "make_node_row", "make_picture", "make_service_counts"]

TOKEN = "correct-horse-battery"


def make_service_counts() -> ServiceCounts:
    """Return the row of a service that nobody ever asked."""
    return ServiceCounts(
        requests=0,
        refused=0,
        retries=0,
        unbudgeted=0,
        bytes_in=0,
        bytes_out=0,
        accepted=0,
        responses=dict.fromkeys(range(1, 6), 0),
        latency=[0] * 64,
        latency_us=0,
        queue=dict.fromkeys(("normal", "highpri", "lowpri"), (0, 0.0)),
        client_connections=0,
        in_flight=0,
        waiting=0,
        cache_hits=0,
        cache_hops=0,
        cache_bypasses=0,
        cache_fallbacks=0,
        denied=0,
        throttled=0,
        crowded=0,
        shut_out=0,
        held=0,
        buckets=[0] * 32,
        strayed=0,
    )


def make_node_row() -> NodeRow:
    """Return the row of a node that nobody ever asked."""
    return NodeRow(connecting=0, bytes_in=0, bytes_out=0, outcomes=Outcomes(), **make_counts())


def make_picture(*lines: str) -> Picture:
    """Return a picture of the manual's site with one worker, after some more commands."""
    stage = Stage()
    stage.make_site()
    stage.do("CREATE LIMIT load", "SET rate = 9 concurrent", "SET critical = /pay/*")
    stage.do("CREATE LIMIT api", "SET rate = 100/minute", "SET mysite.limit = api")
    stage.do("CREATE POOL beta", "SET mysite.split = beta 5%")
    stage.do(*lines)
    stage.do(f"SET admin.admin_token = {TOKEN}", "HEADER mysite INSERT X-A: b", "HEADER mysite REMOVE X-C")
    rows = stage.control.rows()
    counts = make_node_row()
    counts["responsecodes"] = {404: 1, 200: 8}
    return Picture(
        now=1010.5,
        started_at=1000.0,
        version="1.0",
        snapshot=stage.control.snapshot,
        nodes=dict.fromkeys(rows, counts),
        services={name: make_service_counts() for name in stage.control.snapshot.services},
        limit_table=TableUse(131_072, 12, 0),
        limits=dict.fromkeys(stage.control.snapshot.limits, no_counts()),
        health={
            (pool.name, node.address): stage.control.health(pool.name, node.address)
            for pool in stage.control.snapshot.pools.values()
            for node in pool.nodes
        },
        processes=(
            ProcessView(None, 7, "accepting", 1, 0, 0, 1.0, 0.5, 4096, "supervisor"),
            ProcessView(0, 8, "accepting", 2, 1, 5, 2.0, 1.0, 8192),
        ),
    )
