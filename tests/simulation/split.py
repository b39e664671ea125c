"""A balancer whose service sends a share of its visitors to a second pool, on the virtual network."""

from __future__ import annotations

from typing import Any

from tests.simulation.actors import SimNode
from tests.simulation.limited import LimitedWorld
from tests.simulation.world import make_node, sockaddr
from wsgistack.balancer.model import Pool
from wsgistack.balancer.split import Rule, parse_rule
from wsgistack.balancer.sticky import make_tokens
from wsgistack.splits import make_key, mark_of

__all__ = ["KEY", "SECRET", "cookie_for", "find_token", "service_of", "split"]

SECRET = "0123456789abcdef"
KEY = make_key(SECRET)


def split(world: LimitedWorld, text: str, *, admits: int = 100, **options: Any) -> Rule:
    """Give the world a second node in the pool beta, and the service this split; return it.

    *options*: fields of that node, such as up and max_connections.
    """
    rule = parse_rule(text)
    assert rule is not None
    if len(world.nodes) == 1:
        world.nodes.append(SimNode(world.net, "beta"))
        world.nodes[1].thinks_s = (0.0,)
        world.net.nodes[sockaddr(1)] = world.nodes[1].answer
    node = make_node(1, **options)
    pools: Any = world.snapshot["pools"]
    pools["beta"] = Pool("beta", 1, world.pool_settings, (node,), admits).as_wire()
    service = service_of(world)
    tokens = {"beta": make_tokens(b"", "beta", [node.address])}
    service["split"] = rule.as_wire(KEY, service["settings"], tokens, {"-": 0, "beta": 1})
    for plane in world.planes:
        plane.apply(world.snapshot)
    return rule


def service_of(world: LimitedWorld) -> Any:
    """Return the service of the snapshot, to be changed before it is applied."""
    services: Any = world.snapshot["services"]
    return services["mysite"]


def find_token(rule: Rule, bucket: str) -> str:
    """Return a visitor of that bucket, "" for one in none."""
    return next(f"{n:x}" for n in range(10_000) if rule.split.bucket(KEY, b"%x" % n) == bucket)


def cookie_for(rule: Rule, bucket: str) -> tuple[str, str]:
    """Return the Cookie field of such a visitor, among others."""
    token = find_token(rule, bucket)
    return "Cookie", f"_ga=1; wsgistack_split={token}.{mark_of(KEY, token)}; _gid=2"
